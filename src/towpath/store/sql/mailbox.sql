-- name: has_run
-- Whether there is such a run.
SELECT 1 FROM runs WHERE number = ?;

-- name: waiting
-- How many messages wait for a run.
SELECT count(*) FROM mailbox WHERE run = ? AND taken_at IS NULL;

-- name: post
-- Leave a message for the owner of a run.
INSERT INTO mailbox (run, posted_at, stimulus) VALUES (?, ?, ?);

-- name: waiting_for_owner
-- The messages for the runs of an owner, oldest first.
SELECT mailbox.id, mailbox.run, mailbox.posted_at, mailbox.stimulus, mailbox.taken_at, mailbox.reply
FROM mailbox INDEXED BY mailbox_waiting JOIN runs ON runs.number = mailbox.run
WHERE mailbox.taken_at IS NULL AND runs.owner = ?
ORDER BY mailbox.id LIMIT ?;

-- name: message
-- One message, for its sender.
SELECT id, run, posted_at, stimulus, taken_at, reply FROM mailbox WHERE id = ?;
