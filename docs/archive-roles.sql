-- Database roles for an archive in PostgreSQL. Run it once in the archive's database, as the role that ran
-- hsmith archive init (it owns the tables, and only it can run rekey apply, restore and this script):
--
--     psql -v ON_ERROR_STOP=1 -v officer=alice -v reader=helpdesk -f archive-roles.sql "postgresql:///keys"
--
-- officer: finds, adds and gets keys, and changes settings: new rows only. What was sealed it can neither edit nor delete.
-- reader:  finds keys, and verifies the archive. It writes nothing.
--
-- Both must exist: CREATE ROLE alice LOGIN. What the owner of the tables or a superuser edits all the same is
-- found by hsmith archive verify.
\set ON_ERROR_STOP 1
BEGIN;
REVOKE ALL ON SCHEMA hsmith FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA hsmith FROM PUBLIC, :"officer", :"reader";

GRANT USAGE ON SCHEMA hsmith TO :"officer", :"reader";
GRANT SELECT ON ALL TABLES IN SCHEMA hsmith TO :"officer", :"reader";

GRANT INSERT ON hsmith.object, hsmith.seal, hsmith.archived_key, hsmith.recipient, hsmith.term TO :"officer";
-- Whose turn it is: the one value that is not sealed. Its row is also the lock of every change.
GRANT UPDATE (value) ON hsmith.cursor TO :"officer";
COMMIT;
