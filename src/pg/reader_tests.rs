//! The reader of parse trees, against the server's own parser.

use super::reader::{self, Node, items};
use guard_core::statement::{AlterTable, Body, Class, EventTriggerState, ObjectKind, Statement};
use pgrx::prelude::*;

fn read(sql: &str) -> Statement {
    let text = std::ffi::CString::new(sql).unwrap_or_default();
    // SAFETY: the text is NUL-terminated; the tree lives in the memory context of the test.
    unsafe {
        let raw = items::<pg_sys::RawStmt>(pg_sys::pg_parse_query(text.as_ptr()));
        assert_eq!(raw.len(), 1, "{sql}");
        let raw = raw[0];
        let slice = reader::slice(text.as_ptr(), (*raw).stmt_location, (*raw).stmt_len);
        reader::statement(Node::new((*raw).stmt), &slice)
    }
}

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn every_class_of_statement_has_a_name() {
        for (sql, class) in [
            ("ALTER TABLE t ADD c int", Class::AlterTableStmt),
            ("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", Class::AlterTableMoveAllStmt),
            ("ALTER DOMAIN d DROP DEFAULT", Class::AlterDomainStmt),
            (
                "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x",
                Class::AlterDefaultPrivilegesStmt,
            ),
            ("GRANT SELECT ON t TO x", Class::GrantStmt),
            ("GRANT x TO y", Class::GrantRoleStmt),
            ("CREATE TABLE t (a int)", Class::CreateStmt),
            ("CREATE FOREIGN TABLE t (a int) SERVER s", Class::CreateForeignTableStmt),
            ("IMPORT FOREIGN SCHEMA a FROM SERVER s INTO b", Class::ImportForeignSchemaStmt),
            ("CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int)", Class::DefineStmt),
            ("DROP TABLE t", Class::DropStmt),
            ("TRUNCATE t", Class::TruncateStmt),
            ("COMMENT ON TABLE t IS 'x'", Class::CommentStmt),
            ("SECURITY LABEL ON TABLE t IS 'x'", Class::SecLabelStmt),
            ("CREATE INDEX ON t (a)", Class::IndexStmt),
            (
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                Class::CreateFunctionStmt,
            ),
            ("ALTER FUNCTION f() STABLE", Class::AlterFunctionStmt),
            ("ALTER TABLE t RENAME TO u", Class::RenameStmt),
            ("CREATE RULE r AS ON INSERT TO t DO NOTHING", Class::RuleStmt),
            ("CREATE VIEW v AS SELECT 1", Class::ViewStmt),
            ("CREATE DOMAIN d AS int", Class::CreateDomainStmt),
            ("CREATE TABLE t AS SELECT 1", Class::CreateTableAsStmt),
            ("CREATE MATERIALIZED VIEW t AS SELECT 1", Class::CreateTableAsStmt),
            ("CREATE SEQUENCE s", Class::CreateSeqStmt),
            ("ALTER SEQUENCE s RESTART", Class::AlterSeqStmt),
            ("CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION f()", Class::CreateTrigStmt),
            ("CREATE LANGUAGE l HANDLER h", Class::CreatePLangStmt),
            ("REINDEX TABLE t", Class::ReindexStmt),
            ("CREATE SCHEMA s", Class::CreateSchemaStmt),
            ("CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM f", Class::CreateConversionStmt),
            ("CREATE CAST (a AS b) WITHOUT FUNCTION", Class::CreateCastStmt),
            (
                "CREATE OPERATOR CLASS o FOR TYPE t USING btree AS STORAGE t",
                Class::CreateOpClassStmt,
            ),
            ("CREATE OPERATOR FAMILY o USING btree", Class::CreateOpFamilyStmt),
            ("ALTER OPERATOR FAMILY o USING btree ADD FUNCTION 1 f(int)", Class::AlterOpFamilyStmt),
            ("ALTER FUNCTION f() DEPENDS ON EXTENSION e", Class::AlterObjectDependsStmt),
            ("ALTER TABLE t SET SCHEMA s", Class::AlterObjectSchemaStmt),
            ("ALTER SCHEMA s OWNER TO x", Class::AlterOwnerStmt),
            ("ALTER OPERATOR + (int, int) SET (RESTRICT = f)", Class::AlterOperatorStmt),
            ("ALTER TYPE t SET (STORAGE = plain)", Class::AlterTypeStmt),
            ("DROP OWNED BY x", Class::DropOwnedStmt),
            ("REASSIGN OWNED BY x TO y", Class::ReassignOwnedStmt),
            ("CREATE TYPE t AS (a int)", Class::CompositeTypeStmt),
            ("CREATE TYPE t AS ENUM ('a')", Class::CreateEnumStmt),
            ("CREATE TYPE t AS RANGE (SUBTYPE = int)", Class::CreateRangeStmt),
            ("ALTER TYPE t ADD VALUE 'b'", Class::AlterEnumStmt),
            ("ALTER TEXT SEARCH DICTIONARY d (a = b)", Class::AlterTSDictionaryStmt),
            (
                "ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR a",
                Class::AlterTSConfigurationStmt,
            ),
            ("CREATE FOREIGN DATA WRAPPER w", Class::CreateFdwStmt),
            ("ALTER FOREIGN DATA WRAPPER w NO HANDLER", Class::AlterFdwStmt),
            ("CREATE SERVER s FOREIGN DATA WRAPPER w", Class::CreateForeignServerStmt),
            ("ALTER SERVER s VERSION '1'", Class::AlterForeignServerStmt),
            ("CREATE USER MAPPING FOR x SERVER s", Class::CreateUserMappingStmt),
            ("ALTER USER MAPPING FOR x SERVER s OPTIONS (a 'b')", Class::AlterUserMappingStmt),
            ("DROP USER MAPPING FOR x SERVER s", Class::DropUserMappingStmt),
            ("CREATE EXTENSION e", Class::CreateExtensionStmt),
            ("ALTER EXTENSION e UPDATE", Class::AlterExtensionStmt),
            ("ALTER EXTENSION e ADD TABLE t", Class::AlterExtensionContentsStmt),
            ("CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()", Class::CreateEventTrigStmt),
            ("ALTER EVENT TRIGGER e DISABLE", Class::AlterEventTrigStmt),
            ("CREATE POLICY p ON t", Class::CreatePolicyStmt),
            ("ALTER POLICY p ON t TO x", Class::AlterPolicyStmt),
            (
                "CREATE TRANSFORM FOR t LANGUAGE l (FROM SQL WITH FUNCTION f(internal))",
                Class::CreateTransformStmt,
            ),
            ("CREATE ACCESS METHOD a TYPE TABLE HANDLER h", Class::CreateAmStmt),
            ("CREATE PUBLICATION p FOR ALL TABLES", Class::CreatePublicationStmt),
            ("ALTER PUBLICATION p ADD TABLE t", Class::AlterPublicationStmt),
            ("CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p", Class::CreateSubscriptionStmt),
            ("ALTER SUBSCRIPTION s DISABLE", Class::AlterSubscriptionStmt),
            ("DROP SUBSCRIPTION s", Class::DropSubscriptionStmt),
            ("CREATE STATISTICS s ON a, b FROM t", Class::CreateStatsStmt),
            ("ALTER STATISTICS s SET STATISTICS 5", Class::AlterStatsStmt),
            ("ALTER COLLATION c REFRESH VERSION", Class::AlterCollationStmt),
            ("CREATE ROLE r", Class::CreateRoleStmt),
            ("ALTER ROLE r LOGIN", Class::AlterRoleStmt),
            ("ALTER ROLE r SET work_mem = 1", Class::AlterRoleSetStmt),
            ("DROP ROLE r", Class::DropRoleStmt),
            ("CREATE DATABASE d", Class::CreatedbStmt),
            ("DROP DATABASE d", Class::DropdbStmt),
            ("ALTER DATABASE d CONNECTION LIMIT 1", Class::AlterDatabaseStmt),
            ("ALTER DATABASE d REFRESH COLLATION VERSION", Class::AlterDatabaseRefreshCollStmt),
            ("ALTER DATABASE d SET work_mem = 1", Class::AlterDatabaseSetStmt),
            ("CREATE TABLESPACE s LOCATION '/x'", Class::CreateTableSpaceStmt),
            ("DROP TABLESPACE s", Class::DropTableSpaceStmt),
            ("ALTER TABLESPACE s RESET (seq_page_cost)", Class::AlterTableSpaceOptionsStmt),
            ("ALTER SYSTEM SET work_mem = 1", Class::AlterSystemStmt),
            ("REFRESH MATERIALIZED VIEW v", Class::RefreshMatViewStmt),
            ("VACUUM t", Class::VacuumStmt),
            ("LOCK t", Class::LockStmt),
            ("CHECKPOINT", Class::CheckPointStmt),
            ("SELECT 1", Class::SelectStmt),
            ("INSERT INTO t VALUES (1)", Class::InsertStmt),
            ("UPDATE t SET a = 1", Class::UpdateStmt),
            ("DELETE FROM t", Class::DeleteStmt),
            ("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", Class::MergeStmt),
            ("COPY t TO STDOUT", Class::CopyStmt),
            ("DO 'BEGIN END'", Class::DoStmt),
            ("CALL p()", Class::CallStmt),
            ("EXPLAIN SELECT 1", Class::ExplainStmt),
            ("PREPARE q AS SELECT 1", Class::PrepareStmt),
            ("EXECUTE q", Class::ExecuteStmt),
            ("DEALLOCATE q", Class::DeallocateStmt),
            ("DECLARE c CURSOR FOR SELECT 1", Class::DeclareCursorStmt),
            ("CLOSE c", Class::ClosePortalStmt),
            ("FETCH c", Class::FetchStmt),
            ("BEGIN", Class::TransactionStmt),
            ("SET a = 1", Class::VariableSetStmt),
            ("SHOW work_mem", Class::VariableShowStmt),
            ("DISCARD ALL", Class::DiscardStmt),
            ("SET CONSTRAINTS ALL DEFERRED", Class::ConstraintsSetStmt),
            ("NOTIFY a", Class::NotifyStmt),
            ("LISTEN a", Class::ListenStmt),
            ("UNLISTEN a", Class::UnlistenStmt),
            ("LOAD 'a'", Class::LoadStmt),
        ] {
            assert_eq!(read(sql).class, class, "{sql}");
        }
    }

    #[pg_test]
    fn the_parts_of_a_drop() {
        assert_eq!(
            read("drop table if exists a, \"S s\".\"B\" cascade").body,
            Body::Drop {
                kind: ObjectKind::Table,
                names: vec!["a".into(), "S s.B".into()],
                cascade: true,
                missing_ok: true,
                concurrent: false,
            }
        );
        assert!(matches!(
            read("DROP INDEX CONCURRENTLY i").body,
            Body::Drop { kind: ObjectKind::Index, concurrent: true, cascade: false, .. }
        ));
        assert!(matches!(
            read("DROP FUNCTION s.f(int, text)").body,
            Body::Drop { kind: ObjectKind::Function, ref names, .. } if names == &["s.f"]
        ));
    }

    #[pg_test]
    fn alter_table_is_a_list() {
        let Body::AlterTable { relation, kind, commands, .. } =
            read("ALTER TABLE s.t DROP a CASCADE, DROP IF EXISTS \"B\", ADD c int, ALTER d DROP NOT NULL, \
                  DISABLE TRIGGER ALL, SET UNLOGGED")
            .body
        else {
            panic!("not an ALTER TABLE");
        };
        assert_eq!((relation.to_string().as_str(), kind), ("s.t", ObjectKind::Table));
        assert_eq!(
            commands,
            vec![
                AlterTable::DropColumn { column: "a".into(), cascade: true, missing_ok: false },
                AlterTable::DropColumn { column: "B".into(), cascade: false, missing_ok: true },
                AlterTable::AddColumn { column: "c".into() },
                AlterTable::DropNotNull { column: "d".into() },
                AlterTable::DisableTrigger { name: None },
                AlterTable::SetUnlogged,
            ]
        );
        let Body::AlterTable { commands, .. } =
            read("ALTER TABLE t DETACH PARTITION p CONCURRENTLY").body
        else {
            panic!("not an ALTER TABLE");
        };
        assert_eq!(commands, vec![AlterTable::DetachPartition { concurrently: true }]);
    }

    #[pg_test]
    fn settings_and_event_triggers() {
        let name = |sql: &str| match read(sql).body {
            Body::PersistentSetting { name, .. } => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            name("ALTER SYSTEM SET migration_guard.mode = off").as_deref(),
            Some("migration_guard.mode")
        );
        assert_eq!(name("ALTER ROLE x RESET ALL"), None);
        assert_eq!(name("ALTER DATABASE d RESET work_mem").as_deref(), Some("work_mem"));
        for (sql, expected) in [
            ("ENABLE", EventTriggerState::Enabled),
            ("ENABLE ALWAYS", EventTriggerState::Always),
            ("ENABLE REPLICA", EventTriggerState::Replica),
            ("DISABLE", EventTriggerState::Disabled),
        ] {
            let Body::AlterEventTrigger { state, .. } =
                read(&format!("ALTER EVENT TRIGGER e {sql}")).body
            else {
                panic!("{sql}");
            };
            assert_eq!(state, expected, "{sql}");
        }
    }

    #[pg_test]
    fn slices_are_exact() {
        let script = "  SELECT 1;\n\n DROP TABLE a ; \n-- end\nTRUNCATE \"ä\"";
        let text = std::ffi::CString::new(script).unwrap_or_default();
        // SAFETY: as in `read`.
        let slices: Vec<String> = unsafe {
            items::<pg_sys::RawStmt>(pg_sys::pg_parse_query(text.as_ptr()))
                .into_iter()
                .map(|raw| reader::slice(text.as_ptr(), (*raw).stmt_location, (*raw).stmt_len))
                .collect()
        };
        assert_eq!(slices, ["SELECT 1", "DROP TABLE a", "TRUNCATE \"ä\""]);
        // SAFETY: a constant, and offsets inside it.
        unsafe {
            assert_eq!(reader::slice(c"abc".as_ptr(), 1, 0), "bc");
            assert_eq!(reader::slice(c" a;b; ".as_ptr(), -1, -1), "a;b");
        }
    }
}
