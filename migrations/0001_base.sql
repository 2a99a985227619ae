-- The registry: people, organizations and what belongs to them. BIGINT and TEXT only; times are UTC
-- milliseconds. A yes or no is BIGINT 1 or 0. JSON is TEXT. Every tenant-owned row carries org_id.

CREATE TABLE installation (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE users (
    id          TEXT   NOT NULL PRIMARY KEY,
    email       TEXT   NOT NULL UNIQUE, -- lower case
    name        TEXT,
    is_operator BIGINT NOT NULL,
    disabled_at BIGINT,                 -- NULL: active
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE TABLE organizations (
    id              TEXT   NOT NULL PRIMARY KEY,
    slug            TEXT   NOT NULL UNIQUE,
    name            TEXT   NOT NULL,
    description     TEXT,
    audit_arguments BIGINT NOT NULL,
    created_by      TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

-- The organization's data key, wrapped by a master key: deleting the row shreds its secrets.
CREATE TABLE org_data_keys (
    org_id     TEXT   NOT NULL PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    wrapped    TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Every slug ever given, so that one key keeps present and retired ones apart. scope: '' for
-- organizations, the organization's id for its connections. A retired slug resolves for 90 days and
-- goes to nobody else.
CREATE TABLE slugs (
    scope      TEXT   NOT NULL,
    slug       TEXT   NOT NULL,
    org_id     TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    object_id  TEXT   NOT NULL,
    retired_at BIGINT,                  -- NULL: the object's present slug
    PRIMARY KEY (scope, slug)
);
CREATE INDEX slugs_by_object ON slugs (org_id, object_id);

CREATE TABLE members (
    org_id     TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    roles      TEXT   NOT NULL,         -- space separated: built-in names and role_ ids
    is_owner   BIGINT NOT NULL,         -- roles has "owner"
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id, org_id);
CREATE INDEX members_by_time ON members (org_id, created_at, user_id);

CREATE TABLE roles (
    id          TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name        TEXT   NOT NULL,
    description TEXT,
    statements  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (org_id, name)
);
CREATE INDEX roles_by_time ON roles (org_id, created_at, id);

CREATE TABLE api_keys (
    id             TEXT   NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    prefix         TEXT   NOT NULL,
    hash           TEXT   NOT NULL UNIQUE, -- hex SHA-256 of the whole key
    scopes         TEXT,
    tools          TEXT,
    connection_ids TEXT,
    expires_at     BIGINT,
    last_used_at   BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    FOREIGN KEY (org_id, user_id) REFERENCES members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX api_keys_by_time ON api_keys (org_id, created_at, id);
CREATE INDEX api_keys_by_user ON api_keys (org_id, user_id, created_at, id);

CREATE TABLE connections (
    id               TEXT   NOT NULL PRIMARY KEY,
    org_id           TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name             TEXT   NOT NULL,
    slug             TEXT   NOT NULL,
    description      TEXT,
    icon             TEXT,
    transport        TEXT   NOT NULL,
    url              TEXT,
    command          TEXT,
    args             TEXT,
    env_names        TEXT,
    auth             TEXT   NOT NULL,
    credential_scope TEXT   NOT NULL,
    enabled          BIGINT NOT NULL,
    status           TEXT   NOT NULL,
    era              TEXT,
    era_at           BIGINT,
    tool_count       BIGINT NOT NULL,   -- -1: unknown
    configuration    TEXT,
    metadata         TEXT,
    created_by       TEXT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    UNIQUE (org_id, id),
    UNIQUE (org_id, slug)
);
CREATE INDEX connections_by_time ON connections (org_id, created_at, id);

CREATE TABLE connection_tools (
    org_id        TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    hash          TEXT   NOT NULL,
    approved_hash TEXT,
    definition    TEXT   NOT NULL,
    renamed_to    TEXT,
    effect        TEXT,
    enabled       BIGINT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, connection_id, name),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id) ON DELETE CASCADE
);

-- What the gateway shows to downstream servers, sealed under the organization's data key.
-- user_id '': the organization's own.
CREATE TABLE credentials (
    org_id        TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    sealed        TEXT   NOT NULL,
    updated_by    TEXT,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, connection_id, user_id),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id) ON DELETE CASCADE
);
CREATE INDEX credentials_by_user ON credentials (org_id, user_id);
