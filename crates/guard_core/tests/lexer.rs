//! The scanner against the rules of scan.l.

mod common;

use std::time::{Duration, Instant};

use common::Random;
use guard_core::lexer::LexError::*;
use guard_core::lexer::TokenKind::{self, *};
use guard_core::lexer::{tokens, tokens_and_comments};

fn texts(sql: &str) -> Vec<&str> {
    tokens(sql).map(|token| token.text).collect()
}

fn kinds(sql: &str) -> Vec<(TokenKind, &str)> {
    tokens(sql).map(|token| (token.kind, token.text)).collect()
}

/// The text is one token of this kind.
#[track_caller]
fn whole(kind: TokenKind, sql: &str) {
    assert_eq!(kinds(sql), [(kind, sql)]);
}

#[test]
fn white_space_and_comments_separate() {
    assert_eq!(texts(""), [""; 0]);
    assert_eq!(texts(" \t\r\n\u{b}\u{c}"), [""; 0]);
    assert_eq!(texts("a--b\nc"), ["a", "c"]);
    assert_eq!(texts("a--b\rc"), ["a", "c"]);
    assert_eq!(texts("a -- b"), ["a"]);
    assert_eq!(texts("a/*b*/c"), ["a", "c"]);
    assert_eq!(texts("/* a /* b */ c */ d"), ["d"]);
    assert_eq!(texts("/*/*/ x */*/ d"), ["d"]);
    assert_eq!(texts("/***/ d"), ["d"]);
    assert_eq!(texts("/* ' \" $$ -- */ d"), ["d"]);
    assert_eq!(texts("-- /*\nd"), ["d"]);
    assert_eq!(kinds("a /* b"), [(Name, "a"), (Invalid(UnterminatedComment), "/* b")]);
    assert_eq!(kinds("/*/"), [(Invalid(UnterminatedComment), "/*/")]);
    // A no-break space is a letter to Postgres.
    whole(Name, "a\u{a0}b");
}

#[test]
fn comments_on_demand() {
    let all: Vec<_> = tokens_and_comments("a --x\n/*y*/ b").map(|t| (t.kind, t.text)).collect();
    assert_eq!(all, [(Name, "a"), (Comment, "--x"), (Comment, "/*y*/"), (Name, "b")]);
}

#[test]
fn strings() {
    whole(String, "''");
    whole(String, "'it''s'");
    whole(String, r"'back\'");
    whole(String, "'a'\n'b'");
    whole(String, "'a' \t\r 'b'");
    whole(String, "'a' -- why\n -- not\n  'b'");
    whole(String, "'a'\n'''b'");
    whole(EscapeString, r"E'it\'s'");
    whole(EscapeString, r"e'\\'");
    whole(EscapeString, "E'a'\n'\\'b'");
    whole(EscapeString, "E'\\é'");
    whole(UnicodeString, r"U&'d\0061t'");
    whole(UnicodeString, r"u&'\'");
    whole(NationalString, "N'x'");
    whole(BitString, "b'01'\n'10'");
    whole(HexString, "X'1F'");
    assert_eq!(texts("'a' 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("'a' /* \n */ 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("'a'\n- 'b'"), ["'a'", "-", "'b'"]);
    assert_eq!(texts("'a' -- 'b'"), ["'a'"]);
    assert_eq!(texts("'a'\n''b"), ["'a'\n''", "b"]);
    // Two quotes stand for one only in strings of characters.
    assert_eq!(texts("B'0''1'"), ["B'0'", "'1'"]);
    assert_eq!(texts("ab'x'"), ["ab", "'x'"]);
    assert_eq!(texts("E 'x'"), ["E", "'x'"]);
    assert_eq!(texts("U&'a!0061' UESCAPE '!'"), ["U&'a!0061'", "UESCAPE", "'!'"]);
    assert_eq!(texts("u&b"), ["u", "&", "b"]);
    assert_eq!(texts("U&&b"), ["U", "&&", "b"]);
    for open in ["'", "'a''", "E'\\'", "E'\\", "B'0", "U&'x", "N'x", "'a'\n'b"] {
        whole(Invalid(UnterminatedString), open);
    }
}

#[test]
fn dollar_strings() {
    whole(DollarString, "$$$$");
    whole(DollarString, "$$ it's $1 $a$ $$");
    whole(DollarString, "$a$ $$ $b$ $A$ $a$");
    whole(DollarString, "$delim$ $junk$delim$");
    whole(DollarString, "$é1$x$é1$");
    whole(DollarString, "$a$x$$a$");
    // `$` belongs to a name that it follows.
    assert_eq!(texts("a$b$c$b$"), ["a$b$c$b$"]);
    assert_eq!(texts("1$a$x$a$"), ["1", "$a$x$a$"]);
    assert_eq!(kinds("$a b"), [(Other, "$"), (Name, "a"), (Name, "b")]);
    assert_eq!(kinds("$"), [(Other, "$")]);
    assert_eq!(kinds("$1"), [(Param, "$1")]);
    assert_eq!(texts("$1$2"), ["$1", "$2"]);
    assert_eq!(texts("$1.5"), ["$1", ".5"]);
    assert_eq!(kinds("$1$a$"), [(Param, "$1"), (Invalid(UnterminatedDollarString), "$a$")]);
    whole(Invalid(ParamJunk), "$1a");
    whole(Invalid(UnterminatedDollarString), "$$ $a$");
    whole(Invalid(UnterminatedDollarString), "$a$ $A$");
}

#[test]
fn names() {
    whole(Name, "a1_$b");
    whole(Name, "größe");
    whole(Name, "日本");
    whole(QuotedName, "\"a \"\" b\"");
    whole(QuotedName, "\"--\"");
    whole(UnicodeName, "U&\"d\\0061t\"");
    whole(Invalid(EmptyName), "\"\"");
    whole(Invalid(EmptyName), "u&\"\"");
    whole(QuotedName, "\"\"\"\"");
    whole(Invalid(UnterminatedName), "\"a");
    whole(Invalid(UnterminatedName), "\"a\"\"");
    assert_eq!(texts("\"a\"\n\"b\""), ["\"a\"", "\"b\""]);
    assert_eq!(texts("a.\"b\".c"), ["a", ".", "\"b\"", ".", "c"]);
}

#[test]
fn numbers() {
    for number in ["0", "42", "007", "1_000", "0x1F", "0X_1f", "0o17", "0b1_0", "0_1"] {
        whole(Integer, number);
    }
    for number in ["1.5", ".5", "1.", "1e5", "1.e5", ".5E-3", "1_0.0_1e+1_0"] {
        whole(Float, number);
    }
    for junk in [
        "123abc", "1__0", "1_", "0x", "0x_", "0xZ", "0o8", "0b12", "1.5a", "1e", "1e5a", "1_0$",
        "1e5$",
    ] {
        whole(Invalid(NumberJunk), junk);
    }
    assert_eq!(kinds("1e+"), [(Invalid(NumberJunk), "1e+")]);
    assert_eq!(texts("1..2"), ["1", "..", "2"]);
    assert_eq!(texts("1...2"), ["1", "..", ".2"]);
    assert_eq!(texts("a..b"), ["a", "..", "b"]);
    assert_eq!(texts("1.5.6"), ["1.5", ".6"]);
    assert_eq!(texts("-1"), ["-", "1"]);
    assert_eq!(texts("0x1F.5"), ["0x1F", ".5"]);
    assert_eq!(texts("a[1:2]"), ["a", "[", "1", ":", "2", "]"]);
    assert_eq!(texts("1e+5$"), ["1e+5", "$"]);
    assert_eq!(texts("1-1"), ["1", "-", "1"]);
}

#[test]
fn operators() {
    for (kind, text) in [
        (Typecast, "::"),
        (DotDot, ".."),
        (ColonEquals, ":="),
        (EqualsGreater, "=>"),
        (LessEquals, "<="),
        (GreaterEquals, ">="),
        (NotEquals, "<>"),
        (NotEquals, "!="),
        (Operator, "||"),
        (Operator, "->>"),
        (Operator, "@-"),
        (Operator, "<=>"),
        (Operator, "!"),
        (Operator, "*="),
        (Operator, "+*"),
        (Symbol, "%"),
        (Symbol, "^"),
        (Other, "{"),
        (Other, "\\"),
    ] {
        whole(kind, text);
    }
    // Only an operator with a character foreign to the standard may end in a sign.
    assert_eq!(texts("a=-1"), ["a", "=", "-", "1"]);
    assert_eq!(kinds("=>-")[..1], [(EqualsGreater, "=>")]);
    assert_eq!(kinds("<>+")[..1], [(NotEquals, "<>")]);
    assert_eq!(texts("+-+"), ["+", "-", "+"]);
    assert_eq!(texts("*+-*+-"), ["*+-*", "+", "-"]);
    assert_eq!(texts("?-+"), ["?-+"]);
    assert_eq!(texts("a+/*c*/b"), ["a", "+", "b"]);
    assert_eq!(texts("a*--c\nb"), ["a", "*", "b"]);
    assert_eq!(texts("+-+--c"), ["+", "-", "+"]);
    assert_eq!(texts("@/*c*/@"), ["@", "@"]);
    assert_eq!(texts(":::"), ["::", ":"]);
    assert_eq!(texts("::="), ["::", "="]);
    assert_eq!(texts("*/"), ["*/"]);
}

#[test]
fn decoding() {
    let decoded = |sql: &str, escape| {
        let token = tokens(sql).next().unwrap();
        token.decoded(escape).map(|text| text.into_owned())
    };
    for (sql, expected) in [
        ("'it''s'", "it's"),
        ("'a'\n'b'", "ab"),
        (r"'\n'", r"\n"),
        (r"E'\n\t\\\'\x41\101\u00e9\U0001F600''\q'", "\n\t\\'AAé😀'q"),
        (r"E'\ud83d\ude00'", "😀"),
        ("E'\\1'\n'23'", "\u{1}23"),
        (r"U&'d\0061t\+01F600\\'''", r"dat😀\'"),
        ("N'x'", "x"),
        ("X'1F'", "1F"),
        ("$a$it's$a$", "it's"),
        ("$$$$", ""),
    ] {
        assert_eq!(decoded(sql, '\\').as_deref(), Some(expected), "{sql}");
    }
    assert_eq!(decoded("U&'d!0061t'", '!').as_deref(), Some("dat"));
    assert_eq!(decoded("abc", '\\'), None);
    assert_eq!(decoded("'abc", '\\'), None);
}

/// Tokens and comments follow each other, and what lies between them is white space.
#[test]
fn nothing_is_lost_and_nothing_panics() {
    let mut random = Random(1);
    for round in 0..60_000 {
        let sql = match round % 4 {
            0 => random.noise(24),
            _ => random.sqlish(1 + round % 14),
        };
        let mut end = 0;
        for token in tokens_and_comments(&sql) {
            assert!(token.start >= end && token.end > token.start, "{sql:?}");
            assert_eq!(&sql[token.start..token.end], token.text);
            let gap = &sql.as_bytes()[end..token.start];
            assert!(gap.iter().all(|b| b" \t\r\n\x0b\x0c".contains(b)), "{sql:?}");
            token.canonical();
            token.decoded('!');
            end = token.end;
        }
        let quiet: Vec<_> = tokens(&sql).collect();
        let loud: Vec<_> = tokens_and_comments(&sql).filter(|t| t.kind != Comment).collect();
        assert_eq!(quiet, loud);
    }
}

/// A token read alone is the same token.
#[test]
fn tokens_do_not_depend_on_what_precedes_them() {
    let mut random = Random(2);
    for _ in 0..20_000 {
        let sql = random.sqlish(10);
        for token in tokens(&sql) {
            let alone: Vec<_> = kinds(token.text);
            assert_eq!(alone, [(token.kind, token.text)], "{sql:?}");
        }
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let started = Instant::now();
    for piece in [
        "$",
        "$a",
        "$a$ ",
        "/*",
        "*/",
        "'",
        "' ",
        "'\n",
        "\"",
        "+-",
        "+",
        "-+*",
        "1_",
        "1e",
        "..",
        ";",
        "\\",
        "E'\\'",
        "a\n",
        "'a'\n--\n",
        "(",
        "$$",
        "mg_",
        "U&",
        "0x",
    ] {
        let sql = piece.repeat(1_000_000 / piece.len());
        tokens(&sql).for_each(drop);
    }
    let long = format!("SELECT '{}'", "x".repeat(10_000_000));
    assert_eq!(tokens(&long).count(), 2);
    // Quadratic would be hours.
    assert!(started.elapsed() < Duration::from_secs(30));
}
