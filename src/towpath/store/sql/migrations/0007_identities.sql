-- Who may sign in, and with what. Of every secret only a digest is kept.

-- People who were made here or came from the identity provider; of people of towpath.yaml only what the file does not say.
CREATE TABLE users (
  name        TEXT    PRIMARY KEY,
  title       TEXT    NOT NULL DEFAULT '',
  email       TEXT    NOT NULL DEFAULT '',
  subject     TEXT    NOT NULL DEFAULT '',  -- the identity provider and its id of the person
  made_at     INTEGER,                      -- microseconds since 1970, UTC; NULL: the person stands in towpath.yaml
  disabled_at INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX users_subject ON users (subject) WHERE subject <> '';

CREATE TABLE tokens (
  id           TEXT    PRIMARY KEY,
  digest       BLOB    NOT NULL,
  owner        TEXT    NOT NULL,            -- for whom it acts: user:ada, service:deployer
  name         TEXT    NOT NULL,
  scope        TEXT    NOT NULL,            -- JSON: permissions, or patterns of them
  made_at      INTEGER NOT NULL,
  made_by      TEXT    NOT NULL,
  expires_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  revoked_at   INTEGER
) WITHOUT ROWID;
CREATE INDEX tokens_owner ON tokens (owner);

CREATE TABLE sessions (
  id       TEXT    PRIMARY KEY,
  digest   BLOB    NOT NULL,
  owner    TEXT    NOT NULL,
  way      TEXT    NOT NULL CHECK (way IN ('link', 'token', 'oidc')),
  token    TEXT    NOT NULL DEFAULT '',     -- the token that was shown
  groups   TEXT    NOT NULL DEFAULT '[]',   -- JSON: what the identity provider vouches for
  agent    TEXT    NOT NULL DEFAULT '',     -- the browser, in short
  made_at  INTEGER NOT NULL,
  seen_at  INTEGER NOT NULL,
  ends_at  INTEGER NOT NULL,
  ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX sessions_owner ON sessions (owner, made_at);

CREATE TABLE login_links (
  id      TEXT    PRIMARY KEY,
  digest  BLOB    NOT NULL,
  owner   TEXT    NOT NULL,
  made_at INTEGER NOT NULL,
  made_by TEXT    NOT NULL,
  ends_at INTEGER NOT NULL,
  used_at INTEGER
) WITHOUT ROWID;
CREATE INDEX login_links_owner ON login_links (owner);

-- What was done to all of these: only added to, each linked to the one before.
CREATE TABLE identity_acts (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  at    INTEGER NOT NULL,
  by    TEXT    NOT NULL,
  did   TEXT    NOT NULL,
  about TEXT    NOT NULL,
  text  TEXT    NOT NULL DEFAULT '',
  link  BLOB    NOT NULL                    -- a digest of this and of the link before
);
CREATE TRIGGER identity_acts_stay BEFORE DELETE ON identity_acts
BEGIN SELECT RAISE(ABORT, 'the record of acts is only added to'); END;
CREATE TRIGGER identity_acts_hold BEFORE UPDATE ON identity_acts
BEGIN SELECT RAISE(ABORT, 'the record of acts is only added to'); END;
