-- name: versions
-- The versions of a workflow, the newest first.
SELECT id, workflow, digest, path, git_commit, author, authored_at, message, state, since, until,
       trial_after, trial_runs, decided_by, because, problems
FROM versions WHERE workflow = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: standing
-- The versions of all workflows that nothing has taken the place of.
SELECT id, workflow, digest, path, git_commit, author, authored_at, message, state, since, until,
       trial_after, trial_runs, decided_by, because, problems
FROM versions WHERE until IS NULL ORDER BY workflow, id;

-- name: standing_of
-- The versions of one workflow that nothing has taken the place of.
SELECT id, workflow, digest, path, git_commit, author, authored_at, message, state, since, until,
       trial_after, trial_runs, decided_by, because, problems
FROM versions WHERE workflow = ? AND until IS NULL ORDER BY id;

-- name: version
-- One version.
SELECT id, workflow, digest, path, git_commit, author, authored_at, message, state, since, until,
       trial_after, trial_runs, decided_by, because, problems
FROM versions WHERE id = ?;

-- name: by_digest
-- The newest version of a workflow whose digest begins so, and how many different digests do.
SELECT max(id), count(DISTINCT digest) FROM versions WHERE workflow = ?1 AND substr(digest, 1, length(?2)) = ?2;

-- name: add
-- A version is seen for the first time since another one.
INSERT INTO versions (workflow, digest, path, git_commit, author, authored_at, message, state, since,
                      trial_after, trial_runs, decided_by, because, problems)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: close
-- Another version has taken the place of this one.
UPDATE versions SET state = ?, until = ?, because = CASE WHEN ?3 = '' THEN because ELSE ?3 END WHERE id = ?4;

-- name: touch
-- The same text stands in a later commit.
UPDATE versions SET git_commit = ?, path = ? WHERE id = ?;

-- name: settle
-- A version that was tried, or sent back, is taken by all runs from now on, or by none.
UPDATE versions SET state = ?, since = ?, decided_by = ?, because = ?, until = NULL WHERE id = ? AND state IN ('canary', 'aborted')
  AND until IS NULL;

-- name: last_number
-- The highest number that a run ever had.
SELECT seq FROM sqlite_sequence WHERE name = 'runs';

-- name: keep_text
-- Keep the text of a version.
INSERT INTO definitions (digest, text, path, git_commit, recorded_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (digest) DO NOTHING;

-- name: prune
-- Forget the oldest versions of a workflow that are over.
DELETE FROM versions WHERE workflow = ?1 AND until IS NOT NULL AND id NOT IN (
  SELECT id FROM versions WHERE workflow = ?1 ORDER BY id DESC LIMIT ?2
);

-- name: tally
-- How the runs that try a version have ended so far; those that go on from others do not count.
SELECT status, ended_at IS NOT NULL, count(*) FROM runs
WHERE definition = ?2 AND workflow = ?1 AND number > ?3 AND origin_reason IS NULL GROUP BY 1, 2;

-- name: runs_by_digest
-- How many runs each version of a workflow had, and how they ended.
SELECT definition, status, count(*) FROM runs WHERE workflow = ? GROUP BY 1, 2;

-- name: commits
-- The commits of the project, the newest first.
SELECT id, url, ref, git_commit, author, authored_at, message, state, since, until, problems, told, told_tries, told_next, told_error
FROM followed WHERE id < ? ORDER BY id DESC LIMIT ?;

-- name: commits_standing
-- The commit that runs take, and the broken one behind it.
SELECT id, url, ref, git_commit, author, authored_at, message, state, since, until, problems, told, told_tries, told_next, told_error
FROM followed WHERE state = 'current' OR (state = 'broken' AND until IS NULL) ORDER BY id;

-- name: untold
-- The commits whose host is to be told of them now.
SELECT id, url, ref, git_commit, author, authored_at, message, state, since, until, problems, told, told_tries, told_next, told_error
FROM followed WHERE told = '' AND told_next <= ? ORDER BY id LIMIT ?;

-- name: add_commit
-- A commit is seen.
INSERT INTO followed (url, ref, git_commit, author, authored_at, message, state, since, problems)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: close_commits
-- Another commit has taken the place of those that stood.
UPDATE followed SET until = ?1, state = CASE WHEN state = 'current' THEN 'former' ELSE state END
WHERE (state = 'current' AND ?2) OR (state = 'broken' AND until IS NULL);

-- name: tell
-- What the host of the repository was told of a commit, or why it could not be.
UPDATE followed SET told = ?, told_tries = told_tries + 1, told_next = ?, told_error = ? WHERE id = ?;

-- name: pass_over
-- Nobody is told of commits that are older than this one.
UPDATE followed SET told = 'passed over' WHERE told = '' AND id < ?;

-- name: prune_commits
-- Forget the oldest commits that are over.
DELETE FROM followed WHERE until IS NOT NULL AND id NOT IN (SELECT id FROM followed ORDER BY id DESC LIMIT ?);

-- name: accepted
-- The first record of every open run: it says to which commit the run belongs.
SELECT runs.number, record FROM runs JOIN journal ON journal.run = runs.number AND journal.sequence = 1
WHERE runs.ended_at IS NULL AND runs.number > ? ORDER BY runs.number LIMIT ?;
