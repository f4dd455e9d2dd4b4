//! The statements of a script.

use crate::lexer::{Token, TokenKind, Tokens, tokens};

/// What a part of a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SliceKind {
    /// A statement for the server.
    Statement,
    /// A backslash command of psql, to the end of its line.
    PsqlCommand,
    /// The lines between a `COPY ... FROM stdin;` and its `\.`, that line included.
    CopyData,
}

/// One part of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What it is.
    pub kind: SliceKind,
    /// The byte at which its first token starts.
    pub start: usize,
    /// The byte after its last token; a statement does not include its `;`.
    pub end: usize,
    /// The line of its first token, from 1.
    pub line: usize,
}

impl Slice {
    /// The text of this part.
    pub fn text<'a>(&self, script: &'a str) -> &'a str {
        script.get(self.start..self.end).unwrap_or_default()
    }
}

/// Splits a script at the `;` that end its statements.
///
/// A `;` in the body of `CREATE FUNCTION ... BEGIN ATOMIC ... END` or between the parentheses of a
/// `CREATE RULE` does not end a statement; any other does, even between parentheses, so that one
/// forgotten `)` does not hide the rest of the script. For the same reason a body that never ends
/// is split after all. There are no empty statements. Comments belong to no part.
///
/// psql's backslash commands and the data of a COPY that ends in `\.` are parts of their own; a
/// backslash command within a statement ends it.
pub fn split(sql: &str) -> Vec<Slice> {
    Splitter { sql, slices: Vec::new(), counted: 0, line: 1, no_copy_end: false }.run()
}

struct Splitter<'a> {
    sql: &'a str,
    slices: Vec<Slice>,
    /// Up to here the lines are counted.
    counted: usize,
    line: usize,
    /// No `\.` stands between here and the end of the script.
    no_copy_end: bool,
}

impl<'a> Splitter<'a> {
    fn run(mut self) -> Vec<Slice> {
        let mut stream = tokens(self.sql);
        let mut boundary = Boundary::default();
        let mut open: Option<(usize, usize)> = None;
        let mut copy = CopyWatch::default();
        let mut hidden = false; // a `;` that did not end the statement
        while let Some(token) = stream.next() {
            if token.kind == TokenKind::Other && token.text == "\\" {
                self.close(&mut open);
                boundary = Boundary::default();
                hidden = false;
                copy = CopyWatch::default();
                // `\;` is psql's way to put a plain `;` into what it sends.
                if self.sql[token.end..].starts_with(';') {
                    stream.skip_to(token.end + 1);
                } else {
                    let end = line_end(self.sql, token.end);
                    let text = self.sql[token.start..end].trim_end();
                    self.push(SliceKind::PsqlCommand, token.start, token.start + text.len());
                    stream.skip_to(end);
                }
                continue;
            }
            if boundary.ends(&token) {
                self.close(&mut open);
                hidden = false;
                if std::mem::take(&mut copy).is_from_stdin() {
                    self.copy_data(&mut stream, token.end);
                }
                continue;
            }
            hidden |= token.is_symbol(';');
            copy.see(&token);
            open = Some((open.map_or(token.start, |(start, _)| start), token.end));
        }
        match open {
            Some((start, _)) if hidden && boundary.is_inside() => {
                self.split_plainly(start);
            }
            _ => self.close(&mut open),
        }
        self.slices
    }

    fn close(&mut self, open: &mut Option<(usize, usize)>) {
        if let Some((start, end)) = open.take() {
            self.push(SliceKind::Statement, start, end);
        }
    }

    fn push(&mut self, kind: SliceKind, start: usize, end: usize) {
        let skipped = self.sql.as_bytes().get(self.counted..start).unwrap_or_default();
        self.line += skipped.iter().filter(|b| **b == b'\n').count();
        self.counted = self.counted.max(start);
        self.slices.push(Slice { kind, start, end, line: self.line });
    }

    /// Every `;` from `start` to the end of the script ends a statement.
    fn split_plainly(&mut self, start: usize) {
        let mut open = None;
        let mut stream = tokens(self.sql);
        stream.skip_to(start);
        for token in stream {
            if token.is_symbol(';') {
                self.close(&mut open);
            } else {
                open = Some((open.map_or(token.start, |(first, _)| first), token.end));
            }
        }
        self.close(&mut open);
    }

    /// Skips the data that follow the `;` before `at`, if a line with `\.` ends them.
    fn copy_data(&mut self, stream: &mut Tokens<'a>, at: usize) {
        if self.no_copy_end {
            return;
        }
        let start = line_end(self.sql, at) + 1;
        let mut line = start;
        while line < self.sql.len() {
            let end = line_end(self.sql, line);
            if self.sql[line..end].trim_end_matches('\r') == "\\." {
                self.push(SliceKind::CopyData, start, line + 2);
                stream.skip_to(end);
                return;
            }
            line = end + 1;
        }
        self.no_copy_end = true;
    }
}

fn line_end(sql: &str, from: usize) -> usize {
    sql[from..].find('\n').map_or(sql.len(), |n| from + n)
}

/// Is a statement `COPY ... FROM STDIN`?
#[derive(Default)]
struct CopyWatch {
    seen: bool,
    is_copy: bool,
    after_from: bool,
    from_stdin: bool,
}

impl CopyWatch {
    fn see(&mut self, token: &Token<'_>) {
        if !self.seen {
            self.seen = true;
            self.is_copy = token.is_word("copy");
        } else if self.is_copy {
            self.from_stdin |= self.after_from && token.is_word("stdin");
            self.after_from = token.is_word("from");
        }
    }

    fn is_from_stdin(&self) -> bool {
        self.from_stdin
    }
}

/// Tells which `;` ends a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boundary {
    head: Head,
    /// Open parentheses of a CREATE RULE.
    parentheses: usize,
    /// Open BEGIN ATOMIC bodies.
    bodies: usize,
    last: Last,
}

/// How far the first words of a statement agree with one whose `;` needs care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Head {
    #[default]
    Start,
    Create,
    CreateOr,
    CreateOrReplace,
    Routine,
    Rule,
    Plain,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Any,
    Begin,
    /// `;` within a body, or the ATOMIC that opened it: the only places where END closes it.
    StatementOfBody,
}

impl Boundary {
    /// Takes the next token; true if it is a `;` that ends the statement. The next token is then
    /// the first of another statement.
    pub(crate) fn ends(&mut self, token: &Token<'_>) -> bool {
        let last = std::mem::take(&mut self.last);
        if token.is_symbol(';') {
            if self.parentheses > 0 {
                return false;
            }
            if self.bodies > 0 {
                self.head = Head::Start;
                self.last = Last::StatementOfBody;
                return false;
            }
            *self = Boundary::default();
            return true;
        }
        match self.head {
            Head::Rule => {
                if token.is_symbol('(') {
                    self.parentheses += 1;
                } else if token.is_symbol(')') {
                    self.parentheses = self.parentheses.saturating_sub(1);
                }
            }
            Head::Routine => {
                if token.is_word("begin") {
                    self.last = Last::Begin;
                } else if last == Last::Begin && token.is_word("atomic") {
                    self.bodies += 1;
                    self.head = Head::Start;
                    self.last = Last::StatementOfBody;
                }
            }
            Head::Start
                if self.bodies > 0 && last == Last::StatementOfBody && token.is_word("end") =>
            {
                self.bodies -= 1;
                self.head = Head::Plain;
            }
            Head::Plain => {}
            _ => self.head = self.head.after(token),
        }
        false
    }

    /// Is a body or a parenthesis open?
    pub(crate) fn is_inside(&self) -> bool {
        self.bodies > 0 || self.parentheses > 0
    }
}

impl Head {
    fn after(self, token: &Token<'_>) -> Head {
        let word = |word| token.is_word(word);
        match self {
            Head::Start if word("create") => Head::Create,
            Head::Create if word("or") => Head::CreateOr,
            Head::CreateOr if word("replace") => Head::CreateOrReplace,
            Head::Create | Head::CreateOrReplace if word("function") || word("procedure") => {
                Head::Routine
            }
            Head::Create | Head::CreateOrReplace if word("rule") => Head::Rule,
            _ => Head::Plain,
        }
    }
}
