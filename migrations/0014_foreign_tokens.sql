-- Other authorization servers whose access tokens an organization takes at its connections. kind: jwt (verified with the
-- issuer's keys), opaque (asked by introspection; one of an organization, so that no token is shown to a server that did
-- not make it). jwks_uri NULL: found by discovery. sealed: the secret for introspection. audiences: JSON array of what is
-- taken beside the resource's own address. required_scopes: space separated. scope_map: JSON object, theirs to ours; NULL:
-- every token may what "mcp" may. subject: JSON, how a token becomes a member.
CREATE TABLE org_issuers (
    id                     TEXT   NOT NULL PRIMARY KEY,
    org_id                 TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name                   TEXT   NOT NULL,
    issuer                 TEXT   NOT NULL,
    kind                   TEXT   NOT NULL,
    jwks_uri               TEXT,
    introspection_endpoint TEXT,
    client_id              TEXT,
    sealed                 TEXT,
    audiences              TEXT   NOT NULL,
    required_scopes        TEXT   NOT NULL,
    scope_map              TEXT,
    accepts_plain_jwt      BIGINT NOT NULL,
    subject                TEXT   NOT NULL,
    is_enabled             BIGINT NOT NULL,
    created_at             BIGINT NOT NULL,
    updated_at             BIGINT NOT NULL,
    UNIQUE (org_id, issuer)
);
CREATE INDEX org_issuers_by_time ON org_issuers (org_id, created_at, id);
CREATE UNIQUE INDEX org_issuers_opaque ON org_issuers (org_id) WHERE kind = 'opaque';

-- How often and how much at once this connection may be called; 0: no limit of its own.
ALTER TABLE connections ADD COLUMN calls_per_minute BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN calls_at_once BIGINT NOT NULL DEFAULT 0;
