-- What deployserver load has read, and how far: each batch of records is committed together with the place where the
-- next one begins, so that a load that was interrupted goes on there.
--
-- fingerprint is what a file or pipe is known again by. position counts bytes, once decompressed, and lines counts
-- lines; digest is the SHA-256 of all that is before the position, of what is not known by its whole content.
CREATE TABLE loads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    actor TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    finished_at INTEGER,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    lines INTEGER NOT NULL,
    loaded INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    refused_bytes INTEGER NOT NULL
);
