-- Feeds, who may record in them, and what was deployed.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. A column that ends in _key holds the casefolded name, for
-- names that match in any letter case and keep the one they were made with.

CREATE TABLE feeds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    deployment_records_enabled INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL
);

-- Every name that finds a feed: its own (is_alternate = 0) and its alternate names.
CREATE TABLE feed_names (
    name_key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    is_alternate INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    created_at INTEGER NOT NULL
);

-- A key is stored as the SHA-256 of its text. scopes: APIs of a system key, permissions of a feed key.
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('system', 'feed', 'personal')),
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    CHECK ((kind = 'personal') = (user_id IS NOT NULL))
);

CREATE TABLE api_key_feeds (
    api_key_id INTEGER NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    PRIMARY KEY (api_key_id, feed_id)
) WITHOUT ROWID;

-- principal is Everyone, Authenticated or Anonymous where user_id is null; feed_id is null for all feeds.
CREATE TABLE privileges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    principal TEXT,
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,
    privilege TEXT NOT NULL,
    feed_id INTEGER REFERENCES feeds (id) ON DELETE CASCADE,
    granted INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    CHECK ((principal IS NULL) <> (user_id IS NULL))
);

CREATE UNIQUE INDEX privileges_once ON privileges (
    coalesce(principal, ''), coalesce(user_id, 0), privilege, coalesce(feed_id, 0), granted
);

CREATE TABLE deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    application TEXT NOT NULL,
    description TEXT NOT NULL,
    target TEXT NOT NULL,
    package_name TEXT NOT NULL,
    version TEXT NOT NULL,
    group_name TEXT,
    user_name TEXT NOT NULL,
    url TEXT,
    date INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    recorded_by TEXT NOT NULL,
    recorded_key_id INTEGER
);

-- Administrative changes, a row each (tally_key null), and refused calls, a row for each kind, address and minute.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    tally_key TEXT UNIQUE
);

-- Rises with every change of feeds, keys, users or privileges, so that servers see that they must read them again.
CREATE TABLE access_revision (
    revision INTEGER NOT NULL
);

INSERT INTO access_revision (revision) VALUES (1);
