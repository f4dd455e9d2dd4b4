//! Where a script is split.

mod common;

use std::time::{Duration, Instant};

use common::Random;
use guard_core::lexer::tokens;
use guard_core::script::SliceKind::*;
use guard_core::script::split;

fn texts(sql: &str) -> Vec<&str> {
    split(sql).iter().map(|slice| slice.text(sql)).collect()
}

#[test]
fn plain_statements() {
    assert_eq!(texts(""), [""; 0]);
    assert_eq!(texts(" ;; -- x\n ; /* y */"), [""; 0]);
    assert_eq!(texts("a; b"), ["a", "b"]);
    assert_eq!(texts("/* x */ a /* y */ ; b -- z"), ["a", "b"]);
    assert_eq!(texts("SELECT ';', $$;$$, \";\" /* ; */; b"), ["SELECT ';', $$;$$, \";\"", "b"]);
    assert_eq!(texts("DO $$BEGIN a; b; END$$; c"), ["DO $$BEGIN a; b; END$$", "c"]);
    assert_eq!(texts("BEGIN; a; END; b"), ["BEGIN", "a", "END", "b"]);
    assert_eq!(texts("a; 'b; c"), ["a", "'b; c"]);
}

#[test]
fn places() {
    let sql = "a;\n\n-- x\n  b;\r\nc /*\n*/ ; d";
    let places: Vec<_> = split(sql).iter().map(|s| (s.text(sql), s.line)).collect();
    assert_eq!(places, [("a", 1), ("b", 4), ("c", 5), ("d", 6)]);
    assert_eq!(&sql[split(sql)[1].start..split(sql)[1].end], "b");
}

#[test]
fn bodies_of_functions() {
    for sql in [
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "create or replace procedure p() begin /* x */ atomic; end",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC END",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1 AS end; SELECT t.end, 1 end; END",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT begin atomic FROM t; END",
        "CREATE FUNCTION begin() BEGIN ATOMIC SELECT 1; END",
        "CREATE FUNCTION f() BEGIN ATOMIC CREATE FUNCTION g() BEGIN ATOMIC a; END; b; END",
        "CREATE FUNCTION f() RETURN 1",
        "CREATE FUNCTION f() LANGUAGE sql AS $$ a; b $$",
    ] {
        let script = format!("x; {sql}; DROP TABLE a; y");
        assert_eq!(texts(&script), ["x", sql, "DROP TABLE a", "y"]);
    }
    // Only a function has such a body.
    assert_eq!(texts("SELECT begin atomic; END"), ["SELECT begin atomic", "END"]);
    assert_eq!(texts("CREATE TABLE begin (a int); atomic; x").len(), 3);
}

#[test]
fn actions_of_rules() {
    let rule = "CREATE OR REPLACE RULE r AS ON INSERT TO t DO (DELETE FROM a; NOTIFY (b);)";
    assert_eq!(texts(&format!("{rule}; x")), [rule, "x"]);
    assert_eq!(texts("CREATE RULE r AS ON INSERT TO t DO DELETE FROM a; x").len(), 2);
}

#[test]
fn an_error_hides_nothing() {
    assert_eq!(texts("CREATE TABLE a (; DROP TABLE b"), ["CREATE TABLE a (", "DROP TABLE b"]);
    assert_eq!(texts("SELECT (1; b; c)").len(), 3);
    let open = "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; DROP TABLE b; c";
    assert_eq!(texts(open).last(), Some(&"c"));
    assert_eq!(texts(open)[1], "DROP TABLE b");
    assert_eq!(texts("CREATE RULE r DO (a; DROP TABLE b"), ["CREATE RULE r DO (a", "DROP TABLE b"]);
}

#[test]
fn psql_scripts() {
    let sql =
        "\\set x it's\nSELECT 1 \\gx\nCOPY t FROM stdin;\nit's\t1\n;\n\\.\nSELECT 2;\nb \\; c";
    let parts: Vec<_> = split(sql).iter().map(|s| (s.kind, s.text(sql), s.line)).collect();
    assert_eq!(
        parts,
        [
            (PsqlCommand, "\\set x it's", 1),
            (Statement, "SELECT 1", 2),
            (PsqlCommand, "\\gx", 2),
            (Statement, "COPY t FROM stdin", 3),
            (CopyData, "it's\t1\n;\n\\.", 4),
            (Statement, "SELECT 2", 7),
            (Statement, "b", 8),
            (Statement, "c", 8),
        ]
    );
    // Without its end, or without `FROM stdin`, nothing is data.
    assert_eq!(texts("COPY t FROM STDIN;\na;\nb"), ["COPY t FROM STDIN", "a", "b"]);
    assert_eq!(texts("COPY t TO stdout;\na;\n\\.\n").len(), 3);
}

/// Every token but `;` lies in exactly one part, and the parts are in order.
#[test]
fn nothing_is_lost() {
    let mut random = Random(4);
    for round in 0..40_000 {
        let sql = if round % 5 == 0 { random.noise(40) } else { random.sqlish(1 + round % 20) };
        let parts = split(&sql);
        let mut end = 0;
        for part in &parts {
            assert!(part.start >= end && part.end > part.start, "{sql:?}");
            assert!(!part.text(&sql).is_empty(), "{sql:?}");
            let lines = sql[..part.start].matches('\n').count();
            assert_eq!(part.line, lines + 1, "{sql:?}");
            end = part.end;
        }
        if parts.iter().all(|part| part.kind == Statement) && !sql.contains('\\') {
            for token in tokens(&sql).filter(|token| !token.is_symbol(';')) {
                let holders =
                    parts.iter().filter(|p| p.start <= token.start && token.end <= p.end).count();
                assert_eq!(holders, 1, "{sql:?} {token:?}");
            }
        }
    }
}

#[test]
fn hostile_scripts_take_linear_time() {
    let started = Instant::now();
    for piece in [
        ";",
        "a;",
        "\\",
        "\\;",
        "CREATE FUNCTION BEGIN ATOMIC ",
        "CREATE RULE (;",
        "(",
        "\n",
        "COPY FROM STDIN;\n",
        "COPY FROM STDIN;\n\\.\n",
        "CREATE FUNCTION BEGIN ATOMIC; END;",
    ] {
        split(&piece.repeat(1_000_000 / piece.len()));
    }
    assert!(started.elapsed() < Duration::from_secs(30));
}
