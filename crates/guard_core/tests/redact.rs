//! What is left of a statement's text.

mod common;

use std::time::{Duration, Instant};

use common::Random;
use guard_core::redact::{StatementText, contains_token, mask_tokens, statement_text};

const TOKEN: &str = "mg_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";

fn full(sql: &str) -> String {
    statement_text(sql, StatementText::Full).unwrap()
}

fn redacted(sql: &str) -> String {
    statement_text(sql, StatementText::Redacted).unwrap()
}

#[test]
fn settings() {
    for how in [StatementText::Full, StatementText::Redacted, StatementText::None] {
        assert_eq!(how.to_string().parse(), Ok(how));
        assert_eq!(serde_json::to_string(&how).unwrap(), format!("\"{how}\""));
    }
    assert_eq!("FULL".parse(), Ok(StatementText::Full));
    assert!("some".parse::<StatementText>().is_err());
    assert_eq!(StatementText::default(), StatementText::Redacted);
    assert_eq!(statement_text("SELECT 1", StatementText::None), None);
}

#[test]
fn tokens() {
    assert_eq!(TOKEN.len(), 46);
    assert_eq!(mask_tokens(""), None);
    assert_eq!(mask_tokens("mg_short mg_mg_"), None);
    assert_eq!(mask_tokens(&TOKEN[..45]), None);
    let one = "x='mg_***',";
    assert_eq!(mask_tokens(&one.replace("mg_***", TOKEN)).as_deref(), Some(one));
    assert_eq!(mask_tokens(&format!("{TOKEN},{TOKEN}")).as_deref(), Some("mg_***,mg_***"));
    assert_eq!(mask_tokens(&format!("{TOKEN}xyz é")).as_deref(), Some("mg_*** é"));
    assert_eq!(mask_tokens(&format!("mg_{TOKEN} mg_1")).as_deref(), Some("mg_*** mg_1"));
    assert!(contains_token(TOKEN) && !contains_token("mg_"));
}

#[test]
fn tokens_go_from_everywhere() {
    for sql in [
        "SET migration_guard.token = 'TOKEN'; DROP TABLE a",
        "SET migration_guard.token TO TOKEN",
        "SELECT migration_guard.use_token('TOKEN')",
        "SELECT migration_guard.use_token(E'TOKEN')",
        "DROP TABLE a -- TOKEN",
        "DROP TABLE a /* TOKEN */",
        "DO $$ BEGIN PERFORM use_token('TOKEN'); /* TOKEN */ END $$",
        "CREATE FUNCTION f() RETURNS int AS 'SELECT use_token(''TOKEN'')' LANGUAGE sql",
        "DROP TABLE \"TOKEN\"",
        "DROP TABLE TOKEN",
        "SELECT 'TOKEN",
        "SELECT $a$ TOKEN",
        "COMMENT ON TABLE a IS $$TOKEN$$",
        "/* TOKEN",
    ] {
        for how in [StatementText::Full, StatementText::Redacted] {
            let text = statement_text(&sql.replace("TOKEN", TOKEN), how).unwrap();
            assert!(!text.contains("AbCdEf"), "{text}");
        }
    }
    // Also when it is spelled with escapes or over two lines.
    for sql in [
        r"COMMENT ON TABLE a IS E'\x6dg_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE'",
        r"COMMENT ON TABLE a IS U&'mg\005fAbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE'",
        r"COMMENT ON TABLE a IS U&'mg!005fAbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE' UESCAPE '!'",
        "COMMENT ON TABLE a IS 'mg_AbCdEfGhIjKlMnOp'\n'QrStUvWxYz0123456789-_AbCdE'",
    ] {
        let text = full(sql);
        assert!(text.contains("'mg_***'"), "{text}");
    }
}

/// Statements that hold `SECRET` where a password stands; none may keep it.
const SECRETS: &[&str] = &[
    "CREATE ROLE x PASSWORD 'SECRET'",
    "CREATE ROLE x LOGIN ENCRYPTED PASSWORD 'SECRET' VALID UNTIL '2030-01-01'",
    "CREATE USER x WITH PASSWORD 'SECRET'",
    "CREATE GROUP x PASSWORD 'SECRET'",
    "ALTER ROLE x PASSWORD E'a\\'SECRET'",
    "ALTER USER x WITH PASSWORD $$SECRET$$",
    "alter user \"X\" password 'a'\n'SECRET'",
    "ALTER USER x /* PASSWORD 'SECRET' */ PASSWORD U&'SECRET' UESCAPE '!'",
    "ALTER USER x PASSWORD N'SECRET'",
    "ALTER USER x PASSWORD'SECRET'",
    // Wrong, and recorded as a failure all the same.
    "ALTER USER x PASSWORD 'SECRET",
    "ALTER USER x PASSWORD $$SECRET",
    "ALTER USER x PASSWORD \"SECRET\"",
    "ALTER USER x PASSWORD \"SECRET",
    "ALTER USER x PASSWORD SECRET",
    "ALTER USER x PASSWORD = 'SECRET'",
    "ALTER USER x PASSWORD = SECRET",
    "ALTER USER x PASSWORD 'it's SECRET'",
    "ALTER USER x PASSWORD 'it'SECRET'",
    "ALTER USER x PASSWORD 'a'SECRET'b'",
    "ALTER USER x PASSWORD 'it's a;SECRET'; SELECT 1",
    "ALTER USER x PASSWRD 'SECRET'",
    "ALTER USER x IDENTIFIED BY 'SECRET'",
    "CRAETE USER x PASSWORD 'SECRET'",
    "CREATE USER MAPPING FOR x SERVER s OPTIONS (user 'u', password 'SECRET')",
    "ALTER USER MAPPING FOR x SERVER s OPTIONS (SET password 'SECRET')",
    "CREATE USER MAPPING FOR x SERVER s OPTIONS (\"token\" 'SECRET')",
    "CREATE USER MAPPING FOR x SERVER s OPTIONS (password SECRET)",
    "CREATE SERVER IF NOT EXISTS s FOREIGN DATA WRAPPER f OPTIONS (host 'h', k 'SECRET')",
    "ALTER SERVER s OPTIONS (ADD x 'SECRET')",
    "CREATE FOREIGN DATA WRAPPER f OPTIONS (k 'SECRET')",
    "CREATE FOREIGN TABLE t (a int) SERVER s OPTIONS (secret_key 'SECRET')",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h SECRET' PUBLICATION p",
    "ALTER SUBSCRIPTION s CONNECTION $$SECRET$$",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=SECRET",
    "SELECT dblink_connect('c', 'host=h password=SECRET user=u')",
    "SELECT dblink_connect('host=h password = ''SECRET x''')",
    "SELECT dblink_connect($$host=h password='a\\'SECRET'$$)",
    "SELECT dblink('postgres://u:SECRET@h/db', 'SELECT 1')",
    "SELECT dblink('postgresql://u:a/b@SECRET@h:1/db?x=y', 'SELECT 1')",
    "SELECT dblink('postgres://h/db?user=u&password=SECRET', 'SELECT 1')",
    "SELECT dblink(\"host=h password=SECRET\")",
    "SELECT http_get('https://u:SECRET@h/')",
    "SELECT dblink('host=h sslpassword=SECRET')",
    "SELECT dblink('host=h password=' || 'SECRET')",
    "SELECT dblink(format('host=h password=%s', 'SECRET'))",
    "SELECT f(password => 'SECRET')",
    "UPDATE users SET password = 'SECRET' WHERE id = 1",
    "SELECT '{\"password\": \"SECRET\"}'::jsonb",
    "ALTER SYSTEM SET primary_conninfo = 'host=h password=SECRET'",
    "COPY t FROM PROGRAM 'curl ftp://u:SECRET@h/x'",
    "DROP TABLE a -- postgres://u:SECRET@h/db",
    "DROP TABLE a /* password=SECRET */",
    "DROP TABLE a -- ALTER ROLE x PASSWORD 'SECRET'",
    "DO $$ BEGIN CREATE ROLE x PASSWORD 'SECRET'; END $$",
    "DO $$ BEGIN EXECUTE 'CREATE ROLE x PASSWORD ''SECRET'''; END $$",
    "DO $$ BEGIN EXECUTE $q$CREATE ROLE x PASSWORD 'SECRET'$q$; END $$",
    "DO $$ BEGIN EXECUTE format('CREATE ROLE %I PASSWORD %L', 'x', 'SECRET'); END $$",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ' || quote_literal('SECRET'); END $$",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''' || 'SECRET' || ''''; END $$",
    "DO 'BEGIN CREATE ROLE x PASSWORD ''SECRET''; END'",
    "DO LANGUAGE plpgsql $$ BEGIN IF true THEN ALTER ROLE x PASSWORD 'SECRET'; END IF; END $$",
    "CREATE FUNCTION f() RETURNS void AS $$ ALTER ROLE x PASSWORD 'SECRET' $$ LANGUAGE sql",
    "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT dblink(''password=SECRET'')'",
    "CREATE FUNCTION f() BEGIN ATOMIC SELECT dblink('password=SECRET'); END",
    "CREATE VIEW v AS SELECT * FROM dblink('password=SECRET', 'q') AS t(a int)",
    "CREATE FUNCTION f() RETURNS int AS $$ # don't\nconnect(password='SECRET') $$ LANGUAGE plpython3u",
    "CREATE FUNCTION f() RETURNS int LANGUAGE 'plperl' AS $$ connect(password => \"SECRET\") $$",
    "DO LANGUAGE plpython3u $$ # don't\nconnect('postgres://u:SECRET@h') $$",
    "SELECT dblink('host=it's password=SECRET')",
    "SELECT dblink('host=h password=SECRET it's')",
    "ALTER USER o'brien PASSWORD 'SECRET'",
    "SELECT 1; CREATE ROLE x PASSWORD 'SECRET'; SELECT 2",
    "EXPLAIN SELECT dblink('password=SECRET')",
    "PREPARE p AS SELECT dblink('password=SECRET')",
];

#[test]
fn passwords_never_survive() {
    for sql in SECRETS {
        for how in [StatementText::Full, StatementText::Redacted] {
            let text = statement_text(sql, how).unwrap();
            assert!(!text.contains("SECRET"), "{sql}\n{text}");
            assert!(text.contains("***"), "{sql}\n{text}");
            // What was masked stays as it is.
            let again = statement_text(&text, how).unwrap();
            assert!(!again.contains("SECRET"), "{again}");
        }
    }
}

#[test]
fn what_masking_looks_like() {
    for (sql, expected) in [
        (
            "CREATE ROLE x LOGIN PASSWORD 'a' VALID UNTIL '2030-01-01' IN ROLE y",
            "CREATE ROLE x LOGIN PASSWORD '***' VALID UNTIL '2030-01-01' IN ROLE y",
        ),
        ("ALTER ROLE x PASSWORD NULL", "ALTER ROLE x PASSWORD NULL"),
        ("ALTER ROLE x SET search_path = 'a', b", "ALTER ROLE x SET search_path = 'a', b"),
        (
            "CREATE USER MAPPING FOR x SERVER s OPTIONS (user 'u', password 'p')",
            "CREATE USER MAPPING FOR x SERVER s OPTIONS (user '***', password '***')",
        ),
        (
            "CREATE SERVER s TYPE 't' FOREIGN DATA WRAPPER f OPTIONS (host 'h')",
            "CREATE SERVER s TYPE 't' FOREIGN DATA WRAPPER f OPTIONS (host '***')",
        ),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (slot_name = 'z')",
            "CREATE SUBSCRIPTION s CONNECTION '***' PUBLICATION p WITH (slot_name = 'z')",
        ),
        (
            "SELECT dblink('host=h password=p user=u')",
            "SELECT dblink('host=h password=*** user=u')",
        ),
        ("SELECT dblink('postgres://u:p@h/d')", "SELECT dblink('postgres://u:***@h/d')"),
        ("DROP TABLE a -- see https://h:80/x", "DROP TABLE a -- see https://h:80/x"),
        (
            "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''p'''; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''***'''; END $$",
        ),
    ] {
        assert_eq!(full(sql), expected);
    }
}

/// Text without secrets is kept as it is.
#[test]
fn full_keeps_the_rest() {
    for sql in [
        "",
        "INSERT INTO t VALUES (1, 'a', $$b$$, E'c\\n', 1.5e3) -- d\n",
        "ALTER TABLE users ADD COLUMN password text DEFAULT 'none' NOT NULL",
        "COMMENT ON COLUMN users.password IS 'hashed password of the user'",
        "CREATE TYPE kind AS ENUM ('password', 'oauth')",
        "SET password_encryption = 'scram-sha-256'",
        "CREATE FUNCTION f() RETURNS trigger AS $f$ BEGIN NEW.a := 'x''y'; RETURN NEW; END $f$",
        "DO $$ BEGIN UPDATE t SET a = 'x' WHERE password = NEW.password; END $$",
        "SELECT 'not closed",
        "SELECT a@b, 'x@y.z', 'http://h/x?y=z@w'",
        "DROP TABLE größe, \"日本\" /* é */",
    ] {
        assert_eq!(full(sql), sql);
    }
}

#[test]
fn redacted_masks_data() {
    for (sql, expected) in [
        ("INSERT INTO t VALUES (1, 'a', -2.5)", "INSERT INTO t VALUES (***, '***', -***)"),
        ("UPDATE t SET a = $$x$$ WHERE b = $1", "UPDATE t SET a = '***' WHERE b = $1"),
        ("DELETE FROM t WHERE a IN (E'x', B'1')", "DELETE FROM t WHERE a IN ('***', '***')"),
        ("WITH x AS (SELECT 1) SELECT 'a'", "WITH x AS (SELECT ***) SELECT '***'"),
        ("(SELECT 1)", "(SELECT ***)"),
        ("COPY t FROM '/tmp/x' WITH (DELIMITER ',')", "COPY t FROM '***' WITH (DELIMITER '***')"),
        ("EXECUTE p('a', 1)", "EXECUTE p('***', ***)"),
        ("CALL p(1)", "CALL p(***)"),
        ("EXPLAIN SELECT 1", "EXPLAIN SELECT ***"),
        ("INSRET INTO t VALUES ('a')", "INSRET INTO t VALUES ('***')"),
        ("SELECT 'a", "SELECT '***"),
        ("INSERT INTO t VALUES ('it's mine')", "INSERT INTO t VALUES ('***'"),
        ("INSERT INTO \"t VALUES ('x')", "INSERT INTO '***"),
        ("CREATE TABLE t AS SELECT 'a', 1", "CREATE TABLE t AS SELECT '***', ***"),
        ("CREATE TABLE t (a) AS (VALUES ('a'))", "CREATE TABLE t (a) AS (VALUES ('***'))"),
        (
            "DROP TABLE a; INSERT INTO t VALUES ('x'); COMMENT ON TABLE b IS 'y'",
            "DROP TABLE a; INSERT INTO t VALUES ('***'); COMMENT ON TABLE b IS 'y'",
        ),
        (
            "DO $$ BEGIN INSERT INTO t VALUES ('x', 1); ALTER TABLE t ALTER a SET DEFAULT 'y'; END $$",
            "DO $$ BEGIN INSERT INTO t VALUES ('***', ***); ALTER TABLE t ALTER a SET DEFAULT 'y'; END $$",
        ),
        (
            "DO $$ BEGIN IF a = 'x' THEN DROP TABLE t; END IF; END $$ LANGUAGE plpgsql",
            "DO $$ BEGIN IF a = '***' THEN DROP TABLE t; END IF; END $$ LANGUAGE plpgsql",
        ),
        (
            "DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD a text DEFAULT ''x'''; EXECUTE 'DELETE FROM t WHERE a = 1'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD a text DEFAULT ''x'''; EXECUTE 'DELETE FROM t WHERE a = ***'; END $$",
        ),
        (
            "DO $$ BEGIN PERFORM 1; END $$ /* c */ LANGUAGE 'plpgsql'",
            "DO $$ BEGIN PERFORM ***; END $$ /* c */ LANGUAGE 'plpgsql'",
        ),
        (
            "DO LANGUAGE \"plpgsql\" $$ BEGIN PERFORM 1; END $$",
            "DO LANGUAGE \"plpgsql\" $$ BEGIN PERFORM ***; END $$",
        ),
        ("DO LANGUAGE plpython3u $$ x = \"a\" $$", "DO LANGUAGE plpython3u '***'"),
        ("DO $$ x = \"a\" $$ LANGUAGE plpython3u", "DO '***' LANGUAGE plpython3u"),
    ] {
        assert_eq!(redacted(sql), expected);
    }
}

#[test]
fn redacted_keeps_ddl() {
    for sql in [
        "CREATE TABLE t (a text DEFAULT 'x', b numeric(10, 2) CHECK (b > 0))",
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED)",
        "ALTER TABLE t ADD COLUMN a text DEFAULT 'x', ALTER b TYPE varchar(20)",
        "ALTER TYPE kind ADD VALUE 'x' BEFORE 'y'",
        "CREATE TYPE kind AS ENUM ('a', 'b')",
        "COMMENT ON TABLE t IS 'about 3 things'",
        "CREATE VIEW v AS SELECT 1 AS a, 'x' AS b",
        "CREATE INDEX i ON t (a) WHERE b = 'x'",
        "CREATE FUNCTION f() RETURNS text AS $$ SELECT 'x' $$ LANGUAGE sql",
        "CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT 'x'; SELECT 'y'; END",
        "CREATE RULE r AS ON INSERT TO t DO ALSO NOTIFY x",
        "SET LOCAL lock_timeout = '5s'",
        "TRUNCATE a, b",
        "PREPARE TRANSACTION 'x'",
    ] {
        assert_eq!(redacted(sql), sql);
    }
}

/// Whatever surrounds it, no token survives, nothing panics, and no constant of DML is kept.
#[test]
fn random_texts() {
    let mut random = Random(5);
    for round in 0..40_000 {
        let noise = if round % 5 == 0 { random.noise(40) } else { random.sqlish(1 + round % 20) };
        let more = random.sqlish(round % 10);
        let sql = format!("{noise} {TOKEN} {more}");
        for how in [StatementText::Full, StatementText::Redacted] {
            let text = statement_text(&sql, how).unwrap();
            assert!(!contains_token(&text), "{sql:?}\n{text:?}");
        }
        statement_text(&noise, StatementText::Redacted).unwrap();
        let insert = format!("INSERT INTO t SELECT 'SECRET', 'SECRET', $a$SECRET$a$ {}", 4711);
        let text = redacted(&format!("{insert} ; {noise}"));
        assert!(!text.contains("SECRET") && !text.contains("4711"), "{text}");
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let started = Instant::now();
    let nested: String = (0..40_000).map(|n| format!("DO $a{n}$ ")).collect();
    let closed: String = (0..40_000).rev().map(|n| format!(" $a{n}$")).collect();
    redacted(&format!("{nested}{closed}"));
    for piece in [
        "password ",
        "password=",
        "password %",
        "password '",
        "password ''",
        "://",
        "a://b:",
        "u:p@",
        "mg_",
        "DO 'x' ",
        "DO $$x$$ ",
        "ALTER ROLE PASSWORD 'x' ",
        "EXECUTE 'x';",
        "options (",
        "U&'x' ",
        "-- password ",
    ] {
        let text = piece.repeat(500_000 / piece.len());
        full(&text);
        redacted(&text);
        full(&format!("SELECT $q${text}$q$"));
        full(&format!("/*{text}*/"));
    }
    full(&format!("SELECT '{}'", "x".repeat(10_000_000)));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
