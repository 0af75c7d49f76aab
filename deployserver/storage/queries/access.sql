-- What decides who may record where: feeds, keys, users, privileges.

-- name: revision$
SELECT revision FROM access_revision;

-- name: raise_revision!
UPDATE access_revision SET revision = revision + 1;

-- name: feeds
SELECT id, name, type, active, deployment_records_enabled FROM feeds ORDER BY id;

-- name: alternate_names
SELECT feed_id, name FROM feed_names WHERE is_alternate ORDER BY feed_id, name_key;

-- name: add_feed$
INSERT INTO feeds (name, type, created_at) VALUES (:name, :type, :created_at) RETURNING id;

-- name: update_feed!
UPDATE feeds
SET name = :name, type = :type, active = :active, deployment_records_enabled = :deployment_records_enabled
WHERE id = :id;

-- name: add_feed_name!
INSERT INTO feed_names (name_key, name, feed_id, is_alternate) VALUES (:name_key, :name, :feed_id, :is_alternate);

-- name: remove_feed_names!
DELETE FROM feed_names WHERE feed_id = :feed_id;

-- name: count_deployments$
SELECT count(*)
FROM installations AS i JOIN deployments AS d ON d.installation_id = i.id
WHERE i.feed_id = :feed_id;

-- name: users
SELECT id, name, password_hash, created_at FROM users ORDER BY id;

-- name: add_user$
INSERT INTO users (name, name_key, password_hash, created_at)
VALUES (:name, :name_key, :password_hash, :created_at)
RETURNING id;

-- name: set_password!
UPDATE users SET password_hash = :password_hash WHERE id = :id;

-- name: remove_user!
DELETE FROM users WHERE id = :id;

-- name: api_keys
SELECT id, kind, name, hint, digest, scopes, user_id, created_at, expires_at, revoked_at, last_used_at
FROM api_keys
ORDER BY id;

-- name: api_key_feeds
SELECT api_key_id, feed_id FROM api_key_feeds;

-- name: add_api_key_feed!
INSERT INTO api_key_feeds (api_key_id, feed_id) VALUES (:api_key_id, :feed_id);

-- name: revoke_api_key!
UPDATE api_keys SET revoked_at = :revoked_at WHERE id = :id;

-- name: api_key_used!
UPDATE api_keys SET last_used_at = :at WHERE id = :id AND coalesce(last_used_at, 0) < :at;

-- name: privileges
SELECT p.id, coalesce(u.name, p.principal), p.user_id, p.privilege, p.feed_id, p.granted
FROM privileges AS p LEFT JOIN users AS u ON u.id = p.user_id
ORDER BY p.id;

-- name: add_privilege$
INSERT INTO privileges (principal, user_id, privilege, feed_id, granted, created_at)
VALUES (:principal, :user_id, :privilege, :feed_id, :granted, :created_at)
RETURNING id;

-- name: remove_privilege!
DELETE FROM privileges WHERE id = :id;
