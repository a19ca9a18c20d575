-- name: events
-- A page of a run's records, in order.
SELECT sequence, at, record FROM journal WHERE run = ? AND sequence > ? ORDER BY sequence LIMIT ?;

-- name: last_sequence
-- The number of the last record of a run.
SELECT max(sequence) FROM journal WHERE run = ?;

-- name: runs
-- Every column of a run and its last sequence; a WHERE, an ORDER BY and a LIMIT are added.
SELECT number, id, workflow, kind, environment, definition, started_by, origin, origin_reason, start_key,
       slot_group, holds_slot, owner, labels, accepted_at,
       status, waiting_for, waiting_since, started_at, ended_at, outcome, message, questions,
       (SELECT max(sequence) FROM journal WHERE journal.run = runs.number)
FROM runs

-- name: open_questions
-- The open runs that ask people something, oldest first.
SELECT number, id, workflow, kind, environment, started_by, owner, accepted_at, questions
FROM runs INDEXED BY runs_asking WHERE questions IS NOT NULL AND number > ? ORDER BY number LIMIT ?;

-- name: count_asking
-- How many open runs ask people something.
SELECT count(*) FROM runs INDEXED BY runs_asking WHERE questions IS NOT NULL;

-- name: act_records
-- The records of all runs that may tell of an act, the newest first.
SELECT run, sequence, at, record FROM journal INDEXED BY journal_acts
WHERE (instr(record, X'226279223A') OR instr(record, X'22737461727465645F6279223A'))
  AND at >= ? AND (at, run, sequence) < (?, ?, ?)
ORDER BY at DESC, run DESC, sequence DESC LIMIT ?;

-- name: counts
-- How many runs there are in each status.
SELECT status, count(*) FROM runs GROUP BY status ORDER BY status;

-- name: news
-- What has changed in the lists behind a position, each thing once, in the order of its last change.
SELECT position, about, number FROM news WHERE position > ? ORDER BY position LIMIT ?;

-- name: last_news
-- The position of the last change that there ever was.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'news'), 0);

-- name: definition
-- The text that a run started with.
SELECT digest, text, path, git_commit FROM definitions WHERE digest = ?;

-- name: artifacts
-- What the steps of a run kept, in the order of keeping.
SELECT run, path, attempt, name, digest, size, kept_at FROM artifacts WHERE run = ?
ORDER BY kept_at, path, attempt, name;

-- name: places_taken
-- The open runs that are in an environment, first come first.
SELECT run FROM places JOIN runs ON runs.number = places.run
WHERE places.environment = ? AND runs.ended_at IS NULL ORDER BY run;

-- name: slots_taken
-- How many open runs hold a slot of a group.
SELECT count(*) FROM runs WHERE slot_group = ? AND ended_at IS NULL AND holds_slot = 1;
