-- name: count_open
-- How many sendings wait or are being sent, counted up to a limit.
SELECT count(*) FROM (SELECT 1 FROM outbox WHERE state IN ('waiting', 'sending') LIMIT ?);

-- name: is_known
-- Whether a notice was put before for somebody who could be reached.
SELECT 1 FROM outbox WHERE notice = ? AND state != 'unreachable';

-- name: keep_notice
-- Keep what a notice says; what it said first, counts.
INSERT OR IGNORE INTO notices (id, run, path, why, at, body) VALUES (?, ?, ?, ?, ?, ?);

-- name: forget_unreachable
-- Delete the rows that say of a notice that somebody could not be reached: it is put again.
DELETE FROM outbox WHERE notice = ? AND state = 'unreachable';

-- name: put
-- Keep one sending of a notice, unless there is one for the same recipient and channel.
INSERT OR IGNORE INTO outbox (notice, recipient, channel, address, state, owner, due_at, ended_at, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: due
-- The sendings of an owner in a channel whose time has come, oldest first.
SELECT id FROM outbox WHERE state = 'waiting' AND owner = ? AND channel = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?;

-- name: begin
-- Begin an attempt of a sending that waits.
UPDATE outbox SET state = 'sending', attempts = attempts + 1, tried_at = ? WHERE id = ? AND state = 'waiting';

-- name: end
-- Note how an attempt ended, unless another process has taken the sending over.
UPDATE outbox SET
  state = CASE WHEN ?2 = '' THEN 'sent' WHEN recalled_at IS NOT NULL THEN 'recalled' WHEN ?3 IS NULL THEN 'given_up' ELSE 'waiting' END,
  ended_at = CASE WHEN ?2 = '' OR ?3 IS NULL OR recalled_at IS NOT NULL THEN ?1 END,
  due_at = coalesce(?3, due_at),
  error = ?2
WHERE id = ?4 AND state = 'sending' AND attempts = ?5 AND owner = ?6;

-- name: recall_waiting
-- Take back what waits to be told about a question.
UPDATE outbox SET state = 'recalled', recalled_at = ?1, ended_at = ?1, error = ?2
WHERE state = 'waiting' AND notice IN (SELECT id FROM notices WHERE run = ?3 AND path = ?4 AND why IN (SELECT value FROM json_each(?5)));

-- name: recall_sending
-- Keep what is being told about a question from being told again when it fails.
UPDATE outbox SET recalled_at = ?1
WHERE state = 'sending' AND notice IN (SELECT id FROM notices WHERE run = ?2 AND path = ?3 AND why IN (SELECT value FROM json_each(?4)));

-- name: other_owners
-- The other processes to which sendings belong that are not done.
SELECT DISTINCT owner FROM outbox WHERE state IN ('waiting', 'sending') AND owner != ?;

-- name: adopt
-- Take over the sendings of a process that is gone; what it was sending may have arrived.
UPDATE outbox SET
  owner = ?1,
  error = CASE WHEN state = 'sending'
    THEN 'the process that sent it ended during attempt ' || attempts || ': it may have arrived' ELSE error END,
  ended_at = CASE WHEN state = 'sending' AND recalled_at IS NOT NULL THEN ?2 END,
  due_at = CASE WHEN state = 'sending' THEN ?2 ELSE due_at END,
  state = CASE WHEN state = 'sending' AND recalled_at IS NOT NULL THEN 'recalled' ELSE 'waiting' END
WHERE owner = ?3 AND state IN ('waiting', 'sending');

-- name: next_due
-- When the next sending of an owner in a channel is due.
SELECT min(due_at) FROM outbox WHERE state = 'waiting' AND owner = ? AND channel = ?;

-- name: channels_waiting
-- The channels in which something of an owner waits.
SELECT DISTINCT channel FROM outbox WHERE state = 'waiting' AND owner = ? ORDER BY channel;

-- name: try_again
-- Let a sending that was given up wait again, for whoever comes first, and one that waits for its next attempt be due.
UPDATE outbox SET
  owner = CASE state WHEN 'given_up' THEN '' ELSE owner END,
  attempts = CASE state WHEN 'given_up' THEN 0 ELSE attempts END,
  state = 'waiting', due_at = ?, ended_at = NULL, recalled_at = NULL
WHERE id = ? AND state IN ('given_up', 'waiting');

-- name: counts
-- How many sendings there are in each state.
SELECT state, count(*) FROM outbox GROUP BY state ORDER BY state;

-- name: sendings
-- Sendings with what they say, newest first.
SELECT outbox.id, notice, run, path, why, at, body, recipient, channel, address, state, owner, attempts, due_at, tried_at, ended_at, error
FROM outbox JOIN notices ON notices.id = outbox.notice
WHERE (?1 IS NULL OR run = ?1) AND (?2 IS NULL OR path = ?2) AND (?3 IS NULL OR notice = ?3)
  AND (?4 IS NULL OR recipient = ?4) AND (?5 IS NULL OR channel = ?5)
  AND (?6 = '[]' OR state IN (SELECT value FROM json_each(?6))) AND (?7 IS NULL OR outbox.id < ?7)
ORDER BY outbox.id DESC LIMIT ?8;

-- name: sendings_of_run
-- Sendings of one run with what they say, newest first.
SELECT outbox.id, notice, run, path, why, at, body, recipient, channel, address, state, owner, attempts, due_at, tried_at, ended_at, error
FROM notices INDEXED BY notices_of_run JOIN outbox ON outbox.notice = notices.id
WHERE run = ?1 AND (?2 IS NULL OR path = ?2) AND (?3 IS NULL OR notice = ?3)
  AND (?4 IS NULL OR recipient = ?4) AND (?5 IS NULL OR channel = ?5)
  AND (?6 = '[]' OR state IN (SELECT value FROM json_each(?6))) AND (?7 IS NULL OR outbox.id < ?7)
ORDER BY outbox.id DESC LIMIT ?8;

-- name: sending
-- One sending, with what it says.
SELECT outbox.id, notice, run, path, why, at, body, recipient, channel, address, state, owner, attempts, due_at, tried_at, ended_at, error
FROM outbox JOIN notices ON notices.id = outbox.notice WHERE outbox.id = ?;
