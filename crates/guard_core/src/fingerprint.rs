//! The identity of a statement, whatever its white space, comments and letter case.

use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::lexer::{LexError, TokenKind, tokens};

/// SHA-256, as 64 lower-case hexadecimal digits, over the kind and value of each token.
///
/// White space, comments and `;` at the end do not count; unquoted names and keywords are folded
/// in ASCII. Quoted names and constants count as they are written, and a quoted name never agrees
/// with an unquoted one. Two statements that agree have the same tokens for every server version
/// (see [`needs_standard_strings`] for the one setting that could make a difference).
pub fn fingerprint(statement: &str) -> String {
    let mut hash = Sha256::new();
    let mut semicolons = 0_usize;
    for token in tokens(statement) {
        if token.is_symbol(';') {
            semicolons += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut semicolons) {
            add(&mut hash, TokenKind::Symbol, ";");
        }
        add(&mut hash, token.kind, &token.canonical());
    }
    hex(&hash.finalize())
}

/// SHA-256 over the fingerprints in their order, with nothing between them: in SQL,
/// `encode(sha256(string_agg(fingerprint, '' ORDER BY position)::bytea), 'hex')`.
pub fn statements_checksum<'a>(fingerprints: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for fingerprint in fingerprints {
        hash.update(fingerprint.as_bytes());
    }
    hex(&hash.finalize())
}

/// Would the server read other tokens under `standard_conforming_strings = off`?
///
/// True if a string without the prefix E has a backslash. In a session with that setting off, a
/// fingerprint of such a statement proves nothing: `SELECT '\' -- ', f()` has the tokens of
/// `SELECT '\'` here, and calls f there.
pub fn needs_standard_strings(statement: &str) -> bool {
    statement.contains('\\')
        && tokens(statement).any(|token| {
            let string = matches!(
                token.kind,
                TokenKind::String
                    | TokenKind::NationalString
                    | TokenKind::UnicodeString
                    | TokenKind::Invalid(LexError::UnterminatedString)
            );
            string && token.text.contains('\\')
        })
}

/// Adds one pair; the length keeps neighbours from running into each other.
fn add(hash: &mut Sha256, kind: TokenKind, value: &str) {
    hash.update([code(kind)]);
    hash.update((value.len() as u64).to_le_bytes());
    hash.update(value.as_bytes());
}

/// The number of a kind. Stored fingerprints depend on these: never change one.
fn code(kind: TokenKind) -> u8 {
    match kind {
        TokenKind::Name => 1,
        TokenKind::QuotedName => 2,
        TokenKind::UnicodeName => 3,
        TokenKind::String => 4,
        TokenKind::EscapeString => 5,
        TokenKind::UnicodeString => 6,
        TokenKind::NationalString => 7,
        TokenKind::BitString => 8,
        TokenKind::HexString => 9,
        TokenKind::DollarString => 10,
        TokenKind::Integer => 11,
        TokenKind::Float => 12,
        TokenKind::Param => 13,
        TokenKind::Operator => 14,
        TokenKind::Typecast => 15,
        TokenKind::DotDot => 16,
        TokenKind::ColonEquals => 17,
        TokenKind::EqualsGreater => 18,
        TokenKind::LessEquals => 19,
        TokenKind::GreaterEquals => 20,
        TokenKind::NotEquals => 21,
        TokenKind::Symbol => 22,
        TokenKind::Other => 23,
        TokenKind::Comment => 24,
        TokenKind::Invalid(LexError::UnterminatedComment) => 128,
        TokenKind::Invalid(LexError::UnterminatedString) => 129,
        TokenKind::Invalid(LexError::UnterminatedDollarString) => 130,
        TokenKind::Invalid(LexError::UnterminatedName) => 131,
        TokenKind::Invalid(LexError::EmptyName) => 132,
        TokenKind::Invalid(LexError::NumberJunk) => 133,
        TokenKind::Invalid(LexError::ParamJunk) => 134,
    }
}
