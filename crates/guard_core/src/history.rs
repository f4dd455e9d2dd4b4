//! What the history hashes, and how.

use crate::digest::sha256_hex;
use serde::Serialize;

/// The part of a history row that never changes after it was written; `entry_hash` covers it.
/// Field order is part of the format: a change of it needs a new `version`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Entry<'a> {
    pub version: u32,
    pub id: i64,
    pub migration_name: &'a str,
    /// Microseconds since 2000-01-01 00:00 UTC.
    pub started_at: i64,
    pub applied_by: &'a str,
    pub session_role: &'a str,
    pub source: &'a str,
    pub application_name: &'a str,
    pub client_addr: Option<&'a str>,
    pub transaction_id: u64,
    pub start_lsn: u64,
}

impl Entry<'_> {
    /// SHA-256 over the entry's compact JSON form.
    pub fn hash(&self) -> Result<String, serde_json::Error> {
        Ok(sha256_hex(serde_json::to_string(self)?.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_counts() {
        let entry = Entry {
            version: 1,
            id: 1,
            migration_name: "m",
            started_at: 2,
            applied_by: "a",
            session_role: "b",
            source: "session",
            application_name: "psql",
            client_addr: None,
            transaction_id: 3,
            start_lsn: 4,
        };
        let hash = entry.hash().unwrap();
        assert_eq!(hash, entry.clone().hash().unwrap());
        for other in [
            Entry { id: 2, ..entry.clone() },
            Entry { migration_name: "n", ..entry.clone() },
            Entry { started_at: 3, ..entry.clone() },
            Entry { applied_by: "b", ..entry.clone() },
            Entry { client_addr: Some("127.0.0.1"), ..entry.clone() },
            Entry { transaction_id: 4, ..entry.clone() },
        ] {
            assert_ne!(hash, other.hash().unwrap());
        }
    }
}
