-- name: ended_runs
-- Every run that has ended, newest first, with whether an open run belongs to it.
SELECT number, id, workflow, status, ended_at,
       EXISTS (SELECT 1 FROM runs AS other
               WHERE other.ended_at IS NULL AND (other.origin = runs.number OR other.number = runs.origin))
FROM runs WHERE ended_at IS NOT NULL ORDER BY number DESC;

-- name: journal_bytes
-- How much of the journal belongs to a run.
SELECT coalesce(sum(length(record)), 0) FROM journal WHERE run = ?;

-- name: has_ended
-- Whether a run is there and has ended.
SELECT 1 FROM runs WHERE number = ? AND ended_at IS NOT NULL;

-- name: begin_forgetting
-- Allow the rows of a run to be deleted, until the end of this transaction.
INSERT INTO forgetting (run) VALUES (?);

-- name: remember_link
-- Remember where the chain went through a run that goes.
INSERT OR IGNORE INTO forgotten (number, link, forgotten_at)
SELECT run, link, CAST(strftime('%s', 'now') AS INTEGER) * 1000000 FROM journal WHERE run = ? AND sequence = 1;

-- name: forget_journal
-- Delete the records of a run.
DELETE FROM journal WHERE run = ?;

-- name: forget_messages
-- Delete the messages for a run.
DELETE FROM mailbox WHERE run = ?;

-- name: forget_artifacts
-- Delete the notes about what a run kept.
DELETE FROM artifacts WHERE run = ?;

-- name: forget_sendings
-- Delete whom a run had told what.
DELETE FROM outbox WHERE notice IN (SELECT id FROM notices WHERE run = ?);

-- name: forget_notices
-- Delete what a run had people told.
DELETE FROM notices WHERE run = ?;

-- name: remember_key
-- Remember the start key of a run that goes.
INSERT OR IGNORE INTO spent_keys (start_key, number, id)
SELECT start_key, number, id FROM runs WHERE number = ? AND start_key IS NOT NULL;

-- name: forget_run
-- Delete a run from the list.
DELETE FROM runs WHERE number = ?;

-- name: end_forgetting
-- Forbid deleting again.
DELETE FROM forgetting WHERE run = ?;

-- name: definitions
-- Every definition that is no version of a workflow, with its size.
SELECT digest, length(text) FROM definitions WHERE digest NOT IN (SELECT digest FROM versions);

-- name: definitions_of_runs
-- Which run refers to which definition.
SELECT definition, number FROM runs;

-- name: forget_definition
-- Delete a definition, unless a run has come that refers to it.
DELETE FROM definitions WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE definition = ?1)
  AND NOT EXISTS (SELECT 1 FROM versions WHERE digest = ?1);

-- name: references
-- Which run refers to which stored file.
SELECT digest, run FROM artifacts;

-- name: numbers
-- The numbers of all runs.
SELECT number FROM runs;

-- name: forget_answered
-- Delete messages that were taken long enough ago for their senders to have read the reply.
DELETE FROM mailbox WHERE taken_at < ?;

-- name: forget_owners
-- Delete the owners that said goodbye long ago and own no open run.
DELETE FROM owners WHERE left_at < ? AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.owner = owners.id AND ended_at IS NULL);

-- name: silent_owners
-- The owners that own no open run and never said goodbye.
SELECT id FROM owners WHERE left_at IS NULL AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.owner = owners.id AND ended_at IS NULL);

-- name: forget_owner
-- Delete an owner.
DELETE FROM owners WHERE id = ?;
