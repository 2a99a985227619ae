-- store: audit
-- Retention goes by the ids, which begin with the time: one index less to write with every call.
DROP INDEX audit_by_age;
