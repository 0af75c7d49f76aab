-- What is asked of the records with no filter; what is asked with one is put together in records.py.

-- name: unindexed$
SELECT coalesce(max(id), 0) - (SELECT deployment_id FROM indexed) FROM deployments;

-- name: newest_name$
SELECT coalesce(max(id), 0) FROM names;
