-- How people prove who they are, their browser sessions, and the links that let them in. Every bearer secret is kept as hex
-- SHA-256 only.

CREATE TABLE passwords (
    user_id    TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash       TEXT   NOT NULL,         -- argon2id in PHC form
    updated_at BIGINT NOT NULL
);

-- A session belongs to a person; org_id is only what they chose last.
CREATE TABLE browser_sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    hash         TEXT   NOT NULL UNIQUE, -- of the cookie
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    org_id       TEXT   REFERENCES organizations (id) ON DELETE SET NULL,
    proof        TEXT   NOT NULL,        -- password, or the id of a sign-in provider
    proved_at    BIGINT NOT NULL,
    peer         TEXT,
    user_agent   TEXT,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id, created_at, id);
CREATE INDEX browser_sessions_by_org ON browser_sessions (org_id);
CREATE INDEX browser_sessions_by_age ON browser_sessions (expires_at);

CREATE TABLE invitations (
    id          TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email       TEXT   NOT NULL,         -- lower case
    role        TEXT   NOT NULL,
    hash        TEXT   NOT NULL UNIQUE,  -- of the link's token
    invited_by  TEXT,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT                   -- NULL: open
);
CREATE INDEX invitations_by_time ON invitations (org_id, created_at, id);

-- Links for one person or the installation, good once.
CREATE TABLE one_time_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL,          -- setup, password
    user_id    TEXT   REFERENCES users (id) ON DELETE CASCADE, -- NULL: the installation's
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX one_time_tokens_by_user ON one_time_tokens (user_id);

-- Failed sign-ins in a row, of an account or an address. name: a digest, so that nothing typed is kept.
CREATE TABLE signin_failures (
    name          TEXT   NOT NULL PRIMARY KEY,
    n             BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX signin_failures_by_age ON signin_failures (last_at);
