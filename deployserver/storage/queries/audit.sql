-- Who changed what, and who was refused.

-- name: add_audit_entry!
INSERT INTO audit (at, last_at, count, actor, address, action, subject, detail, tally_key)
VALUES (:at, :last_at, :count, :actor, :address, :action, :subject, :detail, :tally_key)
ON CONFLICT (tally_key) DO UPDATE SET count = audit.count + excluded.count, last_at = excluded.last_at;

-- name: audit_entries
SELECT id, at, last_at, count, actor, address, action, subject, detail
FROM audit
ORDER BY id DESC
LIMIT :limit;
