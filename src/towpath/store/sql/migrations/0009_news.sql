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
