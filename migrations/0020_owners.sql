-- 1: an owner configured it last, so that its tokens may be of owners, too. Who did before this column is not known.
ALTER TABLE org_issuers ADD COLUMN is_owners BIGINT NOT NULL DEFAULT 1;

-- Which provider of proof_org_id that was: an owner's key is good only while it vouches for owners.
ALTER TABLE api_keys ADD COLUMN proof TEXT;
UPDATE api_keys SET proof = (SELECT min(p.id) FROM sso_providers p WHERE p.org_id = api_keys.proof_org_id)
    WHERE proof_org_id IS NOT NULL AND 1 = (SELECT count(*) FROM sso_providers p WHERE p.org_id = api_keys.proof_org_id);
