-- 'everything': more has changed than can be told one by one.

CREATE TABLE new_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('account', 'keys', 'everything')),
    account_id INTEGER,
    changed_at INTEGER NOT NULL
) STRICT;
INSERT INTO new_changes (id, kind, account_id, changed_at)
SELECT id, kind, account_id, changed_at FROM changes;
-- Ids go on where they were, even if the table is empty: whoever reads the feed has a position in it.
DELETE FROM sqlite_sequence WHERE name = 'new_changes';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_changes', seq FROM sqlite_sequence WHERE name = 'changes';
DROP TABLE changes;
ALTER TABLE new_changes RENAME TO changes;
CREATE INDEX changes_time ON changes (changed_at);
