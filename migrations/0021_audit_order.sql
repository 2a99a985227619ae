-- store: audit
-- Rows are found by (org_id, at, id), where one more index of ids is not needed (an id tells its time); pos is the order in which they
-- were recorded, so that a new row goes to the end of the table (rows from before have an arbitrary one on PostgreSQL).
-- only: sqlite
-- What is freed is overwritten by the rows to come. To overwrite it at once, to sort for the indexes or to write into freed pages
-- would take memory by the size of the file: SQLite keeps what it may have to undo.
PRAGMA secure_delete = OFF;
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
    pos           INTEGER PRIMARY KEY,
    id            TEXT   NOT NULL,
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
CREATE UNIQUE INDEX audit_by_org ON audit (org_id, at, id);
CREATE INDEX audit_by_org_connection ON audit (org_id, connection_id, at);
INSERT INTO audit (id, org_id, chain, seq, at, kind, user_id, client_id, key_id, connection_id, method, name, outcome, error, arguments,
    request_id, duration_us, bytes_in, bytes_out, prev_hash, hash)
SELECT id, org_id, chain, seq, at, kind, user_id, client_id, key_id, connection_id, method, name, outcome, error, arguments,
    request_id, duration_us, bytes_in, bytes_out, prev_hash, hash FROM audit_before ORDER BY id;
DROP TABLE audit_before;
PRAGMA secure_delete = ON;
-- end
-- only: postgres
ALTER TABLE audit DROP CONSTRAINT audit_pkey;
DROP INDEX audit_by_time;
DROP INDEX audit_by_connection;
ALTER TABLE audit ADD COLUMN pos BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE UNIQUE INDEX audit_by_org ON audit (org_id, at, id);
CREATE INDEX audit_by_org_connection ON audit (org_id, connection_id, at);
-- end
