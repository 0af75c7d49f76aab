-- name: sweep_lockouts!
-- What is over, and the oldest of what is more than is to be kept; what another server counts in just now is left to it.
DELETE FROM lockouts WHERE address IN (
    SELECT address FROM lockouts
    WHERE coalesce(locked_until, since + CAST(:period AS bigint)) <= CAST(:now AS bigint)
        OR since < (SELECT since FROM lockouts ORDER BY since DESC LIMIT 1 OFFSET :kept)
    FOR UPDATE SKIP LOCKED
);

-- name: sweep_proven!
DELETE FROM proven_credentials WHERE (address, proof) IN (
    SELECT address, proof FROM proven_credentials
    WHERE at < :unused_since OR at < (SELECT at FROM proven_credentials ORDER BY at DESC LIMIT 1 OFFSET :kept)
    FOR UPDATE SKIP LOCKED
);
