-- Every record carries a digest of itself and of the link before it; NULL in what was written before there was a chain.
ALTER TABLE journal ADD COLUMN link BLOB;

-- The runs that retention has removed: their first links hold the chain of runs together.
CREATE TABLE forgotten (
  number       INTEGER PRIMARY KEY,
  link         BLOB,
  forgotten_at INTEGER NOT NULL   -- microseconds since 1970, UTC
);
