-- name: last_deployment_id$
SELECT last FROM deployment_ids;

-- name: forget_last_deployment_id!
UPDATE deployment_ids SET last = 0;

-- name: set_last_deployment_id!
UPDATE deployment_ids SET last = :last;

-- name: take_index$
-- Nothing if another has taken it.
SELECT deployment_id FROM indexed FOR UPDATE SKIP LOCKED;
