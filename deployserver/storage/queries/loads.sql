-- What has been loaded from files, and how far.

-- name: load_of
SELECT id, name, finished_at, position, digest, lines, loaded, refused, refused_bytes
FROM loads
WHERE fingerprint = :fingerprint;

-- name: begin_load!
INSERT INTO loads (
    fingerprint, name, actor, started_at, changed_at, position, digest, lines, loaded, refused, refused_bytes
)
VALUES (:fingerprint, :name, :actor, :at, :at, 0, '', 0, 0, 0, 0)
ON CONFLICT (fingerprint) DO UPDATE SET
    name = excluded.name, actor = excluded.actor, started_at = excluded.started_at, changed_at = excluded.changed_at,
    finished_at = NULL, position = 0, digest = '', lines = 0, loaded = 0, refused = 0, refused_bytes = 0;

-- name: advance_load$
UPDATE loads SET
    changed_at = :at, finished_at = :finished_at, position = :position, digest = :digest, lines = :lines,
    loaded = :loaded, refused = :refused, refused_bytes = :refused_bytes
WHERE id = :id AND position = :before AND lines = :before_lines
RETURNING id;
