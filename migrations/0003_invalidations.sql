-- How nodes tell one another that authorization data changed (db_epoch): each invalidating
-- transaction adds a row, every process reads the newest one of the others. SQLite needs none: there
-- PRAGMA data_version says it.
-- only: postgres
CREATE TABLE invalidations (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    origin TEXT   NOT NULL -- the process that wrote it
);
-- end
