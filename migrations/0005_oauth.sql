-- The authorization server. Every bearer secret is kept as hex SHA-256 only. A client belongs to no
-- organization; what a person granted it does.

CREATE TABLE oauth_clients (
    id                TEXT   NOT NULL PRIMARY KEY,
    fingerprint       TEXT   UNIQUE,          -- of a public client's metadata: the same ones share an id; NULL: confidential
    name              TEXT,
    redirect_uris     TEXT   NOT NULL,        -- separated by spaces
    auth_method       TEXT   NOT NULL,        -- none, client_secret_basic, client_secret_post
    metadata          TEXT   NOT NULL,        -- JSON object: what was registered, as answered
    secret_hash       TEXT,
    registration_hash TEXT,                   -- of a confidential client's registration access token
    consented_at      BIGINT,                 -- NULL: nobody has consented yet
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);
CREATE INDEX oauth_clients_unused ON oauth_clients (consented_at, created_at);

-- What one person of one organization granted to one client: the family of its tokens. resource: conn_..., hub or
-- management.
CREATE TABLE oauth_grants (
    id            TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id       TEXT   NOT NULL,
    client_id     TEXT   NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    resource      TEXT   NOT NULL,
    scope         TEXT   NOT NULL,
    redirect_host TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT,
    revoked_at    BIGINT,
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX oauth_grants_by_time ON oauth_grants (org_id, created_at, id);
CREATE INDEX oauth_grants_by_user ON oauth_grants (org_id, user_id, created_at, id);
CREATE INDEX oauth_grants_by_client ON oauth_grants (client_id, org_id);

-- Authorization codes. request_id: of the consent that made it, so that one page gives one code.
CREATE TABLE oauth_codes (
    hash          TEXT   NOT NULL PRIMARY KEY,
    request_id    TEXT   NOT NULL UNIQUE,
    org_id        TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    client_id     TEXT   NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    grant_id      TEXT   NOT NULL,            -- of the grant that redeeming makes
    redirect_uri  TEXT   NOT NULL,
    challenge     TEXT   NOT NULL,
    resource      TEXT   NOT NULL,
    scope         TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    used_at       BIGINT,
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX oauth_codes_by_age ON oauth_codes (expires_at);
CREATE INDEX oauth_codes_by_user ON oauth_codes (org_id, user_id);
CREATE INDEX oauth_codes_by_client ON oauth_codes (client_id);

CREATE TABLE oauth_access_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL,
    grant_id   TEXT   NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_access_tokens_by_grant ON oauth_access_tokens (grant_id);
CREATE INDEX oauth_access_tokens_by_age ON oauth_access_tokens (expires_at);

CREATE TABLE oauth_refresh_tokens (
    hash           TEXT   NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL,
    grant_id       TEXT   NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    used_at        BIGINT,
    successor_hash TEXT,
    answer         TEXT                       -- what it was answered, sealed under a key made from the token itself
);
CREATE INDEX oauth_refresh_tokens_by_grant ON oauth_refresh_tokens (grant_id);
CREATE INDEX oauth_refresh_tokens_by_age ON oauth_refresh_tokens (expires_at);

-- Remembered consent: per person, client, place of the redirect, and resource.
CREATE TABLE oauth_consents (
    org_id        TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    client_id     TEXT   NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    resource      TEXT   NOT NULL,
    redirect_host TEXT   NOT NULL,
    scope         TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id, client_id, resource, redirect_host),
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX oauth_consents_by_client ON oauth_consents (client_id);
