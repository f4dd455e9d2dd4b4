//! Which statements have the same fingerprint.

mod common;

use std::collections::HashMap;

use common::Random;
use guard_core::fingerprint::{fingerprint, needs_standard_strings, statements_checksum};
use guard_core::lexer::{TokenKind, tokens};

#[test]
fn the_same_statement() {
    for (one, other) in [
        ("drop  table A /* x */", "DROP TABLE a"),
        ("DROP TABLE a;", "DROP TABLE a"),
        ("DROP TABLE a ; -- done\n ;", "DROP TABLE a"),
        ("-- ticket 7\nDROP TABLE a", "DROP TABLE a"),
        ("SELECT a!=b", "select A <> B"),
        ("SELECT 'a'\n'b'", "SELECT 'a' -- c\n\t'b'"),
        ("SELECT e'a'", "SELECT E'a'"),
        ("DO $a$x$a$", "DO $$x$$"),
        ("SELECT a=-1", "SELECT a = - 1"),
        ("", " /* nothing */ ; "),
    ] {
        assert_eq!(fingerprint(one), fingerprint(other), "{one:?} {other:?}");
    }
}

#[test]
fn another_statement() {
    let all = [
        "DROP TABLE a",
        "DROP TABLE b",
        "DROP TABLE \"a\"",
        "DROP TABLE \"A\"",
        "DROP TABLE U&\"a\"",
        "DROP TABLE a, b",
        "DROP TABLE a.b",
        "DROP TABLE ab",
        "DROP TABLE Ä",
        "DROP TABLE ä",
        "DROP TABLE a; DROP TABLE a",
        "SELECT 'a'",
        "SELECT 'A'",
        "SELECT 'a '",
        "SELECT E'a'",
        "SELECT N'a'",
        "SELECT n 'a'",
        "SELECT B'a'",
        "SELECT X'a'",
        "SELECT U&'a'",
        "SELECT $$a$$",
        "SELECT \"a\"",
        "SELECT a",
        "SELECT 'a' 'b'",
        "SELECT 'a'\n'b'",
        "SELECT 'ab'",
        "SELECT 'a''b'",
        "SELECT E'\\1'\n'23'",
        "SELECT E'\\123'",
        "SELECT 1",
        "SELECT 1.0",
        "SELECT $1",
        "SELECT a b",
        "SELECT a - - b",
        "SELECT a -- b",
        "SELECT a < = b",
        "SELECT a <= b",
        "SELECT 'a' /*",
        "SELECT $$ -- \n$$",
        "SELECT $$ $$",
    ];
    let mut seen = HashMap::new();
    for sql in all {
        if sql == "SELECT a -- b" {
            assert_eq!(fingerprint(sql), fingerprint("SELECT a"));
            continue;
        }
        assert_eq!(seen.insert(fingerprint(sql), sql), None, "{sql}");
    }
}

/// Stored fingerprints must stay valid: computed by hand over kind, length and value.
#[test]
fn pinned() {
    let mut bytes = Vec::new();
    for (kind, value) in [(1_u8, "drop"), (1, "table"), (2, "\"A\""), (22, ","), (1, "b")] {
        bytes.push(kind);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value.as_bytes());
    }
    let expected = guard_core::digest::sha256_hex(&bytes);
    assert_eq!(fingerprint("DROP TABLE \"A\", B;"), expected);
    assert_eq!(expected.len(), 64);
    assert!(expected.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
}

#[test]
fn checksums_keep_the_order() {
    let (a, b) = (fingerprint("DROP TABLE a"), fingerprint("DROP TABLE b"));
    let sum = |list: &[&String]| statements_checksum(list.iter().map(|text| text.as_str()));
    assert_ne!(sum(&[&a, &b]), sum(&[&b, &a]));
    assert_ne!(sum(&[&a]), sum(&[&a, &a]));
    assert_eq!(sum(&[&a, &b]), guard_core::digest::sha256_hex(format!("{a}{b}").as_bytes()));
    assert_eq!(sum(&[]), guard_core::digest::sha256_hex(b""));
}

#[test]
fn strings_that_depend_on_a_setting() {
    for sql in [r"SELECT '\' -- ', f()", r"SELECT N'\'", r"SELECT U&'\0061'", r"SELECT 'a\"] {
        assert!(needs_standard_strings(sql), "{sql}");
    }
    for sql in [r"SELECT E'\\'", r"SELECT $$\$$", "SELECT 'a'", r#"SELECT "\""#, r"SELECT 1 -- '\'"]
    {
        assert!(!needs_standard_strings(sql), "{sql}");
    }
}

/// White space, comments and case change nothing; any other token does.
#[test]
fn any_layout_agrees() {
    let mut random = Random(3);
    let gaps = [" ", "\n", "\t", " /* ' */ ", " -- \"\n", "/**/ "];
    for _ in 0..5_000 {
        let sql = random.sqlish(10);
        let list: Vec<_> = tokens(&sql).collect();
        if list.iter().any(|t| matches!(t.kind, TokenKind::Invalid(_))) {
            continue;
        }
        // A newline between two strings would join them, a comment would not.
        let mut other = String::new();
        for token in &list {
            if token.kind == TokenKind::Name && random.below(2) == 0 {
                other.push_str(&token.text.to_ascii_uppercase());
            } else {
                other.push_str(token.text);
            }
            other.push_str(if token.is_string() { " /* - */ " } else { random.pick(&gaps) });
        }
        assert_eq!(fingerprint(&sql), fingerprint(&other), "{sql:?} {other:?}");
        if list.last().is_some_and(|token| !token.is_symbol(';')) {
            assert_ne!(fingerprint(&sql), fingerprint(&format!("{sql}\n x")), "{sql:?}");
        }
    }
}
