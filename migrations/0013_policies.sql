-- What an organization demands of sign-ins, sessions, clients and callers: JSON of core/org_policy.h; no row: the defaults.
CREATE TABLE org_policies (
    org_id     TEXT   NOT NULL PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    policy     TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);

-- The proof that a code, a device or a grant was made with. proof_org_id: the organization whose provider it was;
-- NULL: Tulle itself, or a provider of the installation. two_factor: 1, two factors were proved.
ALTER TABLE oauth_codes ADD COLUMN proof TEXT;
ALTER TABLE oauth_codes ADD COLUMN proof_org_id TEXT;
ALTER TABLE oauth_codes ADD COLUMN two_factor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE oauth_devices ADD COLUMN proof TEXT;
ALTER TABLE oauth_devices ADD COLUMN proof_org_id TEXT;
ALTER TABLE oauth_devices ADD COLUMN two_factor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE oauth_grants ADD COLUMN proof TEXT;
ALTER TABLE oauth_grants ADD COLUMN proof_org_id TEXT;
ALTER TABLE oauth_grants ADD COLUMN two_factor BIGINT NOT NULL DEFAULT 0;
