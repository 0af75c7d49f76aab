-- name: add_api_key$
-- Without an id it gets the next one.
INSERT INTO api_keys (id, kind, name, hint, digest, scopes, user_id, created_at, expires_at)
VALUES (:id, :kind, :name, :hint, :digest, :scopes, :user_id, :created_at, :expires_at)
RETURNING id;

-- name: remove_feed!
DELETE FROM feeds WHERE id = :id;
