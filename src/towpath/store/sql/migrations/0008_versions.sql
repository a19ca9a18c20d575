-- Every version of a workflow that was seen: the one that runs take, the one that is tried, those that do not load.
CREATE TABLE versions (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  workflow    TEXT    NOT NULL,
  digest      TEXT    NOT NULL,             -- its text is in `definitions`
  path        TEXT    NOT NULL,             -- the file, from the project's folder
  git_commit  TEXT    NOT NULL DEFAULT '',  -- the newest commit of the project with this text; empty in a plain folder
  author      TEXT    NOT NULL DEFAULT '',  -- who edited the file last
  authored_at INTEGER,
  message     TEXT    NOT NULL DEFAULT '',
  state       TEXT    NOT NULL CHECK (state IN ('current', 'canary', 'aborted', 'broken', 'former')),
  since       INTEGER NOT NULL,             -- microseconds since 1970, UTC
  until       INTEGER,                      -- when another one took its place
  trial_after INTEGER,                      -- the last run before it was tried
  trial_runs  INTEGER,                      -- how many runs try it
  decided_by  TEXT    NOT NULL DEFAULT '',
  because     TEXT    NOT NULL DEFAULT '',
  problems    TEXT    NOT NULL DEFAULT '[]' -- JSON
);
CREATE UNIQUE INDEX versions_current ON versions (workflow) WHERE state = 'current';
CREATE UNIQUE INDEX versions_next    ON versions (workflow) WHERE until IS NULL AND state <> 'current';
CREATE INDEX versions_standing ON versions (workflow) WHERE until IS NULL;
CREATE INDEX versions_workflow ON versions (workflow, id);
CREATE INDEX versions_digest   ON versions (digest);

-- The commits of the repository that the project is followed in.
CREATE TABLE followed (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  url         TEXT    NOT NULL,             -- without a password
  ref         TEXT    NOT NULL,
  git_commit  TEXT    NOT NULL,
  author      TEXT    NOT NULL,
  authored_at INTEGER NOT NULL,
  message     TEXT    NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('current', 'broken', 'former')),
  since       INTEGER NOT NULL,
  until       INTEGER,
  problems    TEXT    NOT NULL DEFAULT '[]', -- JSON
  told        TEXT    NOT NULL DEFAULT '',   -- what its host was told last: success, failure, or that it was given up
  told_tries  INTEGER NOT NULL DEFAULT 0,
  told_next   INTEGER NOT NULL DEFAULT 0,    -- when the host is told next
  told_error  TEXT    NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX followed_current ON followed (state) WHERE state = 'current';
CREATE UNIQUE INDEX followed_broken  ON followed (state) WHERE state = 'broken' AND until IS NULL;
CREATE INDEX followed_untold ON followed (id) WHERE told = '';
