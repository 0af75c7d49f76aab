-- Who is signed in to the web pages.

-- name: session
SELECT digest, user_id, api_key_id, password_fingerprint, created_at, expires_at, last_seen_at
FROM sessions
WHERE digest = :digest;

-- name: add_session!
INSERT INTO sessions (digest, user_id, api_key_id, password_fingerprint, created_at, expires_at, last_seen_at)
VALUES (:digest, :user_id, :api_key_id, :password_fingerprint, :created_at, :expires_at, :last_seen_at);

-- name: session_seen!
UPDATE sessions SET last_seen_at = :at WHERE digest = :digest AND last_seen_at < :at;

-- name: end_session!
DELETE FROM sessions WHERE digest = :digest;

-- name: sweep_sessions!
DELETE FROM sessions WHERE expires_at <= :now OR last_seen_at <= :unused_since;
