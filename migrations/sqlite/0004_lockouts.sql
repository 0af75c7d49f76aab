-- Wrong credentials, counted for all servers and processes together.

-- How many came from an address (IPv6: from a /64) since when. locked_until is null until they are too many; those that
-- come while it is locked are counted on, and what comes later begins anew. Rows are few, and swept.
CREATE TABLE lockouts (
    address TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    count INTEGER NOT NULL,
    locked_until INTEGER
) WITHOUT ROWID;

CREATE INDEX lockouts_locked ON lockouts (locked_until) WHERE locked_until IS NOT NULL;

-- What was right from an address, and goes on working there while the address is locked: an API key or a user by its
-- number, never a secret. at lags behind by up to a day.
CREATE TABLE proven_credentials (
    address TEXT NOT NULL,
    proof TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (address, proof)
) WITHOUT ROWID;
