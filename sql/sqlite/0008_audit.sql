-- What happened, for those who must find out later. Rows are inserted, read and, when they are old, deleted;
-- never changed. They outlive the account: no foreign key.

CREATE TABLE audit_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    happened_at INTEGER NOT NULL,
    event TEXT NOT NULL,
    account_id INTEGER,
    username TEXT,
    actor_id INTEGER,
    address TEXT,
    user_agent TEXT,
    request_id TEXT,
    layout TEXT,
    details TEXT NOT NULL
) STRICT;
CREATE INDEX audit_events_time ON audit_events (happened_at, id);
CREATE INDEX audit_events_account ON audit_events (account_id, happened_at, id) WHERE account_id IS NOT NULL;
CREATE INDEX audit_events_event ON audit_events (event, happened_at, id);
CREATE INDEX audit_events_address ON audit_events (address, happened_at, id) WHERE address IS NOT NULL;

CREATE TRIGGER audit_events_unchanged BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are not changed');
END;
