//! The tokens of a statement, read as Postgres's own scanner (`scan.l`) reads them.
//!
//! One grammar serves every server version: where a newer release accepts more (`0x1F` and
//! `1_000` since 16, vertical tab as white space since 17), an older one refuses the statement,
//! so reading it the newer way can never change the meaning of one that runs.
//!
//! Plain strings are read with `standard_conforming_strings = on`. A statement for which the
//! other setting would make a difference is told by
//! [`needs_standard_strings`](crate::fingerprint::needs_standard_strings).
//!
//! Every function here takes any text without panicking, in time linear in its length.

use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted name or keyword: `DROP`, `users`, `größe`, `a$b`.
    Name,
    /// `"a quoted name"`, with the quotes.
    QuotedName,
    /// `U&"d\0061t"`; a following `UESCAPE '!'` is two tokens of its own.
    UnicodeName,
    /// `'a string'`, with all its continuations on following lines.
    String,
    /// `E'with\nescapes'`.
    EscapeString,
    /// `U&'d\0061t'`; a following `UESCAPE '!'` is two tokens of its own.
    UnicodeString,
    /// `N'national'`. The server returns the keyword NCHAR and a string; one token here, since
    /// `N 'x'` (a constant of the type n) is something else.
    NationalString,
    /// `B'0101'`.
    BitString,
    /// `X'1F'`.
    HexString,
    /// `$tag$any text$tag$`.
    DollarString,
    /// `42`, `1_000`, `0x1F`, `0o17`, `0b11`.
    Integer,
    /// `1.5`, `.5`, `1.`, `1e10`.
    Float,
    /// `$1`.
    Param,
    /// An operator that has no kind of its own: `||`, `->>`, `~`, `@>`.
    Operator,
    /// `::`
    Typecast,
    /// `..`
    DotDot,
    /// `:=`
    ColonEquals,
    /// `=>`
    EqualsGreater,
    /// `<=`
    LessEquals,
    /// `>=`
    GreaterEquals,
    /// `<>` or `!=`
    NotEquals,
    /// One of `, ( ) [ ] . ; : + - * / % ^ < > =`.
    Symbol,
    /// Any other single character, such as `$` or `\`. No statement that runs has one.
    Other,
    /// A comment, only from [`tokens_and_comments`].
    Comment,
    /// What the server's scanner refuses. The token starts where the refused construct starts.
    Invalid(LexError),
}

/// Why the server's scanner refuses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LexError {
    /// `/*` without its `*/`; reaches to the end of the text.
    UnterminatedComment,
    /// A string, bit string or hexadecimal string without its last quote; reaches to the end.
    UnterminatedString,
    /// `$tag$` without a second one; reaches to the end.
    UnterminatedDollarString,
    /// A quoted name without its last quote; reaches to the end.
    UnterminatedName,
    /// `""`
    EmptyName,
    /// A number that runs into a name or lacks its digits: `123abc`, `0x`, `1e+`.
    NumberJunk,
    /// A parameter that runs into a name: `$1a`.
    ParamJunk,
}

/// One token, with its exact place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// The exact slice of the text.
    pub text: &'a str,
    /// The byte at which it starts.
    pub start: usize,
    /// The byte after its last one.
    pub end: usize,
}

impl<'a> Token<'a> {
    /// Is it the unquoted name or keyword `word` (given in lower case)?
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Name && self.text.eq_ignore_ascii_case(word)
    }

    /// Is it the single character `symbol`?
    pub fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol && self.text.starts_with(symbol)
    }

    /// Is it a complete constant in quotes of any sort?
    pub fn is_string(&self) -> bool {
        use TokenKind::*;
        matches!(
            self.kind,
            String
                | EscapeString
                | UnicodeString
                | NationalString
                | BitString
                | HexString
                | DollarString
        )
    }

    /// What a fingerprint covers, besides the kind: unquoted names folded, `!=` as `<>`, strings
    /// from their first quote on with each break between lines as a single newline, the text of a
    /// dollar string without its tags, all else as written.
    ///
    /// Strings are not decoded: `'a'` and `E'a'` differ, and so do `'ab'` and `'a'⏎'b'`.
    pub fn canonical(&self) -> Cow<'a, str> {
        match self.kind {
            TokenKind::Name if self.text.bytes().any(|b| b.is_ascii_uppercase()) => {
                Cow::Owned(self.text.to_ascii_lowercase())
            }
            TokenKind::NotEquals => Cow::Borrowed("<>"),
            TokenKind::DollarString => Cow::Borrowed(self.dollar_body().unwrap_or(self.text)),
            TokenKind::UnicodeName => Cow::Borrowed(&self.text[2..]),
            _ => match self.quote_rules() {
                None => Cow::Borrowed(self.text),
                Some((prefix, rules)) => {
                    let mut parts: Vec<&str> = Vec::new();
                    scan_quoted(self.text, prefix + 1, rules, |from, to| {
                        parts.push(&self.text[from..to]);
                    });
                    match parts.len() {
                        0 | 1 => Cow::Borrowed(&self.text[prefix..]),
                        _ => Cow::Owned(format!("'{}'", parts.join("'\n'"))),
                    }
                }
            },
        }
    }

    /// The text that a string constant stands for; `None` for any other token. `unicode_escape` is
    /// the character named by UESCAPE (`\` without it) and counts for U&'...' only. Escapes that
    /// the server would refuse stay as they are.
    pub fn decoded(&self, unicode_escape: char) -> Option<Cow<'a, str>> {
        if self.kind == TokenKind::DollarString {
            return self.dollar_body().map(Cow::Borrowed);
        }
        let (prefix, rules) = self.quote_rules()?;
        let mut parts: Vec<&str> = Vec::new();
        scan_quoted(self.text, prefix + 1, rules, |from, to| parts.push(&self.text[from..to]));
        let plain = match self.kind {
            TokenKind::EscapeString => ['\\', '\''],
            TokenKind::UnicodeString => [unicode_escape, '\''],
            _ => ['\'', '\''],
        };
        if let [only] = parts[..]
            && !only.contains(plain)
        {
            return Some(Cow::Borrowed(only));
        }
        let mut out = Vec::with_capacity(self.text.len());
        for part in parts {
            match self.kind {
                TokenKind::EscapeString => decode_escapes(part, &mut out),
                TokenKind::UnicodeString => decode_unicode(part, unicode_escape, &mut out),
                _ => out.extend_from_slice(part.replace("''", "'").as_bytes()),
            }
        }
        Some(Cow::Owned(match String::from_utf8(out) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }))
    }

    /// What stands between the two tags of a dollar string.
    fn dollar_body(&self) -> Option<&'a str> {
        let tag = 2 + self.text.get(1..)?.find('$')?;
        self.text.get(tag..self.text.len().checked_sub(tag)?)
    }

    /// Length of the prefix before the first quote, and the rules for what follows.
    fn quote_rules(&self) -> Option<(usize, QuoteRules)> {
        match self.kind {
            TokenKind::String => Some((0, PLAIN)),
            TokenKind::NationalString => Some((1, PLAIN)),
            TokenKind::EscapeString => Some((1, ESCAPES)),
            TokenKind::UnicodeString => Some((2, PLAIN)),
            TokenKind::BitString | TokenKind::HexString => Some((1, BITS)),
            _ => None,
        }
    }
}

/// The tokens of `sql`, without white space and comments.
pub fn tokens(sql: &str) -> Tokens<'_> {
    Tokens { sql, at: 0, signs_until: 0, comments: false }
}

/// The tokens of `sql` with its comments, each a token of the kind [`TokenKind::Comment`].
pub fn tokens_and_comments(sql: &str) -> Tokens<'_> {
    Tokens { comments: true, ..tokens(sql) }
}

/// Iterator over the tokens of a text.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    sql: &'a str,
    at: usize,
    /// Up to here, `+` and `-` are tokens of one character: what was cut off an operator. Keeps
    /// `+-+-+-...` linear, where scanning again from each sign would be quadratic.
    signs_until: usize,
    comments: bool,
}

impl<'a> Tokens<'a> {
    /// The byte at which the search for the next token starts.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes on at the byte `at`, which must lie between two characters and not before the present
    /// position; anything else is ignored.
    pub fn skip_to(&mut self, at: usize) {
        if at >= self.at && self.sql.is_char_boundary(at) {
            self.at = at;
        }
    }

    fn byte(&self, at: usize) -> u8 {
        // Nothing compares with NUL, so one in the text does no harm.
        self.sql.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn run(&self, from: usize, accept: fn(u8) -> bool) -> usize {
        let rest = self.sql.as_bytes().get(from..).unwrap_or_default();
        rest.iter().position(|b| !accept(*b)).map_or(self.sql.len(), |n| from + n)
    }

    /// Kind and end of the token that starts at `at`, where there is neither white space nor a
    /// comment.
    fn scan(&mut self, at: usize) -> (TokenKind, usize) {
        use TokenKind::*;
        let next = self.byte(at + 1);
        match self.byte(at) {
            b'\'' => self.string(String, at + 1, PLAIN),
            b'e' | b'E' if next == b'\'' => self.string(EscapeString, at + 2, ESCAPES),
            b'b' | b'B' if next == b'\'' => self.string(BitString, at + 2, BITS),
            b'x' | b'X' if next == b'\'' => self.string(HexString, at + 2, BITS),
            b'n' | b'N' if next == b'\'' => self.string(NationalString, at + 2, PLAIN),
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'\'' => {
                self.string(UnicodeString, at + 3, PLAIN)
            }
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'"' => {
                self.quoted_name(UnicodeName, at + 3)
            }
            b'"' => self.quoted_name(QuotedName, at + 1),
            b'$' => self.dollar(at),
            b if is_name_start(b) => (Name, self.run(at, is_name_part)),
            b'0'..=b'9' => self.number(at),
            b'.' if next.is_ascii_digit() => self.number(at),
            b'.' if next == b'.' => (DotDot, at + 2),
            b':' if next == b':' => (Typecast, at + 2),
            b':' if next == b'=' => (ColonEquals, at + 2),
            b if is_operator(b) => self.operator(at),
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => (Symbol, at + 1),
            // Only ASCII is left: every other byte starts a name.
            _ => (Other, at + 1),
        }
    }

    fn string(&self, kind: TokenKind, from: usize, rules: QuoteRules) -> (TokenKind, usize) {
        match scan_quoted(self.sql, from, rules, |_, _| ()) {
            Some(end) => (kind, end),
            None => (TokenKind::Invalid(LexError::UnterminatedString), self.sql.len()),
        }
    }

    fn quoted_name(&self, kind: TokenKind, from: usize) -> (TokenKind, usize) {
        let mut at = from;
        while let Some(n) = self.sql[at..].find('"') {
            at += n + 1;
            if self.byte(at) != b'"' {
                let empty = at == from + 1;
                return (if empty { TokenKind::Invalid(LexError::EmptyName) } else { kind }, at);
            }
            at += 1;
        }
        (TokenKind::Invalid(LexError::UnterminatedName), self.sql.len())
    }

    /// `$1`, `$$...$$`, `$tag$...$tag$`, or a lone `$`.
    fn dollar(&self, at: usize) -> (TokenKind, usize) {
        let next = self.byte(at + 1);
        if next.is_ascii_digit() {
            let end = self.run(at + 1, |b| b.is_ascii_digit());
            return match is_name_start(self.byte(end)) {
                true => (TokenKind::Invalid(LexError::ParamJunk), self.run(end, is_name_part)),
                false => (TokenKind::Param, end),
            };
        }
        // A tag has no `$`, so a text of many `$` is not read more than twice.
        let tag_end = match is_name_start(next) {
            true => self.run(at + 1, |b| is_name_part(b) && b != b'$'),
            false => at + 1,
        };
        if self.byte(tag_end) != b'$' {
            return (TokenKind::Other, at + 1);
        }
        let tag = &self.sql[at..=tag_end];
        match self.sql[tag_end + 1..].find(tag) {
            Some(n) => (TokenKind::DollarString, tag_end + 1 + n + tag.len()),
            None => (TokenKind::Invalid(LexError::UnterminatedDollarString), self.sql.len()),
        }
    }

    /// Digits with single underscores between them; `from` itself if there are none.
    fn digits(&self, from: usize, digit: fn(u8) -> bool) -> usize {
        let mut at = from;
        loop {
            let skip = usize::from(self.byte(at) == b'_' && at > from);
            if !digit(self.byte(at + skip)) {
                return at;
            }
            at = self.run(at + skip, digit);
        }
    }

    fn number(&self, at: usize) -> (TokenKind, usize) {
        use TokenKind::{Float, Integer, Invalid};
        const JUNK: TokenKind = Invalid(LexError::NumberJunk);

        let digit: Option<fn(u8) -> bool> = match (self.byte(at), self.byte(at + 1)) {
            (b'0', b'x' | b'X') => Some(|b| b.is_ascii_hexdigit()),
            (b'0', b'o' | b'O') => Some(|b| (b'0'..=b'7').contains(&b)),
            (b'0', b'b' | b'B') => Some(|b| matches!(b, b'0' | b'1')),
            _ => None,
        };
        if let Some(digit) = digit {
            // Here an underscore may also stand before the first digit.
            let first = at + 2 + usize::from(self.byte(at + 2) == b'_');
            let end = self.digits(first, digit);
            let junk_end = self.run(at + 1, is_name_part);
            return if end == first || end < junk_end { (JUNK, junk_end) } else { (Integer, end) };
        }

        let decimal: fn(u8) -> bool = |b| b.is_ascii_digit();
        let mut kind = Integer;
        let mut end = self.digits(at, decimal);
        // `1..2` is a range of integers, not two fractions.
        if self.byte(end) == b'.' && (end == at || self.byte(end + 1) != b'.') {
            kind = Float;
            end = self.digits(end + 1, decimal);
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            let exponent = end + 1 + sign;
            let exponent_end = self.digits(exponent, decimal);
            if exponent_end > exponent {
                kind = Float;
                end = exponent_end;
            } else if sign > 0 {
                return (JUNK, exponent);
            }
        }
        // What could be a name instead and has a `$` is one: `1_0$`, `1e5$`.
        let mut tail = self.sql.as_bytes()[at..end].iter().rev().take_while(|b| is_name_part(**b));
        let junk = match self.byte(end) {
            b'$' => tail.any(|b| is_name_start(*b)),
            b => is_name_start(b),
        };
        if junk { (JUNK, self.run(end, is_name_part)) } else { (kind, end) }
    }

    fn operator(&mut self, at: usize) -> (TokenKind, usize) {
        use TokenKind::*;
        if at < self.signs_until {
            return (Symbol, at + 1);
        }
        // As many operator characters as there are, up to the start of a comment.
        let mut end = at;
        let mut free = false; // has a character that no operator of standard SQL has
        while is_operator(self.byte(end)) {
            let next = self.byte(end + 1);
            match self.byte(end) {
                b'/' if next == b'*' => break,
                b'-' if next == b'-' => break,
                b => {
                    free |= matches!(
                        b,
                        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'
                    )
                }
            }
            end += 1;
        }
        // Only such an operator may end in a sign, so that `a=-1` reads as it should.
        if !free {
            self.signs_until = end;
            while end > at + 1 && matches!(self.byte(end - 1), b'+' | b'-') {
                end -= 1;
            }
        }
        let kind = match &self.sql[at..end] {
            "=>" => EqualsGreater,
            "<=" => LessEquals,
            ">=" => GreaterEquals,
            "<>" | "!=" => NotEquals,
            "+" | "-" | "*" | "/" | "%" | "^" | "<" | ">" | "=" => Symbol,
            _ => Operator,
        };
        (kind, end)
    }

    /// End of the comment that starts at `at`, `None` if there is no such comment.
    fn comment(&self, at: usize) -> Option<(TokenKind, usize)> {
        match (self.byte(at), self.byte(at + 1)) {
            (b'-', b'-') => {
                Some((TokenKind::Comment, self.run(at, |b| !matches!(b, b'\n' | b'\r'))))
            }
            (b'/', b'*') => {
                let mut depth = 1_usize;
                let mut end = at + 2;
                while end < self.sql.len() {
                    match (self.byte(end), self.byte(end + 1)) {
                        (b'*', b'/') => {
                            depth -= 1;
                            end += 2;
                            if depth == 0 {
                                return Some((TokenKind::Comment, end));
                            }
                        }
                        (b'/', b'*') => {
                            depth += 1;
                            end += 2;
                        }
                        _ => end += 1,
                    }
                }
                Some((TokenKind::Invalid(LexError::UnterminatedComment), self.sql.len()))
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let start = self.run(self.at, is_space);
            self.at = start;
            if start >= self.sql.len() {
                return None;
            }
            let (kind, end) = match self.comment(start) {
                Some((TokenKind::Comment, end)) if !self.comments => {
                    self.at = end;
                    continue;
                }
                Some(comment) => comment,
                None => self.scan(start),
            };
            self.at = end;
            return Some(Token { kind, text: &self.sql[start..end], start, end });
        }
    }
}

impl std::iter::FusedIterator for Tokens<'_> {}

/// What may stand between two single quotes.
#[derive(Clone, Copy)]
struct QuoteRules {
    /// A backslash takes the next character with it.
    backslash: bool,
    /// Two quotes stand for one.
    doubled: bool,
}

const PLAIN: QuoteRules = QuoteRules { backslash: false, doubled: true };
const ESCAPES: QuoteRules = QuoteRules { backslash: true, doubled: true };
const BITS: QuoteRules = QuoteRules { backslash: false, doubled: false };

/// Reads a string whose first quote stands before `from`. Calls `part` with the bounds of each of
/// its parts (there are several if it continues on another line) and returns its end.
fn scan_quoted(
    sql: &str,
    from: usize,
    rules: QuoteRules,
    mut part: impl FnMut(usize, usize),
) -> Option<usize> {
    let bytes = sql.as_bytes();
    let mut start = from;
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|b| *b == b'\'' || (*b == b'\\' && rules.backslash))?;
        if bytes[at] == b'\\' || (rules.doubled && bytes.get(at + 1) == Some(&b'\'')) {
            at += 2;
            continue;
        }
        part(start, at);
        at += 1;
        match continuation(bytes, at) {
            Some(quote) => at = quote + 1,
            None => return Some(at),
        }
        start = at;
    }
}

/// The quote that continues a string which ended before `at`: only white space and line comments
/// lie between them, with at least one newline.
fn continuation(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match *bytes.get(at)? {
            b'\'' if newline => return Some(at),
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += bytes[at..].iter().position(|b| matches!(b, b'\n' | b'\r'))?;
            }
            b if is_space(b) => {
                newline |= matches!(b, b'\n' | b'\r');
                at += 1;
            }
            _ => return None,
        }
    }
}

fn decode_escapes(part: &str, out: &mut Vec<u8>) {
    let bytes = part.as_bytes();
    let mut at = 0;
    let mut high: Option<u32> = None;
    while at < bytes.len() {
        let paired = high.take();
        if bytes[at] == b'\'' {
            out.push(b'\'');
            at += 2;
            continue;
        }
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let digits = |skip: usize, most: usize, radix: u32| {
            let from = (at + skip).min(bytes.len());
            let n = bytes[from..].iter().take(most);
            let n = n.take_while(|b| char::from(**b).is_digit(radix)).count();
            (u32::from_str_radix(&part[from..from + n], radix).unwrap_or(0), n)
        };
        let Some(&escaped) = bytes.get(at + 1) else {
            out.push(b'\\');
            return;
        };
        let (value, n) = match escaped {
            b'0'..=b'7' => digits(1, 3, 8),
            b'x' => digits(2, 2, 16),
            b'u' => digits(2, 4, 16),
            b'U' => digits(2, 8, 16),
            _ => (0, 0),
        };
        at += 2;
        match (escaped, n) {
            (b'0'..=b'7', _) => {
                out.push((value & 0xff) as u8);
                at += n - 1;
            }
            (b'x', 1..) => {
                out.push(value as u8);
                at += n;
            }
            (b'u', 4) | (b'U', 8) => {
                high = push_code(value, paired, out);
                at += n;
            }
            (b'b', _) => out.push(8),
            (b'f', _) => out.push(12),
            (b'n', _) => out.push(b'\n'),
            (b'r', _) => out.push(b'\r'),
            (b't', _) => out.push(b'\t'),
            (b'v', _) => out.push(11),
            _ => out.push(escaped),
        }
    }
}

fn decode_unicode(part: &str, escape: char, out: &mut Vec<u8>) {
    let mut rest = part;
    let mut high: Option<u32> = None;
    while let Some(c) = rest.chars().next() {
        let paired = high.take();
        let after = &rest[c.len_utf8()..];
        if c == '\'' {
            out.push(b'\'');
            rest = after.strip_prefix('\'').unwrap_or(after);
            continue;
        }
        if c == escape {
            if let Some(tail) = after.strip_prefix(escape) {
                out.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
                continue;
            }
            let (digits, skip) = if after.starts_with('+') { (6, 1) } else { (4, 0) };
            if let Some(text) = after.get(skip..skip + digits)
                && text.bytes().all(|b| b.is_ascii_hexdigit())
                && let Ok(value) = u32::from_str_radix(text, 16)
            {
                high = push_code(value, paired, out);
                rest = &after[skip + digits..];
                continue;
            }
        }
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = after;
    }
}

/// Adds the character `value`, or keeps the first half of a surrogate pair for the next call.
fn push_code(value: u32, paired: Option<u32>, out: &mut Vec<u8>) -> Option<u32> {
    if (0xD800..0xDC00).contains(&value) {
        return Some(value);
    }
    let value = match paired {
        Some(high) if (0xDC00..0xE000).contains(&value) => {
            0x10000 + ((high - 0xD800) << 10) + (value - 0xDC00)
        }
        _ => value,
    };
    let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    None
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_name_part(b: u8) -> bool {
    is_name_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_operator(b: u8) -> bool {
    matches!(
        b,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}
