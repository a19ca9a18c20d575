-- name: keep_artifact
-- Note that a step kept a file; keeping it again under the same name replaces the note.
INSERT INTO artifacts (run, path, attempt, name, digest, size, kept_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, path, attempt, name) DO UPDATE SET digest = excluded.digest, size = excluded.size, kept_at = excluded.kept_at;

-- name: next_journalled_run
-- The next run that the journal knows: one step in the tree, however many records a run has.
SELECT run FROM journal WHERE run > ? ORDER BY run LIMIT 1;

-- name: owners_of_runs
-- Who owns which run: the one thing in the list that the journal does not tell.
SELECT number, owner FROM runs WHERE owner IS NOT NULL;

-- name: forget_rows
-- Empty the list, to write it anew.
DELETE FROM runs;

-- name: write_row
-- A run as the journal tells it.
INSERT INTO runs (number, id, workflow, kind, environment, definition, started_by, origin, origin_reason, start_key,
                  slot_group, holds_slot, owner, labels, accepted_at,
                  status, waiting_for, waiting_since, started_at, ended_at, outcome, message, questions)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
