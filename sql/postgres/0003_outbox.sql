-- Mails that wait to be sent. Who gets one and what it says is sealed; a mail that was sent keeps neither.
-- A row being sent is leased until next_try_at: whoever sends it prolongs that, and when nobody does any
-- more, it is tried again.

CREATE TABLE outbox (
    id text NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    message text NOT NULL,
    language text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'failed')),
    sealed bytea,
    created_at bigint NOT NULL,
    next_try_at bigint NOT NULL,
    sent_at bigint,
    attempts integer NOT NULL,
    last_error text,
    CHECK (sealed IS NOT NULL OR state IN ('sent', 'failed'))
);
CREATE INDEX outbox_due ON outbox (next_try_at, id) WHERE state IN ('queued', 'sending');
CREATE INDEX outbox_age ON outbox (created_at, id);
