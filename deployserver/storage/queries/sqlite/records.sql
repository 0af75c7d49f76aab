-- name: last_deployment_id$
SELECT seq FROM sqlite_sequence WHERE name = 'deployments';

-- name: forget_last_deployment_id!
DELETE FROM sqlite_sequence WHERE name = 'deployments';

-- name: set_last_deployment_id!
INSERT INTO sqlite_sequence (name, seq) VALUES ('deployments', :last);

-- name: take_index$
SELECT deployment_id FROM indexed;
