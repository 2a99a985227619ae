-- Virtual servers: chosen tools, resources and prompts of several connections at one address. A member goes with its
-- connection. How the tools of several servers are named and shown together is said here and, for the hub, by the
-- organization.

ALTER TABLE organizations ADD COLUMN hub_prefix TEXT NOT NULL DEFAULT 'always'; -- always, clash
ALTER TABLE organizations ADD COLUMN hub_search TEXT NOT NULL DEFAULT 'off';    -- off, auto

CREATE TABLE virtual_servers (
    id           TEXT   NOT NULL PRIMARY KEY,
    org_id       TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    description  TEXT,
    icon         TEXT,
    instructions TEXT,
    prefix       TEXT   NOT NULL, -- always, clash
    search       TEXT   NOT NULL, -- off, auto
    enabled      BIGINT NOT NULL,
    created_by   TEXT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (org_id, id)
);
CREATE INDEX virtual_servers_by_time ON virtual_servers (org_id, created_at, id);

CREATE TABLE virtual_server_members (
    org_id            TEXT   NOT NULL,
    virtual_server_id TEXT   NOT NULL,
    connection_id     TEXT   NOT NULL,
    place             BIGINT NOT NULL,
    tools             TEXT,            -- JSON arrays; NULL: all
    resources         TEXT,
    prompts           TEXT,
    PRIMARY KEY (org_id, virtual_server_id, connection_id),
    FOREIGN KEY (org_id, virtual_server_id) REFERENCES virtual_servers (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id) ON DELETE CASCADE
);
CREATE INDEX virtual_server_members_by_connection ON virtual_server_members (org_id, connection_id);
