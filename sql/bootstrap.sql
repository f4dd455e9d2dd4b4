-- Runs first. An owner of the database could have made the schema beforehand, to own what is put
-- into it or to plant functions beside it.
DO $$
DECLARE
    namespace oid := 'migration_guard'::pg_catalog.regnamespace;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                   WHERE n.oid = namespace AND r.rolname = current_user AND r.rolsuper) THEN
        RAISE EXCEPTION 'schema migration_guard exists and does not belong to %', current_user
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'DROP SCHEMA migration_guard CASCADE; then CREATE EXTENSION migration_guard;';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = namespace)
       OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = namespace)
       OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = namespace)
       OR EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprnamespace = namespace) THEN
        RAISE EXCEPTION 'schema migration_guard is not empty'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'DROP SCHEMA migration_guard CASCADE; then CREATE EXTENSION migration_guard;';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
               WHERE n.oid = namespace AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) THEN
        RAISE EXCEPTION 'others may create objects in schema migration_guard'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'DROP SCHEMA migration_guard CASCADE; then CREATE EXTENSION migration_guard;';
    END IF;
END
$$;

COMMENT ON SCHEMA migration_guard IS 'Guards schema changes: policy, approvals, history, snapshots';
GRANT USAGE ON SCHEMA migration_guard TO PUBLIC;
