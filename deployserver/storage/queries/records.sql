-- What is asked of the records with no filter; what is asked with one is put together in records.py.

-- name: unindexed$
SELECT max(0, (SELECT coalesce(max(id), 0) FROM deployments) - deployment_id) FROM indexed;

-- name: newest_name$
SELECT coalesce(max(id), 0) FROM names;

-- name: last_deployment_id$
SELECT seq FROM sqlite_sequence WHERE name = 'deployments';

-- name: forget_last_deployment_id!
DELETE FROM sqlite_sequence WHERE name = 'deployments';

-- name: set_last_deployment_id!
INSERT INTO sqlite_sequence (name, seq) VALUES ('deployments', :last);
