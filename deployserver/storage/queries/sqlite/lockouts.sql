-- name: sweep_lockouts!
-- What is over, and the oldest of what is more than is to be kept.
DELETE FROM lockouts
WHERE coalesce(locked_until, since + :period) <= :now
    OR since < (SELECT since FROM lockouts ORDER BY since DESC LIMIT 1 OFFSET :kept);

-- name: sweep_proven!
DELETE FROM proven_credentials
WHERE at < :unused_since OR at < (SELECT at FROM proven_credentials ORDER BY at DESC LIMIT 1 OFFSET :kept);
