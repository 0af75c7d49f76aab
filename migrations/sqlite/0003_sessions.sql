-- Who is signed in to the web pages, by what: their own password, or an API key.
--
-- digest is the SHA-256 of the token in the browser's cookie, which is nowhere stored. A session by password keeps a
-- fingerprint of the password's hash, and ends when that changes. It ends at expires_at, or when it has not been used for
-- a while: last_seen_at lags behind, so that not every request writes. Rows are few and swept at every sign-in, so that
-- no index but the primary key pays.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,
    api_key_id INTEGER REFERENCES api_keys (id) ON DELETE CASCADE,
    password_fingerprint BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (api_key_id IS NULL)),
    CHECK ((user_id IS NULL) = (password_fingerprint IS NULL))
) WITHOUT ROWID;
