-- Sign-in through other identity providers. What a provider is told as a secret is sealed; states are kept as hex SHA-256.

-- org_id NULL: the installation's, from its auth-config.json. config: JSON without secrets. is_jit: makes members of people
-- whom the organization does not know yet, with default_role.
CREATE TABLE sso_providers (
    id            TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   REFERENCES organizations (id) ON DELETE CASCADE,
    kind          TEXT   NOT NULL,        -- oidc, github, saml
    slot          TEXT   UNIQUE,          -- its name in auth-config.json; NULL: an organization's
    name          TEXT   NOT NULL,
    config        TEXT   NOT NULL,
    sealed_secret TEXT,
    is_enabled    BIGINT NOT NULL,
    is_jit        BIGINT NOT NULL,
    default_role  TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX sso_providers_by_org ON sso_providers (org_id, created_at, id);

-- Who somebody is at a provider. Never known by address alone.
CREATE TABLE identities (
    id           TEXT   NOT NULL PRIMARY KEY,
    provider_id  TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    issuer       TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    org_id       TEXT   REFERENCES organizations (id) ON DELETE CASCADE,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email        TEXT,                    -- as the provider said last; for display
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    UNIQUE (provider_id, issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id, created_at, id);
CREATE INDEX identities_by_org ON identities (org_id);

-- Sign-ins begun. hash: of the state (OpenID Connect), the RelayState handle (SAML). browser_hash: of the cookie that
-- must come back with it. sealed: nonce, verifier, request id. user_id: who links, tests or proves themselves again.
CREATE TABLE sso_states (
    hash         TEXT   NOT NULL PRIMARY KEY,
    provider_id  TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    purpose      TEXT   NOT NULL,         -- signin, test, link, reauth
    browser_hash TEXT,
    sealed       TEXT   NOT NULL,
    return_to    TEXT,
    user_id      TEXT   REFERENCES users (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);
CREATE INDEX sso_states_by_age ON sso_states (expires_at);
CREATE INDEX sso_states_by_provider ON sso_states (provider_id);
CREATE INDEX sso_states_by_user ON sso_states (user_id);

-- Domains that organizations claim. proof: what the DNS must hold. One organization can have proven a domain, several may try.
CREATE TABLE org_domains (
    id          TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    domain      TEXT   NOT NULL,          -- lower case, as in DNS
    proof       TEXT   NOT NULL,
    verified_at BIGINT,                   -- NULL: not proven
    is_forced   BIGINT NOT NULL,          -- its people must sign in through provider_id
    provider_id TEXT   REFERENCES sso_providers (id) ON DELETE SET NULL,
    join_role   TEXT,                     -- who has such an address joins with it; NULL: nobody does
    created_at  BIGINT NOT NULL,
    UNIQUE (org_id, domain)
);
CREATE UNIQUE INDEX org_domains_proven ON org_domains (domain) WHERE verified_at IS NOT NULL;
CREATE INDEX org_domains_by_provider ON org_domains (provider_id);

-- Dry runs of a provider. steps: JSON, what was seen. outcome: NULL while it waits for a person.
CREATE TABLE sso_tests (
    id          TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    provider_id TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    created_by  TEXT,
    steps       TEXT   NOT NULL,
    outcome     TEXT,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX sso_tests_by_org ON sso_tests (org_id, created_at, id);
CREATE INDEX sso_tests_by_provider ON sso_tests (provider_id);
