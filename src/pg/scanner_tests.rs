//! Our lexer, against the server's own scanner.

use guard_core::lexer;
use pgrx::prelude::*;
use std::ffi::{CString, c_char, c_int, c_void};

unsafe extern "C-unwind" {
    // parser/scanner.h
    fn scanner_init(
        text: *const c_char,
        extra: *mut c_void,
        keywords: *const c_void,
        keyword_tokens: *const u16,
    ) -> *mut c_void;
    fn core_yylex(value: *mut c_void, location: *mut c_int, scanner: *mut c_void) -> c_int;
    fn scanner_finish(scanner: *mut c_void);
    static ScanKeywords: c_void;
    static ScanKeywordTokens: [u16; 1];
}

/// Where the server's scanner sees tokens start.
fn server_starts(sql: &str) -> Vec<usize> {
    let text = CString::new(sql).unwrap_or_default();
    // SAFETY: the extra state (core_yy_extra_type, well under 64 words) and the value (one word)
    // are only written by the scanner; the text outlives it.
    unsafe {
        let mut extra = [0u64; 64];
        let mut value = [0u64; 4];
        let mut location: c_int = 0;
        let scanner = scanner_init(
            text.as_ptr(),
            extra.as_mut_ptr().cast(),
            &raw const ScanKeywords,
            (&raw const ScanKeywordTokens).cast(),
        );
        let mut starts = Vec::new();
        while core_yylex(value.as_mut_ptr().cast(), &mut location, scanner) != 0 {
            starts.push(location as usize);
        }
        scanner_finish(scanner);
        starts
    }
}

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn tokens_start_where_the_server_says() {
        let corpus = [
            "SELECT 1",
            "drop  table A /* x /* nested */ y */, \"B\"\"c\" -- end\n;",
            "SELECT 'it''s' 'not continued', 'con'\n  'tinued', E'\\'x\\\\', U&'d\\0061t', U&\"d\\0061\" , B'01', X'1f'",
            "SELECT $1, $$body$$, $tag$ $$ $tag$, $x$'$x$, a$1, _b, \u{e4}\u{f6}",
            "SELECT 1.5, .5, 5., 1e10, 1.5e-3, 12345678901234567890, a[1:2], b::int, c := 1, d => 2",
            "SELECT a<=b, a>=b, a<>b, a!=b, a->>b, a#>>b, a||b, @-5, a*-b, a<-b, a- -b, a+ +b, a@>b, ~a, !!a",
            "SELECT a/*x*/+/*y*/b, a--comment\n+b, a<--x\nb",
            "DO $do$ BEGIN EXECUTE 'x'; END $do$",
            "INSERT INTO \"Sp ace\".t VALUES (DEFAULT, NULL, TRUE, '{\"a\": 1}', current_date)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
            "SELECT x FROM t WHERE a = ANY ($1) AND b % 2 = 0 AND c ^ 2 > 1 AND d ? 'k'",
            "GRANT SELECT (a, b) ON t TO PUBLIC WITH GRANT OPTION",
            "",
            " \t\r\n\x0c ",
        ];
        for sql in corpus {
            let ours: Vec<usize> = lexer::tokens(sql).map(|token| token.start).collect();
            assert_eq!(ours, server_starts(sql), "{sql}");
        }
    }

    /// Pieces of all kinds in random order, with white space between them or not.
    #[pg_test]
    fn tokens_of_random_statements() {
        let pieces = [
            "a",
            "B9",
            "\"q\"\"x\"",
            "'s'",
            "'it''s'",
            "E'\\n'",
            "$$d$$",
            "$t$ ' $t$",
            "$1",
            "1",
            "2.5",
            "3e4",
            "+",
            "-",
            "*",
            "/",
            "<",
            ">",
            "=",
            "@",
            "#",
            "||",
            "->",
            "::",
            ":=",
            "..",
            ",",
            ";",
            "(",
            ")",
            "[",
            "]",
            ".",
            "/*c*/",
            "--c\n",
            "select",
            "from",
            "\u{e4}",
            "_",
            "~",
            "!",
            "%",
            "^",
            "|",
            "?",
            "&",
            "`",
        ];
        let gaps = ["", " ", "\n", "\t "];
        let mut state: u64 = 20_261_120;
        let mut next = |n: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut compared = 0;
        for _ in 0..20_000 {
            let mut sql = String::new();
            for _ in 0..1 + next(8) {
                sql.push_str(pieces[next(pieces.len())]);
                // A word or a number that runs into another makes tokens that versions disagree on.
                sql.push_str(gaps[next(gaps.len())]);
            }
            let tokens: Vec<_> = lexer::tokens(&sql).collect();
            let doubtful = tokens.iter().any(|t| matches!(t.kind, lexer::TokenKind::Invalid(_)))
                || tokens.windows(2).any(|w| {
                    w[0].end == w[1].start
                        && w[0].text.ends_with(|c: char| c.is_ascii_digit())
                        && w[1]
                            .text
                            .starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
                })
                || sql.contains("..")
                || sql.as_bytes().windows(2).any(|w| w[0].is_ascii_digit() && w[1] == b'_');
            if doubtful {
                continue;
            }
            let ours: Vec<usize> = tokens.iter().map(|token| token.start).collect();
            assert_eq!(ours, server_starts(&sql), "{sql:?}");
            compared += 1;
        }
        assert!(compared > 10_000, "only {compared} compared");
    }
}
