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
