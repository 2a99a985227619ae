-- SAML metadata that is read again by itself, and how long a sign-in that waits for its second factor may become.

-- due_at: when a node looks next; who sets it forward has the work. read_at: the last reading that was good. problem: what was
-- wrong with the last one; NULL: nothing.
CREATE TABLE saml_metadata (
    provider_id TEXT   NOT NULL PRIMARY KEY REFERENCES sso_providers (id) ON DELETE CASCADE,
    due_at      BIGINT NOT NULL,
    read_at     BIGINT,
    problem     TEXT
);

-- When the provider says that the session must end; 0: it says nothing.
ALTER TABLE pending_signins ADD COLUMN ends_at BIGINT NOT NULL DEFAULT 0;
