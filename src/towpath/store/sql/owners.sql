-- name: enter
-- A process begins to drive runs.
INSERT INTO owners (id, pid, host, command, started_at) VALUES (?, ?, ?, ?, ?);

-- name: leave
-- A process says goodbye.
UPDATE owners SET left_at = ? WHERE id = ? AND left_at IS NULL;

-- name: owner
-- One owner.
SELECT id, pid, host, command, started_at, left_at FROM owners WHERE id = ?;

-- name: owners
-- The owners that did not say goodbye or still own a run that has not ended, oldest first.
SELECT id, pid, host, command, started_at, left_at FROM owners
WHERE left_at IS NULL OR EXISTS (SELECT 1 FROM runs WHERE owner = owners.id AND ended_at IS NULL)
ORDER BY started_at, id;

-- name: owns_open_run
-- Whether an owner still owns a run that has not ended.
SELECT 1 FROM runs WHERE owner = ? AND ended_at IS NULL LIMIT 1;

-- name: owner_of
-- Who owns a run.
SELECT owner FROM runs WHERE number = ?;

-- name: claim
-- Take a run over, if it still belongs to whom we saw.
UPDATE runs SET owner = ?1 WHERE number = ?2 AND owner IS ?3;
