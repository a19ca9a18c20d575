-- name: append
-- One record at the end of a run; more rows are added to the VALUES when there are more.
INSERT INTO journal (run, sequence, at, record, link) VALUES (?, ?, ?, ?, ?);

-- name: link
-- The link of a record.
SELECT link FROM journal WHERE run = ? AND sequence = ?;

-- name: forgotten_link
-- The first link of a run that retention has removed.
SELECT link FROM forgotten WHERE number = ?;

-- name: chain
-- Every record with its link, in the order of the chain.
SELECT run, sequence, at, record, link FROM journal ORDER BY run, sequence;

-- name: runs_kept
-- Every run of the list, and whether it has ended.
SELECT number, ended_at IS NOT NULL FROM runs ORDER BY number;

-- name: runs_forgotten
-- Every run that retention has removed, with its first link.
SELECT number, link FROM forgotten ORDER BY number;

-- name: last_sequence
-- The number of the last record of a run.
SELECT max(sequence) FROM journal WHERE run = ?;

-- name: knows_definition
-- Whether the text of a definition is kept already.
SELECT 1 FROM definitions WHERE digest = ?;

-- name: keep_definition
-- Keep the text that a run starts with; the first one who brings it says where it came from.
INSERT INTO definitions (digest, text, path, git_commit, recorded_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (digest) DO NOTHING;

-- name: started_by_keys
-- The runs that start keys have started, be it that retention has removed them; the keys come as a JSON list.
SELECT start_key, number, id FROM runs WHERE start_key IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT start_key, number, id FROM spent_keys WHERE start_key IN (SELECT value FROM json_each(?1));

-- name: last_number
-- The highest number that a run ever had.
SELECT seq FROM sqlite_sequence WHERE name = 'runs';

-- name: accept
-- New runs; a number is given once and never again.
INSERT INTO runs (number, id, workflow, kind, environment, definition, started_by, origin, origin_reason, start_key,
                  slot_group, holds_slot, owner, labels, accepted_at,
                  status, waiting_for, waiting_since, started_at, ended_at, outcome, message, questions)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: summarise
-- What the lists show of runs from now on.
WITH new (status, waiting_for, waiting_since, started_at, ended_at, outcome, message, questions, number) AS (
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
)
UPDATE runs SET (status, waiting_for, waiting_since, started_at, ended_at, outcome, message, questions) =
  (new.status, new.waiting_for, new.waiting_since, new.started_at, new.ended_at, new.outcome, new.message,
   new.questions)
FROM new WHERE runs.number = new.number;

-- name: slots_taken
-- How many open runs hold a slot of a group.
SELECT count(*) FROM runs WHERE slot_group = ? AND ended_at IS NULL AND holds_slot = 1;

-- name: queues_before
-- Whether an earlier run still queues for a slot of the group.
SELECT 1 FROM runs WHERE slot_group = ?1 AND ended_at IS NULL AND holds_slot = 0 AND (?2 IS NULL OR number < ?2) LIMIT 1;

-- name: trials
-- How many runs of a version of a workflow have started on their own since a run.
SELECT count(*) FROM runs
WHERE definition = ?2 AND workflow = ?1 AND number > ?3 AND origin_reason IS NULL;

-- name: hold_slot
-- A run leaves the queue and holds a slot.
UPDATE runs SET slot_group = ?, holds_slot = 1 WHERE number = ?;

-- name: leave_places
-- Runs that have ended, or are forgotten, are in the environment no more.
DELETE FROM places WHERE environment = ? AND run NOT IN (SELECT number FROM runs WHERE ended_at IS NULL);

-- name: enter
-- The run is in the environment, where it has places enough; nothing changes where it is in it already.
INSERT OR IGNORE INTO places (environment, run)
SELECT ?1, ?2 WHERE (SELECT count(*) FROM places WHERE environment = ?1 AND run <> ?2) < ?3;

-- name: is_in
-- Whether a run is in an environment.
SELECT 1 FROM places WHERE environment = ? AND run = ?;

-- name: message_waits
-- Whether a message still waits for a run.
SELECT 1 FROM mailbox WHERE id = ?1 AND (?2 IS NULL OR run = ?2) AND taken_at IS NULL;

-- name: take_message
-- The owner of a run has acted on a message.
UPDATE mailbox SET taken_at = ?, reply = ? WHERE id = ?;
