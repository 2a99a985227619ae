-- Client metadata documents, clients and accounts of an organization's own programs, OpenID Connect, the device flow.

-- kind: person, or service (a program's account: a member without a password, its e-mail address is made up).
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT 'person';

-- source: registration (whoever asks), document (the id is the URL of the client's metadata document), organization
-- (made by its administrators: org_id). jwks: public keys for private_key_jwt. scope: the most that client credentials
-- give. fresh_until: when a document is fetched again; fetched_at: when it last was what it says.
ALTER TABLE oauth_clients ADD COLUMN source TEXT NOT NULL DEFAULT 'registration';
ALTER TABLE oauth_clients ADD COLUMN org_id TEXT REFERENCES organizations (id) ON DELETE CASCADE;
ALTER TABLE oauth_clients ADD COLUMN service_account_id TEXT REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE oauth_clients ADD COLUMN jwks TEXT;
ALTER TABLE oauth_clients ADD COLUMN scope TEXT;
ALTER TABLE oauth_clients ADD COLUMN fetched_at BIGINT;
ALTER TABLE oauth_clients ADD COLUMN fresh_until BIGINT;
CREATE INDEX oauth_clients_by_org ON oauth_clients (org_id, created_at, id);
CREATE INDEX oauth_clients_by_account ON oauth_clients (service_account_id);

-- nonce, auth_time: for the ID token.
ALTER TABLE oauth_codes ADD COLUMN nonce TEXT;
ALTER TABLE oauth_codes ADD COLUMN auth_time BIGINT;

-- Client assertions that were used: none works twice. hash: of client and jti.
CREATE TABLE oauth_assertions (
    hash       TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_assertions_by_age ON oauth_assertions (expires_at);

-- The device flow. org_id, user_id, resource, granted_scope: as the person decided; decision: NULL, allowed, denied.
CREATE TABLE oauth_devices (
    hash           TEXT   NOT NULL PRIMARY KEY, -- of the device code
    user_code_hash TEXT   NOT NULL UNIQUE,
    client_id      TEXT   NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    scope          TEXT   NOT NULL,
    asked_resource TEXT,
    peer           TEXT,
    interval_ms    BIGINT NOT NULL,
    polled_at      BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    decision       TEXT,
    org_id         TEXT,
    user_id        TEXT,
    resource       TEXT,
    granted_scope  TEXT,
    auth_time      BIGINT,
    used_at        BIGINT,
    grant_id       TEXT   NOT NULL,
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX oauth_devices_by_age ON oauth_devices (expires_at);
CREATE INDEX oauth_devices_by_client ON oauth_devices (client_id);
CREATE INDEX oauth_devices_by_user ON oauth_devices (org_id, user_id);

-- Keys that sign. alg: ES256, RS256. active_at: when it begins to sign; until then it is only published.
-- expires_at: when it is published no more; NULL: the youngest of its kind.
CREATE TABLE signing_keys (
    kid        TEXT   NOT NULL PRIMARY KEY,
    alg        TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    active_at  BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE UNIQUE INDEX signing_keys_youngest ON signing_keys (alg) WHERE expires_at IS NULL;

-- After a rotation the old secret of a key works this long.
ALTER TABLE api_keys ADD COLUMN old_hash TEXT;
ALTER TABLE api_keys ADD COLUMN old_until BIGINT;
CREATE UNIQUE INDEX api_keys_by_old_hash ON api_keys (old_hash);
