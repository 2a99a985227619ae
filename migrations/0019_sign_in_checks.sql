-- Proven domains are looked at again. check_at: when it is due, or, while somebody looks, until when they have it to themselves.
-- n_missing, missing_since: how often in a row the record was not there, and since when.
ALTER TABLE org_domains ADD COLUMN check_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE org_domains ADD COLUMN n_missing BIGINT NOT NULL DEFAULT 0;
ALTER TABLE org_domains ADD COLUMN missing_since BIGINT;
CREATE INDEX org_domains_due ON org_domains (check_at, id) WHERE verified_at IS NOT NULL;

-- The browser session that began to set the app up: nobody else is shown the seed. No foreign key: seeds outlive sessions.
ALTER TABLE user_totp ADD COLUMN session_id TEXT;

-- 1: an owner configured it last, so that what it proves counts for owners, too. Who did before this column is not known.
ALTER TABLE sso_providers ADD COLUMN is_owners BIGINT NOT NULL DEFAULT 1;

-- The organization whose provider proved whoever made the key; NULL: no provider of an organization. Such a key is good for
-- what such a sign-in is.
ALTER TABLE api_keys ADD COLUMN proof_org_id TEXT;
