//! Statement text that may be kept: without passwords, without tokens, and, by default, without
//! data.
//!
//! Three layers, each on its own:
//! * [`mask_tokens`] masks what looks like one of the guard's tokens, anywhere;
//! * passwords are masked in the statements that carry them (roles, user mappings, servers,
//!   subscriptions) and in every constant and comment that reads like a connection string, a URL
//!   with a password, or a piece of such a statement;
//! * [`StatementText::Redacted`] masks the constants of everything that is not DDL.
//!
//! In doubt more is masked, not less: the text is for reading, not for running again.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::lexer::{LexError, Token, TokenKind, Tokens, tokens, tokens_and_comments};
use crate::script::Boundary;

/// How much of a statement's text is kept; the setting `statement_text`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementText {
    /// All of it but tokens and passwords.
    Full,
    /// DDL as it is, everything else without its constants.
    #[default]
    Redacted,
    /// Nothing.
    None,
}

impl StatementText {
    /// The word for it in settings and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            StatementText::Full => "full",
            StatementText::Redacted => "redacted",
            StatementText::None => "none",
        }
    }
}

impl fmt::Display for StatementText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is none of `full`, `redacted`, `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStatementText;

impl fmt::Display for UnknownStatementText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected full, redacted or none")
    }
}

impl std::error::Error for UnknownStatementText {}

impl FromStr for StatementText {
    type Err = UnknownStatementText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [StatementText::Full, StatementText::Redacted, StatementText::None]
            .into_iter()
            .find(|how| how.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownStatementText)
    }
}

/// What may be kept of the text of a statement, or of several; `None` only for
/// [`StatementText::None`].
pub fn statement_text(sql: &str, how: StatementText) -> Option<String> {
    let data = match how {
        StatementText::None => return None,
        StatementText::Full => Data::Keep,
        StatementText::Redacted => Data::Mask,
    };
    let code = Code { sql, data, procedural: false, depth: 0 };
    let text = code.redacted();
    // Where a quote never ends, what looks like code may have been meant as a constant.
    if code.never_ends() {
        return Some(mask_secrets(&text).text.into_owned());
    }
    // Tokens may also stand outside of constants and comments.
    Some(mask_tokens(&text).unwrap_or(text))
}

/// What stands for a masked constant.
const MASK: &str = "***";
/// The first characters of a token, and how many base64url characters follow them.
const TOKEN_START: &str = "mg_";
const TOKEN_LENGTH: usize = 43;
/// Bodies within bodies are read this far; deeper ones are masked whole, which bounds both the
/// stack and the time.
const MAX_DEPTH: usize = 6;

/// Does the text hold what looks like a token?
pub fn contains_token(text: &str) -> bool {
    next_token(text, 0).is_some()
}

/// The text with `mg_***` for what looks like a token; `None` if there is none.
///
/// A token is `mg_` and at least 43 characters of base64url: a longer run is masked to its end.
pub fn mask_tokens(text: &str) -> Option<String> {
    let mut found = next_token(text, 0)?;
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    loop {
        out.push_str(&text[copied..found.0]);
        out.push_str(TOKEN_START);
        out.push_str(MASK);
        copied = found.1;
        match next_token(text, copied) {
            Some(next) => found = next,
            None => break,
        }
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Bounds of the first token at or after `from`.
fn next_token(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let start = at + text.get(at..)?.find(TOKEN_START)?;
        let secret = start + TOKEN_START.len();
        let end = run(text, secret, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if end - secret >= TOKEN_LENGTH {
            return Some((start, end));
        }
        // A later start in the same run would be shorter still.
        at = end;
    }
}

fn run(text: &str, from: usize, accept: impl Fn(u8) -> bool) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    rest.iter().position(|b| !accept(*b)).map_or(text.len(), |n| from + n)
}

// ---------------------------------------------------------------------------------------------
// Statements
// ---------------------------------------------------------------------------------------------

/// What happens to constants that are no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Keep,
    Mask,
}

/// A piece of SQL or PL/pgSQL.
#[derive(Clone, Copy)]
struct Code<'a> {
    sql: &'a str,
    data: Data,
    procedural: bool,
    depth: usize,
}

/// What a statement is, as far as its constants are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Class {
    /// Not known yet, or DML, or anything else that is not DDL.
    #[default]
    Data,
    /// DDL and settings: constants stay.
    Definition,
    /// CREATE TABLE, which turns into data with `AS SELECT`.
    Table,
    /// CREATE or ALTER of a role.
    Role,
    /// A user mapping, server or wrapper: the constants in OPTIONS (...) are secrets.
    Foreign,
    /// The constant after CONNECTION is a secret.
    Subscription,
    /// DO: the constants are bodies.
    Do,
    /// CREATE FUNCTION or PROCEDURE: the constants after AS are bodies.
    Routine,
}

/// What is known of the present statement.
#[derive(Default)]
struct Statement {
    /// Its first words, folded, as long as they may decide what it is.
    words: Vec<String>,
    words_over: bool,
    class: Class,
    /// Open parentheses, and those open when OPTIONS ( was met.
    parentheses: usize,
    options: Option<usize>,
    /// SET was met: in the statement of a role, what follows is a setting.
    set: bool,
    /// After a constant like `'password='` or `'ALTER ROLE %I PASSWORD %L'`, all others are
    /// secrets.
    dangling: bool,
    key: Key,
    last_word: String,
    /// LANGUAGE was met, with a name other than SQL and PL/pgSQL.
    foreign_language: Option<bool>,
}

/// Is what follows the value of a key such as `password`?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    No,
    /// Just after the key.
    Named,
    /// After the key and `=`, `:=`, `=>` or TO.
    Assigned,
}

impl<'a> Code<'a> {
    fn redacted(self) -> String {
        let mut out = String::with_capacity(self.sql.len());
        let mut copied = 0;
        let mut statement = Statement::default();
        let mut boundary = Boundary::default();
        // Where a masked secret ended: what touches it was meant to be part of it.
        let mut secret_end = None;
        let mut never_ends = None;
        let mut stream = tokens_and_comments(self.sql);
        while let Some(token) = stream.next() {
            out.push_str(&self.sql[copied..token.start]);
            copied = token.end;
            if matches!(
                token.kind,
                TokenKind::Comment | TokenKind::Invalid(LexError::UnterminatedComment)
            ) {
                out.push_str(&mask_secrets(token.text).text);
                continue;
            }
            if secret_end == Some(token.start) && !is_closing(&token) {
                secret_end = Some(token.end);
                continue;
            }
            match self.treatment(&statement, &token, &stream) {
                Treatment::Copy => out.push_str(token.text),
                treatment @ (Treatment::Secret | Treatment::Mask) => {
                    mask(&token, &mut out);
                    // PASSWORD 'it's mine': where it should have ended nobody knows.
                    if !is_number(&token) && *never_ends.get_or_insert_with(|| self.never_ends()) {
                        return out;
                    }
                    if let Treatment::Secret = treatment {
                        secret_end = Some(token.end);
                    }
                }
                Treatment::Read => self.read(&token, &stream, &mut statement, &mut out),
                Treatment::Body(data) => {
                    self.body(&token, &stream, data, &mut statement, &mut out);
                }
            }
            if boundary.ends(&token) || (self.procedural && token.is_symbol(';')) {
                statement = Statement::default();
            } else {
                statement.see(&token);
                let starts = ["begin", "then", "else", "loop"];
                if self.procedural
                    && (starts.iter().any(|word| token.is_word(word)) || token.text == ">>")
                {
                    statement = Statement::default();
                }
            }
        }
        out.push_str(&self.sql[copied..]);
        out
    }

    /// Is there a quote without its end?
    fn never_ends(self) -> bool {
        tokens(self.sql).last().is_some_and(|token| is_unterminated(&token))
    }

    fn treatment(&self, statement: &Statement, token: &Token<'a>, rest: &Tokens<'a>) -> Treatment {
        let unterminated = is_unterminated(token);
        let string = token.is_string() || unterminated;
        let class = statement.class;
        // Where a password belongs, whatever stands in its place was meant to be one.
        let carrier = matches!(class, Class::Role | Class::Foreign) && !statement.set_of_role();
        let value = match statement.key {
            Key::No => false,
            Key::Named if is_assignment(token) => false,
            Key::Named | Key::Assigned if carrier => {
                !is_closing(token) && !token.is_word("null") && !is_role_option(token)
            }
            Key::Named => string && token.kind != TokenKind::Invalid(LexError::UnterminatedName),
            Key::Assigned => string || is_number(token) || token.kind == TokenKind::QuotedName,
        };
        if value {
            return Treatment::Secret;
        }
        if string {
            let secret = statement.dangling
                || match class {
                    Class::Role => statement.last_word != "until" && !statement.set,
                    Class::Foreign => statement.options.is_some(),
                    Class::Subscription => statement.last_word == "connection",
                    _ => false,
                };
            if secret {
                return Treatment::Secret;
            }
        }
        let masked = self.data == Data::Mask && class == Class::Data;
        if unterminated {
            let code = self.data == Data::Mask && class == Class::Do;
            return if masked || code { Treatment::Mask } else { Treatment::Read };
        }
        if string {
            return match class {
                Class::Do if statement.last_word == "language" => Treatment::Copy,
                Class::Do if self.data == Data::Mask && statement.is_foreign(rest) => {
                    Treatment::Mask
                }
                Class::Do => Treatment::Body(self.data),
                Class::Routine if statement.last_word == "as" => Treatment::Body(Data::Keep),
                Class::Data if self.procedural && statement.last_word == "execute" => {
                    Treatment::Body(self.data)
                }
                _ if masked => Treatment::Mask,
                _ => Treatment::Read,
            };
        }
        match token.kind {
            _ if masked && is_number(token) => Treatment::Mask,
            // A connection string in the wrong quotes.
            TokenKind::QuotedName => Treatment::Read,
            _ => Treatment::Copy,
        }
    }

    /// Writes a constant without the secrets in it.
    fn read(
        &self,
        token: &Token<'a>,
        rest: &Tokens<'a>,
        statement: &mut Statement,
        out: &mut String,
    ) {
        let Some(content) = token.decoded(unicode_escape(token, rest)) else {
            let text = token.text.strip_suffix('"').unwrap_or(token.text);
            out.push_str(&mask_secrets(text).text);
            out.push_str(&token.text[text.len()..]);
            return;
        };
        let found = mask_secrets(&content);
        statement.dangling |= found.dangling;
        match found.text {
            Cow::Borrowed(_) => out.push_str(token.text),
            Cow::Owned(text) => write_constant(token, &text, out),
        }
    }

    /// Writes a body of code without the secrets, and perhaps without the data, in it.
    fn body(
        &self,
        token: &Token<'a>,
        rest: &Tokens<'a>,
        data: Data,
        statement: &mut Statement,
        out: &mut String,
    ) {
        let Some(content) = token.decoded(unicode_escape(token, rest)) else {
            return mask(token, out);
        };
        // EXECUTE 'ALTER ROLE x PASSWORD ' || ...
        statement.dangling |= statement.last_word == "execute" && mask_secrets(&content).dangling;
        if self.depth >= MAX_DEPTH {
            return mask(token, out);
        }
        let depth = self.depth + 1;
        let text = Code { sql: &content, data, procedural: true, depth }.redacted();
        // What stands in quotes there need not be what stands in quotes here.
        let text = match matches!(statement.class, Class::Do | Class::Routine)
            && statement.is_foreign(rest)
        {
            true => mask_secrets(&text).text.into_owned(),
            false => mask_tokens(&text).unwrap_or(text),
        };
        if text == content {
            out.push_str(token.text);
        } else {
            write_constant(token, &text, out);
        }
    }
}

/// What happens to a token.
enum Treatment {
    Copy,
    /// Data that is not to be kept.
    Mask,
    /// A password, with all that touches it.
    Secret,
    /// A constant that may hold a secret.
    Read,
    /// A constant that is code.
    Body(Data),
}

impl Statement {
    /// Is the body before `rest` in a language that is not read like SQL? LANGUAGE may stand on
    /// either side of it; if it is very far, the answer is yes.
    fn is_foreign(&self, rest: &Tokens<'_>) -> bool {
        const FAR: usize = 64;
        if let Some(foreign) = self.foreign_language {
            return foreign;
        }
        let mut language = false;
        for (n, token) in rest.clone().enumerate() {
            if language && token.kind != TokenKind::Comment {
                return is_foreign_language(&token);
            }
            if token.is_symbol(';') {
                return false;
            }
            if n == FAR {
                return true;
            }
            language |= token.is_word("language");
        }
        false
    }

    fn set_of_role(&self) -> bool {
        self.class == Class::Role && self.set
    }

    fn see(&mut self, token: &Token<'_>) {
        let word = match token.kind {
            TokenKind::Name => token.text.to_ascii_lowercase(),
            TokenKind::QuotedName => token.text.trim_matches('"').to_ascii_lowercase(),
            _ => String::new(),
        };
        self.key = match self.key {
            Key::Named if is_assignment(token) => Key::Assigned,
            _ if is_secret_key(&word) => Key::Named,
            _ => Key::No,
        };
        self.set |= token.is_word("set");
        if self.last_word == "language" && self.foreign_language.is_none() {
            self.foreign_language = Some(is_foreign_language(token));
        }
        if token.is_symbol('(') {
            self.parentheses += 1;
            if self.last_word == "options" && self.options.is_none() {
                self.options = Some(self.parentheses);
            }
        } else if token.is_symbol(')') {
            if self.options == Some(self.parentheses) {
                self.options = None;
            }
            self.parentheses = self.parentheses.saturating_sub(1);
        }
        let query = ["select", "with", "values", "table", "execute"];
        if self.class == Class::Table
            && self.last_word == "as"
            && self.parentheses <= 1
            && (token.is_symbol('(') || query.contains(&word.as_str()))
        {
            self.class = Class::Data;
            self.words_over = true;
        }
        if !self.words_over {
            self.words_over = token.kind != TokenKind::Name || self.words.len() >= 8;
            if !self.words_over {
                self.words.push(word.clone());
                self.class = classify(&self.words);
            }
        }
        self.last_word = match token.kind {
            TokenKind::Name => word,
            _ => String::new(),
        };
    }
}

/// What the first words of a statement make of it.
fn classify(words: &[String]) -> Class {
    const MODIFIERS: [&str; 14] = [
        "or",
        "replace",
        "temp",
        "temporary",
        "unlogged",
        "global",
        "local",
        "materialized",
        "recursive",
        "constraint",
        "trusted",
        "procedural",
        "unique",
        "default",
    ];
    const DEFINITIONS: [&str; 34] = [
        "abort",
        "analyze",
        "begin",
        "checkpoint",
        "close",
        "cluster",
        "comment",
        "commit",
        "deallocate",
        "discard",
        "drop",
        "end",
        "fetch",
        "grant",
        "import",
        "listen",
        "load",
        "lock",
        "move",
        "reassign",
        "refresh",
        "reindex",
        "release",
        "reset",
        "revoke",
        "rollback",
        "savepoint",
        "security",
        "set",
        "show",
        "start",
        "truncate",
        "unlisten",
        "vacuum",
    ];
    let Some(first) = words.first() else { return Class::Data };
    match first.as_str() {
        "create" | "alter" => {
            let mut rest = words[1..].iter().map(String::as_str);
            match rest.by_ref().find(|word| !MODIFIERS.contains(word)) {
                Some("role" | "group") => Class::Role,
                Some("user") if rest.next() == Some("mapping") => Class::Foreign,
                Some("user") => Class::Role,
                Some("server") => Class::Foreign,
                Some("foreign") if rest.next() == Some("data") => Class::Foreign,
                Some("subscription") => Class::Subscription,
                Some("function" | "procedure" | "routine") => Class::Routine,
                Some("table") if first == "create" => Class::Table,
                _ => Class::Definition,
            }
        }
        "do" => Class::Do,
        "prepare" if words.get(1).is_some_and(|word| word == "transaction") => Class::Definition,
        word if DEFINITIONS.contains(&word) => Class::Definition,
        _ => Class::Data,
    }
}

fn is_foreign_language(name: &Token<'_>) -> bool {
    let name = name.text.trim_matches(['"', '\'']);
    !["plpgsql", "sql"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The character that a UESCAPE after `token` names.
fn unicode_escape(token: &Token<'_>, rest: &Tokens<'_>) -> char {
    if token.kind != TokenKind::UnicodeString {
        return '\\';
    }
    let mut rest = rest.clone().filter(|token| token.kind != TokenKind::Comment);
    match (rest.next(), rest.next()) {
        (Some(word), Some(name)) if word.is_word("uescape") => {
            let named = name.decoded('\\').and_then(|text| text.chars().next());
            named.unwrap_or('\\')
        }
        _ => '\\',
    }
}

/// A quote without its end, which reaches to the end of the text.
fn is_unterminated(token: &Token<'_>) -> bool {
    matches!(
        token.kind,
        TokenKind::Invalid(
            LexError::UnterminatedString
                | LexError::UnterminatedDollarString
                | LexError::UnterminatedName
        )
    )
}

fn is_number(token: &Token<'_>) -> bool {
    matches!(
        token.kind,
        TokenKind::Integer | TokenKind::Float | TokenKind::Invalid(LexError::NumberJunk)
    )
}

/// A word after PASSWORD that shows it to be a role's name: `ALTER ROLE password LOGIN`.
fn is_role_option(token: &Token<'_>) -> bool {
    ["login", "nologin", "set", "reset", "rename", "with", "valid", "options", "password", "in"]
        .iter()
        .any(|word| token.is_word(word))
}

/// A character that ends a value.
fn is_closing(token: &Token<'_>) -> bool {
    matches!(token.text, ";" | ")" | "," | "::" | "]")
}

fn is_assignment(token: &Token<'_>) -> bool {
    matches!(token.text, "=" | ":=" | "=>") || token.is_word("to")
}

fn mask(token: &Token<'_>, out: &mut String) {
    let quoted = !is_number(token);
    if quoted {
        out.push('\'');
    }
    out.push_str(MASK);
    // What never ended is shown as such.
    if quoted && !matches!(token.kind, TokenKind::Invalid(_)) {
        out.push('\'');
    }
}

/// Writes `text` as a constant, in dollar quotes if `token` has them.
fn write_constant(token: &Token<'_>, text: &str, out: &mut String) {
    if token.kind == TokenKind::DollarString {
        let tag = token.text[1..].find('$').map_or("$$", |n| &token.text[..n + 2]);
        for part in [tag, text, tag] {
            out.push_str(part);
        }
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

// ---------------------------------------------------------------------------------------------
// Texts
// ---------------------------------------------------------------------------------------------

/// A text without its secrets.
struct Masked<'a> {
    text: Cow<'a, str>,
    /// The text stops, or has a placeholder, where a password would stand.
    dangling: bool,
}

/// Is a password, or the like, known by this name (in lower case)?
fn is_secret_key(name: &str) -> bool {
    const ENDINGS: [&str; 7] =
        ["password", "passwd", "passphrase", "pwd", "secret", "secret_key", "access_key"];
    matches!(name, "pass" | "scram_client_key" | "scram_server_key" | "api_key" | "apikey")
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Masks tokens, `password=...` and its kind, `PASSWORD '...'`, and `scheme://user:password@`.
fn mask_secrets(text: &str) -> Masked<'_> {
    let mut out = String::new();
    let mut copied = 0;
    let mut dangling = false;
    let mut replace = |from: usize, to: usize, copied: &mut usize| {
        if from >= *copied && to > from {
            out.push_str(&text[*copied..from]);
            out.push_str(MASK);
            *copied = to;
        }
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut authority = Authority::default();
    let roles = OnceCell::new();
    while at < text.len() {
        if is_word(bytes[at]) {
            let end = run(text, at, is_word);
            // Only a password's own name stands before one; no key is longer than a name.
            let key = end - at <= 128 && is_secret_key(&text[at..end].to_ascii_lowercase());
            at = end;
            if key {
                let roles = || *roles.get_or_init(|| speaks_of_roles(text));
                match value(text, end, roles) {
                    Value::None => {}
                    Value::Found(from, to) => {
                        replace(from, to, &mut copied);
                        at = at.max(to);
                    }
                    Value::Dangling => dangling = true,
                }
            }
        } else if text[at..].starts_with("://") {
            at += 3;
            if let Some((from, to)) = authority.password(text, at) {
                replace(from, to, &mut copied);
                at = to;
            }
        } else {
            // All that is looked for starts with an ASCII character.
            at += 1;
            while !text.is_char_boundary(at) {
                at += 1;
            }
        }
    }
    let text = match copied {
        0 => Cow::Borrowed(text),
        _ => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
    };
    let text = match mask_tokens(&text) {
        Some(masked) => Cow::Owned(masked),
        None => text,
    };
    Masked { text, dangling }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

enum Value {
    None,
    Found(usize, usize),
    Dangling,
}

/// The value of the key that ends before `at`; `roles` tells if the text speaks of roles.
fn value(text: &str, at: usize, roles: impl Fn() -> bool) -> Value {
    let bytes = text.as_bytes();
    let space = |at| run(text, at, |b| b.is_ascii_whitespace());
    // The quote that closes a key in JSON, or a quoted name.
    let quoted = run(text, at, |b| matches!(b, b'"' | b'\'' | b'\\'));
    let sign = run(text, space(quoted), |b| matches!(b, b'=' | b':' | b'>'));
    let assigned = sign > space(quoted);
    let equals = text[space(quoted)..sign].contains('=');
    let mut from = space(if assigned { sign } else { at });
    // E'...', U&'...', N'...'
    for prefix in ["E'", "e'", "N'", "n'", "U&'", "u&'"] {
        if text[from..].starts_with(prefix) {
            from += prefix.len() - 1;
        }
    }
    let Some(&first) = bytes.get(from) else {
        // `... PASSWORD ` at the end counts only in what reads like the statement of a role.
        return match assigned || (from > at && roles()) {
            true => Value::Dangling,
            false => Value::None,
        };
    };
    match first {
        b'%' if is_placeholder(text, from) => match assigned || roles() {
            true => Value::Dangling,
            false => Value::None,
        },
        b'\'' | b'"' => {
            let opening = run(text, from, |b| b == first) - from;
            let start = from + opening;
            if start == text.len() {
                return Value::Dangling;
            }
            if is_placeholder(text, start) {
                return Value::Dangling;
            }
            let mut end = start;
            while end < text.len() {
                if bytes[end] == b'\\' && end + 1 < text.len() {
                    end += 2;
                } else if bytes[end] == first {
                    let closing = run(text, end, |b| b == first) - end;
                    if closing % (2 * opening) == opening {
                        break;
                    }
                    end += closing;
                } else {
                    end += 1;
                }
            }
            Value::Found(start, end.min(text.len()))
        }
        b'$' if !equals => {
            let tag_end = run(text, from + 1, is_word);
            if bytes.get(tag_end) != Some(&b'$') {
                return Value::None;
            }
            let tag = &text[from..=tag_end];
            let start = tag_end + 1;
            Value::Found(start, text[start..].find(tag).map_or(text.len(), |n| start + n))
        }
        _ if equals => {
            let mut end = from;
            while end < text.len() && !bytes[end].is_ascii_whitespace() {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            Value::Found(from, end.min(text.len()))
        }
        _ => Value::None,
    }
}

/// `%s`, `%L`, `%1$s`, or the lone `%` of RAISE, but not the `%2F` of a URL.
fn is_placeholder(text: &str, at: usize) -> bool {
    let Some(rest) = text[at..].strip_prefix('%') else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.chars().next().is_none_or(|c| "sIL$-'\"".contains(c) || c.is_whitespace())
}

/// Does the text begin like the statement of a role or a user mapping?
fn speaks_of_roles(text: &str) -> bool {
    tokens(text)
        .take(16)
        .any(|token| ["role", "user", "group", "options"].iter().any(|word| token.is_word(word)))
}

/// Finds the password of a URL. Remembers how far a run of characters without white space or
/// quotes reaches and where its last `@` stands, so that many URLs in one run stay linear.
#[derive(Default)]
struct Authority {
    run_end: usize,
    last_at: Option<usize>,
}

impl Authority {
    /// Bounds of the password in the URL whose scheme and `://` end before `from`.
    fn password(&mut self, text: &str, from: usize) -> Option<(usize, usize)> {
        if from >= self.run_end {
            self.run_end = run(text, from, |b| {
                !b.is_ascii_whitespace() && !matches!(b, b'\'' | b'"' | b'<' | b'>')
            });
            self.last_at = text[from..self.run_end].rfind('@').map(|n| from + n);
        }
        let strict = run(text, from, |b| !matches!(b, b'/' | b'?' | b'#'));
        let strict = &text[from..strict.min(self.run_end)];
        let web = text[..from].ends_with("http://") || text[..from].ends_with("https://");
        // An unescaped `/` or `@` in a password is wrong, but would be shown all the same.
        let last = match strict.rfind('@') {
            Some(n) if web => Some(from + n),
            None if web => None,
            _ => self.last_at.filter(|at| *at >= from),
        }?;
        let colon = from + text[from..last].find(':')?;
        let start = colon + 1;
        (start < last).then_some((start, last))
    }
}
