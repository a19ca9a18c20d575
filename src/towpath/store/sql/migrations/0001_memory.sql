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
