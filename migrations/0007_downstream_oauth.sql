-- Tulle as OAuth client of the servers it calls. user_id '': the organization's own authorization. Everything secret is
-- sealed under the organization's data key; what belongs to one authorization server (issuer) is never shown to another.

-- What Tulle is called at a server's authorization server, where it registered itself there.
CREATE TABLE downstream_clients (
    org_id        TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    issuer        TEXT   NOT NULL,
    redirect_uri  TEXT   NOT NULL,
    sealed        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, connection_id, issuer),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id) ON DELETE CASCADE
);

-- Authorizations that a person has begun and not come back from. hash: SHA-256 of state.
CREATE TABLE downstream_requests (
    hash          TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    user_id       TEXT   NOT NULL, -- whose the tokens will be
    person_id     TEXT   NOT NULL, -- who began it ...
    session_id    TEXT   NOT NULL, -- ... and in which browser
    issuer        TEXT   NOT NULL,
    sealed        TEXT   NOT NULL,
    expires_at    BIGINT NOT NULL,
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id) ON DELETE CASCADE
);
CREATE INDEX downstream_requests_by_age ON downstream_requests (expires_at);
CREATE INDEX downstream_requests_by_connection ON downstream_requests (org_id, connection_id);

CREATE TABLE downstream_tokens (
    org_id        TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    issuer        TEXT   NOT NULL,
    scope         TEXT   NOT NULL,
    wanted_scope  TEXT,            -- what the server asked for beyond it
    sealed        TEXT   NOT NULL,
    expires_at    BIGINT,          -- of the access token; NULL: not said
    generation    BIGINT NOT NULL, -- one more with each refresh
    lease_id      TEXT,            -- who refreshes it just now ...
    lease_until   BIGINT,          -- ... or until when nobody tries again
    failure       TEXT,            -- why a person must authorize again; NULL: good
    authorized_by TEXT   NOT NULL,
    authorized_at BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, connection_id, user_id, issuer),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id) ON DELETE CASCADE
);
CREATE INDEX downstream_tokens_by_user ON downstream_tokens (org_id, user_id);
