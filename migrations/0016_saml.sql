-- SAML: assertions and log-out requests that were used, and sign-ins between the provider's answer and the browser that began.

-- hash: hex SHA-256 of the message's id. Each works once, for as long as it would be believed.
CREATE TABLE saml_seen (
    provider_id TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    hash        TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (provider_id, hash)
);
CREATE INDEX saml_seen_by_age ON saml_seen (expires_at);

-- hash: of the ticket that the browser brings from one address of ours to the next. sealed: what the assertion said.
CREATE TABLE saml_tickets (
    hash        TEXT   NOT NULL PRIMARY KEY,
    provider_id TEXT   NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    sealed      TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX saml_tickets_by_age ON saml_tickets (expires_at);
CREATE INDEX saml_tickets_by_provider ON saml_tickets (provider_id);
