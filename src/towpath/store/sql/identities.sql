-- name: users
-- Everybody of whom something is kept.
SELECT name, title, email, subject, made_at, disabled_at FROM users ORDER BY name;

-- name: user
-- One of them.
SELECT name, title, email, subject, made_at, disabled_at FROM users WHERE name = ?;

-- name: user_by_subject
-- Whom the identity provider means.
SELECT name, title, email, subject, made_at, disabled_at FROM users WHERE subject = ? AND subject <> '';

-- name: write_user
-- Keep what is known of somebody, anew.
INSERT INTO users (name, title, email, subject, made_at, disabled_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, email = excluded.email, subject = excluded.subject,
  made_at = excluded.made_at, disabled_at = excluded.disabled_at;

-- name: token
-- One token.
SELECT id, digest, owner, name, scope, made_at, made_by, expires_at, last_used_at, revoked_at FROM tokens WHERE id = ?;

-- name: tokens
-- All tokens, the newest first.
SELECT id, digest, owner, name, scope, made_at, made_by, expires_at, last_used_at, revoked_at FROM tokens
ORDER BY made_at DESC, id;

-- name: tokens_of
-- The tokens that act for somebody, the newest first.
SELECT id, digest, owner, name, scope, made_at, made_by, expires_at, last_used_at, revoked_at FROM tokens
WHERE owner = ? ORDER BY made_at DESC, id;

-- name: count_tokens
-- How many tokens of somebody may still be used.
SELECT count(*) FROM tokens WHERE owner = ? AND revoked_at IS NULL AND expires_at > ?;

-- name: add_token
-- Keep a new token.
INSERT INTO tokens (id, digest, owner, name, scope, made_at, made_by, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: touch_token
-- Note when a token was used.
UPDATE tokens SET last_used_at = ? WHERE id = ?;

-- name: revoke_token
-- A token is not valid any more.
UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL;

-- name: token_makers
-- Who made tokens that act for somebody, valid still or not.
SELECT DISTINCT made_by FROM tokens WHERE owner = ?;

-- name: session
-- One session.
SELECT id, digest, owner, way, token, groups, agent, made_at, seen_at, ends_at, ended_at FROM sessions WHERE id = ?;

-- name: sessions
-- The sessions that go on, the newest first.
SELECT id, digest, owner, way, token, groups, agent, made_at, seen_at, ends_at, ended_at FROM sessions
WHERE ended_at IS NULL AND ends_at > ? ORDER BY made_at DESC, id;

-- name: sessions_of
-- The sessions of somebody that go on, the newest first.
SELECT id, digest, owner, way, token, groups, agent, made_at, seen_at, ends_at, ended_at FROM sessions
WHERE owner = ? AND ended_at IS NULL AND ends_at > ? ORDER BY made_at DESC, id;

-- name: add_session
-- Keep a new session.
INSERT INTO sessions (id, digest, owner, way, token, groups, agent, made_at, seen_at, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: touch_session
-- Note when a session was used.
UPDATE sessions SET seen_at = ? WHERE id = ?;

-- name: end_session
-- A session is over.
UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL;

-- name: end_sessions_of
-- All sessions of somebody are over.
UPDATE sessions SET ended_at = ? WHERE owner = ? AND ended_at IS NULL;

-- name: end_sessions_of_token
-- All sessions that began with a token are over.
UPDATE sessions SET ended_at = ? WHERE token = ? AND ended_at IS NULL;

-- name: link
-- One login link.
SELECT id, digest, owner, made_at, made_by, ends_at, used_at FROM login_links WHERE id = ?;

-- name: add_link
-- Keep a new login link.
INSERT INTO login_links (id, digest, owner, made_at, made_by, ends_at) VALUES (?, ?, ?, ?, ?, ?);

-- name: use_link
-- A login link is used up, once.
UPDATE login_links SET used_at = ?1 WHERE id = ?2 AND used_at IS NULL AND ends_at > ?1;

-- name: withdraw_links
-- Every login link of somebody that was not used is void.
UPDATE login_links SET ends_at = ?1 WHERE owner = ?2 AND used_at IS NULL AND ends_at > ?1;

-- name: last_link
-- The last act, to which the next one is linked.
SELECT link FROM identity_acts ORDER BY id DESC LIMIT 1;

-- name: add_act
-- Note what somebody did.
INSERT INTO identity_acts (at, by, did, about, text, link) VALUES (?, ?, ?, ?, ?, ?);

-- name: acts
-- What was done, the newest first, one page.
SELECT id, at, by, did, about, text FROM identity_acts WHERE id < ? ORDER BY id DESC LIMIT ?;

-- name: acts_in_order
-- What was done, in order, as bytes, with the links and the last number that was given at that moment.
SELECT id, at, CAST(by AS BLOB), CAST(did AS BLOB), CAST(about AS BLOB), CAST(text AS BLOB), link,
  (SELECT seq FROM sqlite_sequence WHERE name = 'identity_acts')
FROM identity_acts ORDER BY id;

-- name: acts_are_kept
-- Whether there is a record of acts at all.
SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'identity_acts');

-- name: acts_given
-- The last number that an act was given, there or gone.
SELECT seq FROM sqlite_sequence WHERE name = 'identity_acts';

-- name: has_done
-- Whether anybody has ever done this.
SELECT EXISTS (SELECT 1 FROM identity_acts WHERE did = ?);

-- name: old_sessions
-- How many sessions are over since then.
SELECT count(*) FROM sessions WHERE min(ends_at, coalesce(ended_at, ends_at)) < ?;

-- name: forget_sessions
-- Delete the sessions that are over since then.
DELETE FROM sessions WHERE min(ends_at, coalesce(ended_at, ends_at)) < ?;

-- name: old_links
-- How many login links are void since then.
SELECT count(*) FROM login_links WHERE min(ends_at, coalesce(used_at, ends_at)) < ?;

-- name: forget_links
-- Delete the login links that are void since then.
DELETE FROM login_links WHERE min(ends_at, coalesce(used_at, ends_at)) < ?;
