//! Tokens: their form, and what one of them allows.

use crate::policy;

/// A token reads `mg_` and this many base64url characters (32 random bytes).
pub const TOKEN_CHARACTERS: usize = 43;

/// Renders 32 random bytes as a token.
pub fn token_from_bytes(bytes: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut token = String::with_capacity(3 + TOKEN_CHARACTERS);
    token.push_str("mg_");
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 6 {
            bits -= 6;
            token.push(char::from(ALPHABET[((buffer >> bits) & 63) as usize]));
        }
    }
    if bits > 0 {
        token.push(char::from(ALPHABET[((buffer << (6 - bits)) & 63) as usize]));
    }
    token
}

/// Has `text` the form of a token?
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix("mg_").is_some_and(|rest| {
        rest.len() == TOKEN_CHARACTERS
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// What is kept of a token: SHA-256, in hex.
pub fn token_hash(token: &str) -> String {
    crate::digest::sha256_hex(token.as_bytes())
}

/// Compares in a time that does not depend on where the two differ.
pub fn same_hash(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// What a presented token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Approval {
    pub id: i64,
    pub rules: Vec<String>,
    pub objects: Vec<String>,
    pub for_role: Option<String>,
    pub revoked: bool,
    pub expired: bool,
    /// Unused slots, or a use by this very transaction.
    pub usable: bool,
}

/// Why a token does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Refusal {
    Malformed,
    Unknown,
    Revoked,
    Expired,
    UsedUp,
    /// Every use that is left is being taken by other transactions right now.
    InUse,
    OtherRole,
    OtherRule,
    OtherObject,
}

impl Approval {
    /// Is it usable at all, by this role?
    pub fn check(&self, session_role: &str) -> Result<(), Refusal> {
        if self.for_role.as_deref().is_some_and(|role| role != session_role) {
            Err(Refusal::OtherRole)
        } else if self.revoked {
            Err(Refusal::Revoked)
        } else if self.expired {
            Err(Refusal::Expired)
        } else if !self.usable {
            Err(Refusal::UsedUp)
        } else {
            Ok(())
        }
    }

    /// Does it allow `rule` on `object`? `*` never includes `no-snapshot`.
    pub fn allows(&self, rule: &str, object: &str, table: Option<&str>) -> Result<(), Refusal> {
        let listed = self.rules.iter().any(|r| r == rule || (r == "*" && rule != "no-snapshot"));
        if !listed {
            Err(Refusal::OtherRule)
        } else if !self.objects.iter().any(|p| policy::covers(p, object, table)) {
            Err(Refusal::OtherObject)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        Approval {
            id: 1,
            rules: vec!["drop-table".into()],
            objects: vec!["public.*".into()],
            for_role: Some("app".into()),
            revoked: false,
            expired: false,
            usable: true,
        }
    }

    #[test]
    fn tokens_have_one_form() {
        let token = token_from_bytes(&[0xff; 32]);
        assert_eq!(token.len(), 46);
        assert!(is_well_formed(&token), "{token}");
        assert!(is_well_formed(&token_from_bytes(&[0; 32])));
        for bad in
            ["", "mg_", "mg_short", &token[1..], &format!("{token}x"), &token.replace('_', "+")]
        {
            assert!(!is_well_formed(bad), "{bad}");
        }
        // RFC 4648: the bytes 0..32 in base64url without padding.
        let mut bytes = [0u8; 32];
        (0..32).for_each(|i| bytes[i] = i as u8);
        assert_eq!(token_from_bytes(&bytes), "mg_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    }

    #[test]
    fn who_when_and_how_often() {
        assert_eq!(approval().check("app"), Ok(()));
        assert_eq!(approval().check("bob"), Err(Refusal::OtherRole));
        assert_eq!(Approval { revoked: true, ..approval() }.check("app"), Err(Refusal::Revoked));
        assert_eq!(Approval { expired: true, ..approval() }.check("app"), Err(Refusal::Expired));
        assert_eq!(Approval { usable: false, ..approval() }.check("app"), Err(Refusal::UsedUp));
    }

    #[test]
    fn what() {
        let a = approval();
        assert_eq!(a.allows("drop-table", "public.t", None), Ok(()));
        assert_eq!(a.allows("truncate", "public.t", None), Err(Refusal::OtherRule));
        assert_eq!(a.allows("drop-table", "sales.t", None), Err(Refusal::OtherObject));
        let star = Approval { rules: vec!["*".into()], ..approval() };
        assert_eq!(star.allows("truncate", "public.t", None), Ok(()));
        assert_eq!(star.allows("no-snapshot", "public.t", None), Err(Refusal::OtherRule));
    }

    #[test]
    fn hashes_compare_whole() {
        let h = token_hash("mg_x");
        assert!(same_hash(&h, &h.clone()));
        assert!(!same_hash(&h, &token_hash("mg_y")));
        assert!(!same_hash(&h, &h[1..]));
    }
}
