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
