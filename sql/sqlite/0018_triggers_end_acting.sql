-- Nothing: triggers on Django's tables are for PostgreSQL (`avain triggers`). Both engines have the same numbers.
SELECT 1;
