-- Who changed what, and who was refused.

-- name: add_audit_entry!
INSERT INTO audit (at, last_at, count, actor, address, action, subject, detail, tally_key)
VALUES (:at, :last_at, :count, :actor, :address, :action, :subject, :detail, :tally_key)
ON CONFLICT (tally_key) DO UPDATE SET
    count = audit.count + excluded.count,
    at = CASE WHEN excluded.at < audit.at THEN excluded.at ELSE audit.at END,
    last_at = CASE WHEN excluded.last_at > audit.last_at THEN excluded.last_at ELSE audit.last_at END;

-- name: audit_entries
SELECT id, at, last_at, count, actor, address, action, subject, detail
FROM audit
ORDER BY id DESC
LIMIT :limit;
