-- Groups of members, and provisioning by SCIM. A member's roles are their own, their groups', and those that a sign-in
-- provider said last.

-- deactivated_at: not NULL: the membership is kept but opens nothing.
ALTER TABLE members ADD COLUMN deactivated_at BIGINT;

CREATE TABLE org_groups (
    id          TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name        TEXT   NOT NULL,
    description TEXT,
    roles       TEXT   NOT NULL, -- space separated, as members.roles; '': none
    external_id TEXT,            -- as the organization's directory calls it (SCIM)
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (org_id, id),
    UNIQUE (org_id, name)
);
CREATE INDEX org_groups_by_time ON org_groups (org_id, created_at, id);

-- source: '' by hand, 'scim', or the id of the sign-in provider that said so. Somebody is in the group while any does.
CREATE TABLE org_group_members (
    org_id     TEXT   NOT NULL,
    group_id   TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, group_id, user_id, source),
    FOREIGN KEY (org_id, group_id) REFERENCES org_groups (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX org_group_members_by_user ON org_group_members (org_id, user_id);

-- What a sign-in provider calls a group.
CREATE TABLE org_group_names (
    org_id      TEXT   NOT NULL,
    provider_id TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    name        TEXT   NOT NULL,
    group_id    TEXT   NOT NULL,
    PRIMARY KEY (org_id, provider_id, name, group_id),
    FOREIGN KEY (org_id, group_id) REFERENCES org_groups (org_id, id) ON DELETE CASCADE
);
CREATE INDEX org_group_names_by_group ON org_group_names (org_id, group_id);
CREATE INDEX org_group_names_by_provider ON org_group_names (provider_id);

-- Roles by the groups that a provider named at the last sign-in (its group_roles).
CREATE TABLE org_provider_roles (
    org_id      TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    provider_id TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    roles       TEXT   NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id, provider_id),
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX org_provider_roles_by_provider ON org_provider_roles (provider_id);

CREATE TABLE scim_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    org_id       TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    prefix       TEXT   NOT NULL,
    hash         TEXT   NOT NULL UNIQUE, -- hex SHA-256 of the whole token
    is_owners    BIGINT NOT NULL,        -- made by an owner: may touch owners and what makes them
    created_by   TEXT,
    expires_at   BIGINT,
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL
);
CREATE INDEX scim_tokens_by_time ON scim_tokens (org_id, created_at, id);

-- What one organization's directory says of a member; never shown to another, never part of the person's account.
CREATE TABLE scim_users (
    org_id      TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    user_name   TEXT   NOT NULL, -- lower case
    external_id TEXT,
    attributes  TEXT   NOT NULL, -- JSON object
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id),
    UNIQUE (org_id, user_name),
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX scim_users_by_external ON scim_users (org_id, external_id);
