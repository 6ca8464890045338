-- Who may do what in the application's database. Run as a superuser, connected to that database, after the roles
-- wafergate_owner, wafergate_app and wafergate_dashboard exist. Running it again changes nothing.
-- Tables are made later, by migrations that run as wafergate_owner: the defaults below apply to them.

REVOKE ALL ON DATABASE wafergate FROM PUBLIC;
GRANT CONNECT ON DATABASE wafergate TO wafergate_app, wafergate_dashboard;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO wafergate_app, wafergate_dashboard;

-- The application adds and reads; a migration grants UPDATE or DELETE table by table where the design calls for it,
-- so that a table nobody thought about (and the ledger) is append-only.
ALTER DEFAULT PRIVILEGES FOR ROLE wafergate_owner IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO wafergate_app;
ALTER DEFAULT PRIVILEGES FOR ROLE wafergate_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO wafergate_app;

ALTER DEFAULT PRIVILEGES FOR ROLE wafergate_owner IN SCHEMA public GRANT SELECT ON TABLES TO wafergate_dashboard;
ALTER ROLE wafergate_dashboard SET default_transaction_read_only = on;
