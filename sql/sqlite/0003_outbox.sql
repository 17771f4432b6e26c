-- Mails that wait to be sent. Who gets one and what it says is sealed; a mail that was sent keeps neither.
-- A row being sent is leased until next_try_at: whoever sends it prolongs that, and when nobody does any
-- more, it is tried again.

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    message TEXT NOT NULL,
    language TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'failed')),
    sealed BLOB,
    created_at INTEGER NOT NULL,
    next_try_at INTEGER NOT NULL,
    sent_at INTEGER,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    CHECK (sealed IS NOT NULL OR state IN ('sent', 'failed'))
) STRICT;
CREATE INDEX outbox_due ON outbox (next_try_at, id) WHERE state IN ('queued', 'sending');
CREATE INDEX outbox_age ON outbox (created_at, id);
