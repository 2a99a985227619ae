-- store: audit
-- The record of calls and administrative acts. No foreign keys: on SQLite it lives in its own file.
-- id begins with the time, so that new rows go to the end of its index.
CREATE TABLE audit (
    id            TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL,      -- '': the installation
    chain         TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    kind          TEXT   NOT NULL,
    user_id       TEXT,
    client_id     TEXT,
    key_id        TEXT,
    connection_id TEXT,
    method        TEXT,
    name          TEXT,
    outcome       TEXT   NOT NULL,
    error         TEXT,
    arguments     TEXT,
    request_id    TEXT,
    duration_us   BIGINT NOT NULL,
    bytes_in      BIGINT NOT NULL,
    bytes_out     BIGINT NOT NULL,
    prev_hash     TEXT   NOT NULL,
    hash          TEXT   NOT NULL
);
CREATE INDEX audit_by_time ON audit (org_id, at, id);
CREATE INDEX audit_by_connection ON audit (org_id, connection_id, at, id);
CREATE INDEX audit_by_age ON audit (at);
