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
