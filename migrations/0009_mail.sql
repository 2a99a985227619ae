-- Mail: what waits to be sent, links that travel by mail, and the browsers that a person has used.

ALTER TABLE users ADD COLUMN email_verified_at BIGINT; -- NULL: nobody has shown that they read this address

-- One row for each mail, sealed: it names a person and may hold a link. A row is a request first (what to write to
-- whom) and a message once it is written; the same sender does both. Nobody else takes it before next_at.
CREATE TABLE mail_queue (
    id         TEXT   NOT NULL PRIMARY KEY, -- mail_
    sealed     TEXT   NOT NULL,             -- JSON, under the installation's key for mail
    is_written BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,             -- begun
    lease      TEXT,                        -- of the sender that has it; NULL: nobody
    next_at    BIGINT NOT NULL,             -- with a lease: its end
    expires_at BIGINT NOT NULL,             -- not sent after this
    created_at BIGINT NOT NULL
);
CREATE INDEX mail_queue_by_time ON mail_queue (next_at, id);

-- Links that travel by mail, good once.
CREATE TABLE mail_links (
    hash         TEXT   NOT NULL PRIMARY KEY, -- of the link's token
    purpose      TEXT   NOT NULL,             -- magic, reset, signup, email_change
    email        TEXT   NOT NULL,             -- where it went, lower case
    user_id      TEXT   REFERENCES users (id) ON DELETE CASCADE, -- NULL: an account to be made
    browser_hash TEXT,                        -- of the cookie of the browser that asked
    peer         TEXT,                        -- who asked, for the person to see
    user_agent   TEXT,
    return_to    TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);
CREATE INDEX mail_links_by_email ON mail_links (email, purpose);
CREATE INDEX mail_links_by_user ON mail_links (user_id);
CREATE INDEX mail_links_by_age ON mail_links (expires_at);

-- How often something was asked for in a window of time. name: a digest.
CREATE TABLE ask_counts (
    name     TEXT   NOT NULL PRIMARY KEY,
    n        BIGINT NOT NULL,
    began_at BIGINT NOT NULL
);
CREATE INDEX ask_counts_by_age ON ask_counts (began_at);

-- Browsers in which a person has signed in before: others are worth a notice.
CREATE TABLE known_browsers (
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       TEXT   NOT NULL,               -- of the browser's cookie
    origin     TEXT   NOT NULL,               -- digest of its name and range of addresses
    seen_at    BIGINT NOT NULL,
    PRIMARY KEY (user_id, hash)
);
CREATE INDEX known_browsers_by_age ON known_browsers (seen_at);
