-- The places that runs have in environments which only so many may be in at once. A run that has ended has left its places.
CREATE TABLE places (
  environment TEXT    NOT NULL,
  run         INTEGER NOT NULL,
  PRIMARY KEY (environment, run)
) WITHOUT ROWID;
