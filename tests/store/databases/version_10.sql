-- A database as version 10 has left it: two runs, a message, an artifact, something to be told, an open question, a place, links, an event, somebody who may sign in, news.

-- The first schema: the journal, what a run started with, the list of runs, mailboxes, owners, artifacts.

-- The truth. Rows are added at the end of a run's sequence and never change.
CREATE TABLE journal (
  run      INTEGER NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  at       INTEGER NOT NULL CHECK (typeof(at) = 'integer'),   -- microseconds since 1970, UTC
  record   BLOB    NOT NULL CHECK (typeof(record) = 'blob'),  -- one encoded event, with its version inside
  PRIMARY KEY (run, sequence)
) WITHOUT ROWID;

-- The runs whose rows retention is deleting right now; empty outside of its transaction.
CREATE TABLE forgetting (run INTEGER PRIMARY KEY);

CREATE TRIGGER journal_has_no_gap BEFORE INSERT ON journal
WHEN NEW.sequence > 1
  AND NOT EXISTS (SELECT 1 FROM journal WHERE run = NEW.run AND sequence = NEW.sequence - 1)
BEGIN SELECT RAISE(ABORT, 'the journal has no gaps'); END;

CREATE TRIGGER journal_never_changes BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
WHEN NOT EXISTS (SELECT 1 FROM forgetting WHERE run = OLD.run)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- The texts that runs started with, by content.
CREATE TABLE definitions (
  digest      TEXT    PRIMARY KEY,
  text        TEXT    NOT NULL,
  path        TEXT,
  git_commit  TEXT,
  recorded_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What the lists show: derived from the journal, except for the owner.
CREATE TABLE runs (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT    NOT NULL UNIQUE,
  workflow      TEXT    NOT NULL,
  kind          TEXT    NOT NULL,
  environment   TEXT,
  definition    TEXT    NOT NULL,
  started_by    TEXT    NOT NULL,
  origin        INTEGER,
  origin_reason TEXT,
  start_key     TEXT,
  slot_group    TEXT,
  holds_slot    INTEGER NOT NULL DEFAULT 0,
  owner         TEXT,
  labels        TEXT    NOT NULL DEFAULT '{}',
  accepted_at   INTEGER NOT NULL,
  status        TEXT    NOT NULL,
  waiting_for   TEXT,
  waiting_since INTEGER,
  started_at    INTEGER,
  ended_at      INTEGER,
  outcome       TEXT,
  message       TEXT
);
CREATE UNIQUE INDEX runs_start_key ON runs (start_key) WHERE start_key IS NOT NULL;
CREATE INDEX runs_status     ON runs (status, number);
CREATE INDEX runs_workflow   ON runs (workflow, number);
CREATE INDEX runs_definition ON runs (definition);
CREATE INDEX runs_open       ON runs (number)             WHERE ended_at IS NULL;
CREATE INDEX runs_of_owner   ON runs (owner, number)      WHERE ended_at IS NULL;
CREATE INDEX runs_slots      ON runs (slot_group, number) WHERE ended_at IS NULL AND slot_group IS NOT NULL;
CREATE INDEX runs_origin     ON runs (origin)             WHERE origin IS NOT NULL;

-- Stimuli from other processes for the owner of a run. A message that was taken stays a while, for its sender.
CREATE TABLE mailbox (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  run       INTEGER NOT NULL,
  posted_at INTEGER NOT NULL,
  stimulus  BLOB    NOT NULL,
  taken_at  INTEGER,
  reply     BLOB
);
CREATE INDEX mailbox_waiting ON mailbox (run, id) WHERE taken_at IS NULL;
CREATE INDEX mailbox_taken   ON mailbox (taken_at) WHERE taken_at IS NOT NULL;

-- The processes that drive runs, or did; whether one lives is told by its lock file, not by this table.
CREATE TABLE owners (
  id         TEXT    PRIMARY KEY,
  pid        INTEGER NOT NULL,
  host       TEXT    NOT NULL,
  command    TEXT    NOT NULL,
  started_at INTEGER NOT NULL,
  left_at    INTEGER
) WITHOUT ROWID;

-- Files that steps kept with their runs; the bytes are found by digest.
CREATE TABLE artifacts (
  run     INTEGER NOT NULL,
  path    TEXT    NOT NULL,
  attempt INTEGER NOT NULL,
  name    TEXT    NOT NULL,
  digest  TEXT    NOT NULL,
  size    INTEGER NOT NULL,
  kept_at INTEGER NOT NULL,
  PRIMARY KEY (run, path, attempt, name)
) WITHOUT ROWID;
CREATE INDEX artifacts_digest ON artifacts (digest);

-- The start keys of runs that retention has removed: a key starts one run for ever.
CREATE TABLE spent_keys (
  start_key TEXT    PRIMARY KEY,
  number    INTEGER NOT NULL,
  id        TEXT    NOT NULL
) WITHOUT ROWID;

-- What people are to be told, and whether they were.

-- Something that people are told, once: its id follows from what happened, so the same thing has the same id after a restart.
CREATE TABLE notices (
  id   TEXT    PRIMARY KEY,
  run  INTEGER NOT NULL,
  path TEXT    NOT NULL,
  why  TEXT    NOT NULL,
  at   INTEGER NOT NULL,   -- microseconds since 1970, UTC
  body BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX notices_of_run ON notices (run, path);

-- One row for each recipient and channel of a notice, and what became of it.
CREATE TABLE outbox (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  notice      TEXT    NOT NULL,
  recipient   TEXT    NOT NULL,
  channel     TEXT    NOT NULL,            -- empty where no channel reaches the recipient
  address     TEXT    NOT NULL,            -- empty: where the channel goes by itself
  state       TEXT    NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'given_up', 'recalled', 'unreachable')),
  owner       TEXT    NOT NULL,            -- the process that sends it; empty: whoever comes first
  attempts    INTEGER NOT NULL DEFAULT 0,  -- begun, not ended: one that killed the process counts
  due_at      INTEGER NOT NULL,
  tried_at    INTEGER,
  recalled_at INTEGER,
  ended_at    INTEGER,
  error       TEXT    NOT NULL DEFAULT '',
  UNIQUE (notice, recipient, channel)
);
CREATE INDEX outbox_due   ON outbox (owner, channel, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_open  ON outbox (owner)                  WHERE state IN ('waiting', 'sending');
CREATE INDEX outbox_state ON outbox (state, id);

-- What an open run asks people, as JSON; NULL where nothing is asked. It is derived from the journal, like its neighbours.
ALTER TABLE runs ADD COLUMN questions TEXT;
CREATE INDEX runs_asking ON runs (number) WHERE questions IS NOT NULL;

-- The places that runs have in environments which only so many may be in at once. A run that has ended has left its places.
CREATE TABLE places (
  environment TEXT    NOT NULL,
  run         INTEGER NOT NULL,
  PRIMARY KEY (environment, run)
) WITHOUT ROWID;

-- Every record carries a digest of itself and of the link before it; NULL in what was written before there was a chain.
ALTER TABLE journal ADD COLUMN link BLOB;

-- The runs that retention has removed: their first links hold the chain of runs together.
CREATE TABLE forgotten (
  number       INTEGER PRIMARY KEY,
  link         BLOB,
  forgotten_at INTEGER NOT NULL   -- microseconds since 1970, UTC
);

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

INSERT INTO definitions VALUES ('d1', 'name: shop', 'workflows/shop.yaml', 'c0ffee', 1700000000000000);

-- What arrived from outside, kept before anybody is answered and before anything is done about it.
CREATE TABLE events (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  source      TEXT    NOT NULL,
  delivery    TEXT    NOT NULL,            -- the source's own id: the same delivery is kept once
  kind        TEXT    NOT NULL,
  title       TEXT    NOT NULL,
  received_at INTEGER NOT NULL,            -- microseconds since 1970, UTC
  way         TEXT    NOT NULL,            -- how it is known who sent it
  secrets     TEXT    NOT NULL,            -- JSON: the names of the secrets that fitted
  headers     TEXT    NOT NULL,            -- JSON
  payload     BLOB    NOT NULL,            -- JSON
  state       TEXT    NOT NULL CHECK (state IN ('received', 'held', 'matched', 'ignored', 'failed')),
  owner       TEXT    NOT NULL DEFAULT '', -- the process that decides what it starts
  attempts    INTEGER NOT NULL DEFAULT 0,  -- begun, not ended: one that killed the process counts
  settled_at  INTEGER,
  because     TEXT    NOT NULL DEFAULT '',
  reactions   TEXT    NOT NULL DEFAULT '[]',
  repeats     INTEGER NOT NULL DEFAULT 0,  -- how often the same delivery came again
  repeated_at INTEGER,
  UNIQUE (source, delivery)
);
CREATE INDEX events_received ON events (id) WHERE state = 'received';
CREATE INDEX events_state    ON events (state, id);

-- The last event of each entry that waits until it has been quiet for a while.
CREATE TABLE event_holds (
  key    TEXT    PRIMARY KEY,   -- the entry of `on:`
  event  INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Up to where everything is done: of a schedule an instant, of a repository its commits.
CREATE TABLE event_marks (
  name     TEXT    PRIMARY KEY,
  value    BLOB    NOT NULL,
  version  INTEGER NOT NULL,
  moved_at INTEGER NOT NULL
) WITHOUT ROWID;

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

-- What has changed in the lists, each thing once, with the position of its last change: whoever follows the lists asks for what is behind
-- the position that they know. It is kept by the tables themselves, so that nobody who writes can forget it.
CREATE TABLE news (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  about    TEXT    NOT NULL CHECK (about IN ('run', 'questions', 'event')),
  number   INTEGER NOT NULL,   -- of the run, or of the event
  UNIQUE (about, number)
);

CREATE TRIGGER news_of_new_runs AFTER INSERT ON runs BEGIN
  DELETE FROM news WHERE about IN ('run', 'questions') AND number = NEW.number;
  INSERT INTO news (about, number) VALUES ('run', NEW.number);
  INSERT INTO news (about, number) SELECT 'questions', NEW.number WHERE NEW.questions IS NOT NULL;
END;

CREATE TRIGGER news_of_runs AFTER UPDATE ON runs BEGIN
  DELETE FROM news WHERE about = 'run' AND number = NEW.number;
  INSERT INTO news (about, number) VALUES ('run', NEW.number);
  DELETE FROM news WHERE about = 'questions' AND number = NEW.number AND NEW.questions IS NOT OLD.questions;
  INSERT INTO news (about, number) SELECT 'questions', NEW.number WHERE NEW.questions IS NOT OLD.questions;
END;

CREATE TRIGGER news_of_forgotten_runs AFTER DELETE ON runs BEGIN
  DELETE FROM news WHERE about IN ('run', 'questions') AND number = OLD.number;
END;

CREATE TRIGGER news_of_new_events AFTER INSERT ON events BEGIN
  INSERT INTO news (about, number) VALUES ('event', NEW.id);
END;

CREATE TRIGGER news_of_events AFTER UPDATE OF state, reactions, repeats ON events BEGIN
  DELETE FROM news WHERE about = 'event' AND number = NEW.id;
  INSERT INTO news (about, number) VALUES ('event', NEW.id);
END;

CREATE TRIGGER news_of_forgotten_events AFTER DELETE ON events BEGIN
  DELETE FROM news WHERE about = 'event' AND number = OLD.id;
END;

-- What was asked with a key of its own, and how it was answered: the same question gets the same answer, and nothing is done twice.
CREATE TABLE requests (
  actor       TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL,   -- of what was asked
  owner       TEXT    NOT NULL,   -- the process that answers it
  began_at    INTEGER NOT NULL,   -- microseconds since 1970, UTC
  status      INTEGER,            -- of the answer; NULL: it is not known to have ended
  headers     TEXT    NOT NULL DEFAULT '{}',
  body        BLOB,               -- NULL where the answer is not kept
  PRIMARY KEY (actor, key)
) WITHOUT ROWID;
CREATE INDEX requests_began ON requests (began_at);

-- The records that tell of what somebody did: the list of all acts reads no others. A few may be in it that are none.
CREATE INDEX journal_acts ON journal (at, run, sequence)
WHERE instr(record, X'226279223A') OR instr(record, X'22737461727465645F6279223A');  -- "by":  "started_by":

INSERT INTO runs (number, id, workflow, kind, definition, started_by, owner, labels, accepted_at, status, started_at, ended_at)
VALUES (1, 'first', 'shop', 'deployment', 'd1', 'user:ada', 'gone', '{}', 1700000000000000, 'succeeded', 1700000000000001, 1700000000000009),
       (2, 'second', 'shop', 'deployment', 'd1', 'user:ada', 'gone', '{"team": "shop"}', 1700000000000002, 'running', 1700000000000003, NULL);
INSERT INTO journal (run, sequence, at, record)
VALUES (1, 1, 1700000000000000, CAST('event 1' AS BLOB)),
       (1, 2, 1700000000000001, CAST('event 2' AS BLOB)),
       (1, 3, 1700000000000009, CAST('event 3' AS BLOB)),
       (2, 1, 1700000000000002, CAST('event 1' AS BLOB));
INSERT INTO mailbox (run, posted_at, stimulus, taken_at, reply)
VALUES (1, 1700000000000004, CAST('cancel' AS BLOB), 1700000000000005, CAST('ok' AS BLOB));
INSERT INTO owners VALUES ('gone', 42, 'host', 'tow run shop', 1700000000000000, NULL);
INSERT INTO artifacts VALUES (1, 'build', 1, 'dist/a.tgz', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 5, 1700000000000006);
INSERT INTO notices VALUES ('second/go_live!asked', 2, 'go_live', 'asked', 1700000000000003, CAST('{}' AS BLOB));
INSERT INTO outbox (notice, recipient, channel, address, state, owner, due_at)
VALUES ('second/go_live!asked', 'user:ada', 'mail', 'ada@example.com', 'waiting', 'gone', 1700000000000003);
UPDATE runs SET questions =
  '{"listed":[{"path":"go_live","question":{"kind":"approval","text":"Go live?","choices":["approve","reject"],"who":["group:ops"],"asked_at":1700000000000003}}]}'
WHERE number = 2;
INSERT INTO places VALUES ('production', 2);
INSERT INTO events (source, delivery, kind, title, received_at, way, secrets, headers, payload, state)
VALUES ('github', '72d3162e', 'github.push', 'push octo/shop main', 1700000000000004, 'signature', '["github_webhook"]', '{}', CAST('{}' AS BLOB), 'received');
INSERT INTO event_holds VALUES ('shop/0', 1, 1700000000000007);
INSERT INTO event_marks VALUES ('schedule/shop', CAST('1' AS BLOB), 1, 1700000000000004);
INSERT INTO users VALUES ('dora', 'Dora', 'dora@example.org', '', 1700000000000004, NULL);
INSERT INTO tokens (id, digest, owner, name, scope, made_at, made_by, expires_at)
VALUES ('k3v9x2m4q7', CAST('d' AS BLOB), 'user:dora', 'laptop', '["run.*"]', 1700000000000004, 'user:dora', 1900000000000000);
INSERT INTO sessions (id, digest, owner, way, made_at, seen_at, ends_at)
VALUES ('s3v9x2m4q7', CAST('d' AS BLOB), 'user:dora', 'link', 1700000000000004, 1700000000000004, 1900000000000000);
INSERT INTO login_links (id, digest, owner, made_at, made_by, ends_at)
VALUES ('l3v9x2m4q7', CAST('d' AS BLOB), 'user:dora', 1700000000000004, 'user:ada', 1700000000000009);
INSERT INTO versions (workflow, digest, path, state, since) VALUES ('shop', 'd1', 'workflows/shop.yaml', 'current', 1700000000000000);
INSERT INTO followed (url, ref, git_commit, author, authored_at, message, state, since)
VALUES ('https://git.example.org/ops.git', 'main', 'cccccccccccccccccccccccccccccccccccccccc', 'ada@example.org', 1700000000000000, 'Begin', 'current', 1700000000000000);
INSERT INTO requests (actor, key, fingerprint, owner, began_at, status, body)
VALUES ('user:ada', 'k1', CAST('f' AS BLOB), 'o1', 1700000000000000, 201, CAST('{}' AS BLOB));
PRAGMA user_version = 10;
