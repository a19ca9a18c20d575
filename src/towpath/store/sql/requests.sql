-- name: request
-- What is known of a request by its key.
SELECT fingerprint, owner, began_at, status, headers, body FROM requests WHERE actor = ? AND key = ?;

-- name: begin
-- Note that a request is being answered.
INSERT INTO requests (actor, key, fingerprint, owner, began_at) VALUES (?, ?, ?, ?, ?);

-- name: take_over
-- Answer a request whose process is gone; when it was asked first is kept.
UPDATE requests SET owner = ? WHERE actor = ? AND key = ? AND owner = ? AND status IS NULL;

-- name: answer
-- Keep how a request was answered.
UPDATE requests SET status = ?, headers = ?, body = ? WHERE actor = ? AND key = ?;

-- name: release
-- Forget a request that did nothing.
DELETE FROM requests WHERE actor = ? AND key = ? AND status IS NULL;

-- name: forget
-- Forget requests from before a moment, a bounded number at once.
DELETE FROM requests WHERE (actor, key) IN (SELECT actor, key FROM requests WHERE began_at < ? LIMIT 1000);

-- name: count
-- How many requests somebody has that are remembered.
SELECT count(*) FROM requests WHERE actor = ?;
