-- What is asked of the records with no filter; what is asked with one is put together in records.py.

-- name: unindexed$
SELECT max(0, (SELECT coalesce(max(id), 0) FROM deployments) - deployment_id) FROM indexed;

-- name: newest_name$
SELECT coalesce(max(id), 0) FROM names;
