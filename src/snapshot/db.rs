//! The room's short way to SQL: run, ask, quote. The caller has chosen whose rights count.

use crate::error::Result;
use crate::pg::snapshot_support::pin;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

/// Runs a statement; returns the rows it touched.
pub fn run(sql: &str, arguments: &[DatumWithOid]) -> Result<i64> {
    Ok(Spi::connect_mut(|client| client.update(sql, None, arguments).map(|t| t.len() as i64))?)
}

/// The first column of the first row; None when there is no row or a NULL.
pub fn one<T: FromDatum + IntoDatum>(sql: &str, arguments: &[DatumWithOid]) -> Result<Option<T>> {
    Ok(Spi::connect_mut(|client| {
        let rows = client.update(sql, Some(1), arguments)?;
        if rows.is_empty() { Ok(None) } else { rows.first().get_one::<T>() }
    })?)
}

/// The first column of every row, NULLs left out.
pub fn all<T: FromDatum + IntoDatum>(sql: &str, arguments: &[DatumWithOid]) -> Result<Vec<T>> {
    Ok(Spi::connect_mut(|client| {
        let mut found = Vec::new();
        for row in client.update(sql, None, arguments)? {
            if let Some(value) = row.get::<T>(1)? {
                found.push(value);
            }
        }
        Ok::<_, spi::Error>(found)
    })?)
}

/// A name as an identifier of SQL, always quoted: right for every name and every version.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A constant of SQL, right whatever standard_conforming_strings says.
pub fn literal(value: &str) -> String {
    let escape = if value.contains('\\') { " E" } else { "" };
    format!("{escape}'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// Settings that change what values and definitions look like as text, pinned until the enclosing
/// rights end, so that what was written under one session reads the same under another.
pub fn pin_formats() {
    for (name, value) in [
        (c"datestyle", c"ISO, MDY"),
        (c"intervalstyle", c"postgres"),
        (c"extra_float_digits", c"3"),
        (c"bytea_output", c"hex"),
        (c"lc_monetary", c"C"),
        (c"xmloption", c"content"),
        (c"standard_conforming_strings", c"on"),
        (c"transform_null_equals", c"off"),
        (c"array_nulls", c"on"),
        (c"default_tablespace", c""),
        (c"default_table_access_method", c"heap"),
        (c"default_toast_compression", c"pglz"),
        (c"check_function_bodies", c"off"),
    ] {
        pin(name, value);
    }
}
