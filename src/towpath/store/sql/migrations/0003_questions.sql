-- What an open run asks people, as JSON; NULL where nothing is asked. It is derived from the journal, like its neighbours.
ALTER TABLE runs ADD COLUMN questions TEXT;
CREATE INDEX runs_asking ON runs (number) WHERE questions IS NOT NULL;
