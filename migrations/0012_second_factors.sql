-- Second factors: what a session was proved by, authenticator apps, recovery codes, passkeys, and sign-ins that wait for
-- their second factor.

-- proof_org_id: the organization whose provider proved the person; NULL: the installation's provider, or Tulle itself.
-- provider_session: what the provider calls its session (sid, SessionIndex). two_factor: two factors were proved.
ALTER TABLE browser_sessions ADD COLUMN proof_org_id TEXT REFERENCES organizations (id) ON DELETE CASCADE;
ALTER TABLE browser_sessions ADD COLUMN provider_session TEXT;
ALTER TABLE browser_sessions ADD COLUMN two_factor BIGINT NOT NULL DEFAULT 0;
CREATE INDEX browser_sessions_by_proof_org ON browser_sessions (proof_org_id);
CREATE INDEX browser_sessions_by_proof ON browser_sessions (proof, provider_session);

-- An authenticator app (RFC 6238). sealed: the seed under the installation's keys. confirmed_at: NULL until the first code
-- was right. last_step: the time step of the last code that was taken: none works twice.
CREATE TABLE user_totp (
    user_id      TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed       TEXT   NOT NULL,
    confirmed_at BIGINT,
    last_step    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    hash       TEXT   NOT NULL,         -- of user and code
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (user_id, hash)
);

-- The random name of a person towards their authenticators (WebAuthn's user handle).
CREATE TABLE passkey_handles (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    handle  TEXT NOT NULL UNIQUE
);

-- credential_id, public_key (a COSE key), aaguid: base64url.
CREATE TABLE passkeys (
    id                 TEXT   NOT NULL PRIMARY KEY,
    user_id            TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id      TEXT   NOT NULL UNIQUE,
    public_key         TEXT   NOT NULL,
    sign_count         BIGINT NOT NULL,
    is_backup_eligible BIGINT NOT NULL,
    is_backed_up       BIGINT NOT NULL,
    aaguid             TEXT,
    name               TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    last_used_at       BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, created_at, id);

-- Challenges are good once. purpose: register, signin, second, again. user_id: NULL for a sign-in.
CREATE TABLE passkey_challenges (
    hash         TEXT   NOT NULL PRIMARY KEY,
    purpose      TEXT   NOT NULL,
    user_id      TEXT   REFERENCES users (id) ON DELETE CASCADE,
    browser_hash TEXT   NOT NULL,       -- of the cookie of the browser that asked
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX passkey_challenges_by_user ON passkey_challenges (user_id);
CREATE INDEX passkey_challenges_by_age ON passkey_challenges (expires_at);

-- Somebody has proved one factor and must prove another before there is a session. hash: of a cookie of its own.
CREATE TABLE pending_signins (
    hash             TEXT   NOT NULL PRIMARY KEY,
    user_id          TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method           TEXT   NOT NULL,
    provider_id      TEXT,
    org_id           TEXT   REFERENCES organizations (id) ON DELETE CASCADE,
    provider_session TEXT,
    return_to        TEXT   NOT NULL,
    tries            BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX pending_signins_by_user ON pending_signins (user_id);
CREATE INDEX pending_signins_by_org ON pending_signins (org_id);
CREATE INDEX pending_signins_by_age ON pending_signins (expires_at);
