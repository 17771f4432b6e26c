-- The feed of changes tells at once, and exactly. Which transaction made a change says whether a reader has
-- seen it: ids are given out before transactions commit, and so do not.

ALTER TABLE changes ADD COLUMN made_by xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX changes_made_by ON changes (made_by);

-- 'everything': more has changed than can be told one by one.
ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN ('account', 'keys', 'everything'));

-- Wakes the instances when the transaction commits; what has changed they read from the table.
CREATE FUNCTION wake_instances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('avain_changes', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER changes_wake AFTER INSERT ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION wake_instances();
