//! Random text for the tests, the same on every run.
#![allow(dead_code)] // not every test uses all of it

/// A small generator (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Pieces that matter to a scanner, in any order.
    pub fn sqlish(&mut self, pieces: usize) -> String {
        const PIECES: &[&str] = &[
            " ",
            "\n",
            "\t",
            "--",
            "/*",
            "*/",
            "'",
            "''",
            "\"",
            "\"\"",
            "\\",
            "$",
            "$$",
            "$a$",
            "$1",
            "E'",
            "U&'",
            "U&\"",
            "B'",
            "x'",
            "N'",
            "a",
            "A",
            "é",
            "日本",
            "_",
            "0",
            "1",
            "9",
            "0x1F",
            "1_0",
            "1e",
            "e5",
            ".",
            "..",
            ":",
            "::",
            ":=",
            "=",
            "=>",
            "<",
            "<=",
            ">",
            "!=",
            "+",
            "-",
            "*",
            "/",
            "%",
            "|",
            "@",
            "#",
            "~",
            "?",
            ",",
            ";",
            "(",
            ")",
            "[",
            "]",
            "{",
            "BEGIN",
            " ATOMIC ",
            "END",
            "CREATE ",
            "FUNCTION ",
            "RULE ",
            "DO ",
            "SELECT ",
            "COPY ",
            "FROM ",
            "STDIN",
            "\n\\.\n",
            "PASSWORD ",
            "password=",
            "OPTIONS (",
            "ROLE ",
            "USER ",
            "://",
            "u:p@h",
            "mg_",
            "UESCAPE ",
            "\u{0}",
            "\u{b}",
            "\r",
        ];
        (0..pieces).map(|_| self.pick(PIECES)).collect()
    }

    /// Any bytes, made into text.
    pub fn noise(&mut self, length: usize) -> String {
        let bytes: Vec<u8> = (0..length).map(|_| self.next() as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
