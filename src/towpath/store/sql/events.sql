-- name: known
-- The event that the same delivery made before.
SELECT id FROM events WHERE source = ? AND delivery = ?;

-- name: repeat
-- Note that the same delivery came again.
UPDATE events SET repeats = repeats + 1, repeated_at = ? WHERE id = ?;

-- name: put
-- Keep an event.
INSERT INTO events (source, delivery, kind, title, received_at, way, secrets, headers, payload, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'received');

-- name: count_waiting
-- How many events nobody has decided about, counted up to a limit.
SELECT count(*) FROM (SELECT 1 FROM events WHERE state = 'received' LIMIT ?);

-- name: waiting_owners
-- The processes that are deciding about events.
SELECT DISTINCT owner FROM events WHERE state = 'received' AND owner != '';

-- name: next_waiting
-- The oldest event about which none of the given processes is deciding.
SELECT id FROM events WHERE state = 'received' AND owner NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1;

-- name: begin
-- Begin to decide about an event.
UPDATE events SET owner = ?, attempts = attempts + 1 WHERE id = ? AND state = 'received';

-- name: settle
-- Note what was decided, unless another process has taken the event over.
UPDATE events SET state = ?, because = ?, reactions = ?, settled_at = ?, owner = ''
WHERE id = ? AND owner = ? AND state = 'received';

-- name: reactions
-- What was decided about an event.
SELECT reactions FROM events WHERE id = ?;

-- name: react
-- Note what became of an event later on.
UPDATE events SET state = ?, reactions = ?, settled_at = ? WHERE id = ?;

-- name: held
-- The event that an entry holds back.
SELECT event FROM event_holds WHERE key = ?;

-- name: hold
-- Hold an event back until its entry has been quiet for a while; what was held back before makes room.
INSERT INTO event_holds (key, event, due_at) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE SET event = ?2, due_at = ?3;

-- name: due_holds
-- What was held back for long enough.
SELECT key, event, due_at FROM event_holds WHERE due_at <= ? ORDER BY due_at, key;

-- name: next_hold
-- When something that is held back is due next.
SELECT min(due_at) FROM event_holds;

-- name: release
-- Hold an event back no longer, unless a later one has taken its place.
DELETE FROM event_holds WHERE key = ? AND event = ?;

-- name: again
-- Let an event be decided about once more.
UPDATE events SET state = 'received', owner = '', attempts = 0, settled_at = NULL, because = '', reactions = '[]'
WHERE id = ? AND state != 'received';

-- name: release_event
-- Hold an event back nowhere any more.
DELETE FROM event_holds WHERE event = ?;

-- name: event
-- One event, without its payload.
SELECT id, source, delivery, kind, title, received_at, way, secrets, headers, length(payload), state, owner, attempts,
  settled_at, because, reactions, repeats, repeated_at
FROM events WHERE id = ?;

-- name: payload
-- What an event holds.
SELECT payload FROM events WHERE id = ?;

-- name: last
-- The newest event.
SELECT max(id) FROM events;

-- name: events
-- Events without their payloads, newest first.
SELECT id, source, delivery, kind, title, received_at, way, secrets, headers, length(payload), state, owner, attempts,
  settled_at, because, reactions, repeats, repeated_at
FROM events
WHERE (?1 = '[]' OR state IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR source = ?2 OR source LIKE ?2 || '/%')
  AND (?3 IS NULL OR kind = ?3 OR kind LIKE ?3 || '.%') AND (?4 IS NULL OR received_at >= ?4) AND (?5 IS NULL OR id < ?5)
ORDER BY id DESC LIMIT ?6;

-- name: counts
-- How many events there are in each state.
SELECT state, count(*) FROM events GROUP BY state ORDER BY state;

-- name: count_old
-- How many events were decided about before a moment.
SELECT count(*) FROM events WHERE settled_at < ? AND state NOT IN ('received', 'held');

-- name: forget
-- Forget events that were decided about before a moment.
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE settled_at < ? AND state NOT IN ('received', 'held') LIMIT ?);

-- name: mark
-- Up to where everything is done.
SELECT value, version FROM event_marks WHERE name = ?;

-- name: set_first_mark
-- Say for the first time up to where everything is done.
INSERT OR IGNORE INTO event_marks (name, value, version, moved_at) VALUES (?, ?, 1, ?);

-- name: move_mark
-- Say up to where everything is done, unless somebody else has said so meanwhile.
UPDATE event_marks SET value = ?, version = version + 1, moved_at = ? WHERE name = ? AND version = ?;
