-- Tokens: what one allows, to whom, until when, how often, and what is said when it does not help.
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable();
CREATE ROLE tok_owner LOGIN;
CREATE ROLE tok_other LOGIN;
CREATE ROLE tok_admins;
CREATE ROLE tok_admin LOGIN IN ROLE tok_admins;
GRANT CREATE ON SCHEMA public TO tok_owner, tok_other;
SET migration_guard.admin_role = 'tok_admins';

-- Only administrators issue and revoke.
SET SESSION AUTHORIZATION tok_owner;
SELECT migration_guard.issue_token('{drop-table}');
SELECT migration_guard.revoke(1, 'no');
SELECT count(*) FROM migration_guard.approval;
SELECT count(*) FROM migration_guard.approval_use;
SELECT count(*) FROM migration_guard.approvals;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION tok_admin;
SELECT migration_guard.issue_token('{drop-table}', reason => 'by a member') ~ '^mg_[A-Za-z0-9_-]{43}$' AS issued;
RESET SESSION AUTHORIZATION;
SELECT issued_by, rules, objects, for_role, max_uses, reason, expires_at - issued_at BETWEEN '59 min' AND '61 min' AS one_hour
FROM migration_guard.approvals;
-- A superuser's SECURITY DEFINER function makes nobody an administrator: the session user counts.
CREATE FUNCTION issue() RETURNS text SECURITY DEFINER LANGUAGE sql AS $$SELECT migration_guard.issue_token('{drop-table}')$$;
SET SESSION AUTHORIZATION tok_owner;
SELECT issue();
SELECT migration_guard.is_administrator();
RESET SESSION AUTHORIZATION;
-- And a superuser stays one under SET ROLE.
SET ROLE tok_owner;
SELECT migration_guard.issue_token('{drop-table}', reason => 'by a superuser') <> '' AS issued;
RESET ROLE;

-- Bad arguments.
SELECT migration_guard.issue_token(NULL);
SELECT migration_guard.issue_token('{}');
SELECT migration_guard.issue_token('{NULL}');
SELECT migration_guard.issue_token('{""}');
SELECT migration_guard.issue_token('{drop-tabel}');
SELECT migration_guard.issue_token('{drop-table}', '{}');
SELECT migration_guard.issue_token('{drop-table}', NULL);
SELECT migration_guard.issue_token('{drop-table}', '{""}');
SELECT migration_guard.issue_token('{drop-table}', '{NULL}');
SELECT migration_guard.issue_token('{drop-table}', for_role => 'tok_nobody');
SELECT migration_guard.issue_token('{drop-table}', for_role => '');
SELECT migration_guard.issue_token('{drop-table}', valid_for => '0');
SELECT migration_guard.issue_token('{drop-table}', valid_for => '-1 hour');
SELECT migration_guard.issue_token('{drop-table}', valid_for => NULL);
SELECT migration_guard.issue_token('{drop-table}', max_uses => 0);
SELECT migration_guard.issue_token('{drop-table}', max_uses => -1);
SELECT migration_guard.issue_token('{drop-table}', max_uses => 10001);
SELECT migration_guard.issue_token('{drop-table}', max_uses => NULL);
SELECT migration_guard.revoke(NULL, 'x');
SELECT migration_guard.revoke(1, NULL);
SELECT migration_guard.revoke(0, 'x');
SELECT migration_guard.use_token(NULL);
SELECT migration_guard.use_token('');
SELECT migration_guard.use_token('mg_short');

SELECT count(*) FROM migration_guard.approvals;

-- The token itself is nowhere: SHA-256 only.
SELECT migration_guard.issue_token('{drop-table}', reason => 'hash') AS tok \gset
SELECT token_hash = encode(sha256(convert_to(:'tok', 'UTF8')), 'hex') AS sha256,
       strpos(a::text, :'tok') AS seen
FROM migration_guard.approval a WHERE reason = 'hash';

-- SHOW and its kin never show it in full.
SET migration_guard.token = :'tok';
SHOW migration_guard.token;
SELECT current_setting('migration_guard.token') AS shown;
SELECT set_config('migration_guard.token', :'tok', false) AS answered;
SELECT count(*) FROM pg_settings s WHERE s::text LIKE '%' || :'tok' || '%';
SET migration_guard.token = 'anything else';
SHOW migration_guard.token;
RESET migration_guard.token;
SELECT current_setting('migration_guard.token') = '' AS empty;

-- A view of the world as tok_owner, who owns the tables.
SET SESSION AUTHORIZATION tok_owner;
CREATE TABLE a (i int PRIMARY KEY, t text);
CREATE TABLE b (i int);
CREATE TABLE c (i int);
INSERT INTO a VALUES (1, 'one'), (2, 'two');
INSERT INTO b VALUES (1);
INSERT INTO c VALUES (1);
DROP TABLE a;

-- Why a token does not help: one DETAIL for each reason.
SET migration_guard.token = 'rubbish';
DROP TABLE a;
SELECT 'mg_' || repeat('x', 43) AS tok \gset
SET migration_guard.token = :'tok';
DROP TABLE a;
RESET SESSION AUTHORIZATION;
SELECT migration_guard.issue_token('{drop-table}', valid_for => '1 microsecond', reason => 'expired') AS expired,
       migration_guard.issue_token('{drop-table}', reason => 'revoked') AS revoked,
       migration_guard.issue_token('{drop-table}', for_role => 'tok_other', reason => 'role') AS role,
       migration_guard.issue_token('{truncate}', reason => 'rule') AS rule,
       migration_guard.issue_token('{drop-table}', '{public.b, sales.*}', reason => 'object') AS object,
       migration_guard.issue_token('{*}', '{public.*}', reason => 'star', max_uses => 2) AS star,
       migration_guard.issue_token('{drop-table}', '{public.c}', 'tok_owner', reason => 'exact') AS exact \gset
SELECT migration_guard.revoke(id, 'a mistake') FROM migration_guard.approvals WHERE reason = 'revoked';
SELECT migration_guard.revoke(id, 'again') FROM migration_guard.approvals WHERE reason = 'revoked';
SET SESSION AUTHORIZATION tok_owner;
SET migration_guard.token = :'expired';
DROP TABLE a;
SET migration_guard.token = :'revoked';
DROP TABLE a;
SET migration_guard.token = :'role';
DROP TABLE a;
SET migration_guard.token = :'rule';
DROP TABLE a;
SET migration_guard.token = :'object';
DROP TABLE a;
-- Several: one helps for b, none for a; a statement is allowed as a whole or not at all.
SELECT :'rule' || ' , ' || :'object' AS several \gset
SET migration_guard.token = :'several';
DROP TABLE a, b;
-- One character more, or the same ones in another order: another token.
SELECT :'star' || 'x' AS longer, 'mg_' || reverse(substr(:'star', 4)) AS other \gset
SET migration_guard.token = :'longer';
DROP TABLE a;
SET migration_guard.token = :'other';
DROP TABLE a;
RESET migration_guard.token;
SELECT migration_guard.use_token(:'expired');
SELECT migration_guard.use_token(:'revoked');
SELECT migration_guard.use_token(:'role');
-- Nothing of all that has used anything.
RESET SESSION AUTHORIZATION;
SELECT reason, uses, state FROM migration_guard.approvals WHERE reason NOT LIKE 'by a %' ORDER BY id;

-- SET with several; the statement uses those it needs, and no more.
SET SESSION AUTHORIZATION tok_owner;
SELECT :'rule' || ',' || :'object' || ',' || :'exact' AS several \gset
SET migration_guard.token = :'several';
DROP TABLE b, c;
RESET migration_guard.token;
RESET SESSION AUTHORIZATION;
SELECT reason, uses, state FROM migration_guard.approvals WHERE reason IN ('rule', 'object', 'exact') ORDER BY id;

-- SET LOCAL in a transaction: several statements, one use.
SET SESSION AUTHORIZATION tok_owner;
BEGIN;
SET LOCAL migration_guard.token = :'star';
TRUNCATE a;
DELETE FROM a;
INSERT INTO a VALUES (3, 'three');
ALTER TABLE a DROP COLUMN t;
DROP TABLE a;
COMMIT;
SHOW migration_guard.token;
CREATE TABLE a (i int);
INSERT INTO a VALUES (1);
DROP TABLE a;
RESET SESSION AUTHORIZATION;
SELECT uses, max_uses, state FROM migration_guard.approvals WHERE reason = 'star';
SELECT used_by, transaction_id IS NOT NULL AS taken, slot FROM migration_guard.approval_use u
JOIN migration_guard.approvals a ON a.id = u.approval_id WHERE reason = 'star' ORDER BY slot;

-- A rollback gives the use back, whole or to a savepoint, and so does a failing statement.
SET SESSION AUTHORIZATION tok_owner;
BEGIN;
SET LOCAL migration_guard.token = :'star';
DROP TABLE a;
ROLLBACK;
BEGIN;
SET LOCAL migration_guard.token = :'star';
SAVEPOINT s;
DROP TABLE a;
RESET SESSION AUTHORIZATION;
SELECT uses FROM migration_guard.approvals WHERE reason = 'star';
SET SESSION AUTHORIZATION tok_owner;
ROLLBACK TO SAVEPOINT s;
RESET SESSION AUTHORIZATION;
SELECT uses FROM migration_guard.approvals WHERE reason = 'star';
COMMIT;
SELECT uses, state FROM migration_guard.approvals WHERE reason = 'star';
SET SESSION AUTHORIZATION tok_owner;
CREATE VIEW v AS SELECT * FROM a;
SET migration_guard.token = :'star';
DROP TABLE a;
DROP VIEW v;
RESET migration_guard.token;
RESET SESSION AUTHORIZATION;
SELECT uses, state FROM migration_guard.approvals WHERE reason = 'star';

-- use_token: for the rest of the transaction, and no longer.
SET SESSION AUTHORIZATION tok_owner;
BEGIN;
SELECT migration_guard.use_token(:'star');
DROP TABLE a;
CREATE TABLE a (i int);
COMMIT;
INSERT INTO a VALUES (1);
DROP TABLE a;
RESET SESSION AUTHORIZATION;
SELECT uses, state FROM migration_guard.approvals WHERE reason = 'star';
-- Used up: by SET, and by use_token.
SET SESSION AUTHORIZATION tok_owner;
SET migration_guard.token = :'star';
DROP TABLE a;
RESET migration_guard.token;
SELECT migration_guard.use_token(:'star');

-- In a multi-statement string; outside of it the token is gone again.
RESET SESSION AUTHORIZATION;
SELECT migration_guard.issue_token('{*}', max_uses => 1, reason => 'string') AS string,
       migration_guard.issue_token('{drop-table}', max_uses => 3, reason => 'savepoint') AS savepoint \gset
SET SESSION AUTHORIZATION tok_owner;
SELECT migration_guard.use_token(:'string')\; DROP TABLE a\; CREATE TABLE a (i int);
INSERT INTO a VALUES (1);
DROP TABLE a;
-- What use_token presents after a savepoint goes with it; what a released one presents stays.
BEGIN;
SAVEPOINT s;
SELECT migration_guard.use_token(:'savepoint');
ROLLBACK TO s;
DROP TABLE a;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT migration_guard.use_token(:'savepoint');
RELEASE s;
DROP TABLE a;
COMMIT;
CREATE TABLE a (i int);
INSERT INTO a VALUES (1);
-- A use taken in a released savepoint is the transaction's; one given back can be taken again.
BEGIN;
SELECT migration_guard.use_token(:'savepoint');
SAVEPOINT s;
DROP TABLE a;
ROLLBACK TO s;
SAVEPOINT s2;
DROP TABLE a;
RELEASE s2;
CREATE TABLE a (i int);
INSERT INTO a VALUES (1);
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT uses, state FROM migration_guard.approvals WHERE reason = 'savepoint';
-- An exception block in PL/pgSQL is a savepoint, too.
SET SESSION AUTHORIZATION tok_owner;
BEGIN;
SELECT migration_guard.use_token(:'savepoint');
DO $$ BEGIN
    DROP TABLE a;
    RAISE EXCEPTION 'after the drop';
EXCEPTION WHEN raise_exception THEN RAISE NOTICE 'caught';
END $$;
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT uses, state FROM migration_guard.approvals WHERE reason = 'savepoint';

-- Every rule but no-snapshot is in the star; no-snapshot, listed literally, keeps nothing.
SELECT migration_guard.issue_token('{*}', reason => 'kept') AS kept,
       migration_guard.issue_token('{drop-table, no-snapshot}', reason => 'unkept') AS unkept,
       migration_guard.issue_token('{no-snapshot}', reason => 'only') AS only \gset
SET SESSION AUTHORIZATION tok_owner;
CREATE TABLE kept AS SELECT 1 AS i;
CREATE TABLE unkept AS SELECT 1 AS i;
SET migration_guard.token = :'only';
DROP TABLE kept;
SELECT :'only' || ',' || :'kept' AS several \gset
SET migration_guard.token = :'several';
DROP TABLE kept;
SET migration_guard.token = :'unkept';
DROP TABLE unkept;
RESET migration_guard.token;
RESET SESSION AUTHORIZATION;
SELECT table_name FROM migration_guard.snapshots WHERE table_name IN ('public.kept', 'public.unkept');
SELECT object_identity, snapshot_id IS NOT NULL AS kept, approval_id IS NOT NULL AS approved
FROM migration_guard.migration_statements WHERE command = 'DROP TABLE' AND object_identity LIKE '%kept' ORDER BY id;

-- guard-tamper: a superuser needs a token for it, nobody else is helped by one.
SELECT migration_guard.issue_token('{guard-tamper}', max_uses => 2, reason => 'tamper') AS tamper \gset
SET SESSION AUTHORIZATION tok_owner;
SET migration_guard.token = :'tamper';
DROP EXTENSION migration_guard CASCADE;
RESET SESSION AUTHORIZATION;
RESET migration_guard.token;
DROP EVENT TRIGGER migration_guard_start;
BEGIN;
SET LOCAL migration_guard.token = :'tamper';
DROP EVENT TRIGGER migration_guard_start;
ROLLBACK;
SELECT uses FROM migration_guard.approvals WHERE reason = 'tamper';

-- Names with quotes, dots, capitals and other letters.
SELECT migration_guard.issue_token('{drop-table}', ARRAY['public."Ä.b""c d"'], 'tok_owner', reason => 'name') AS name \gset
SET SESSION AUTHORIZATION tok_owner;
CREATE TABLE "Ä.b""c d" AS SELECT 1 AS i;
DROP TABLE "Ä.b""c d";
SET migration_guard.token = :'name';
DROP TABLE "Ä.b""c d";
RESET migration_guard.token;
RESET SESSION AUTHORIZATION;
SELECT uses, state FROM migration_guard.approvals WHERE reason = 'name';

-- The owner may not write where tokens are kept, nor may a superuser by hand.
UPDATE migration_guard.approval_use SET used_at = NULL;
DELETE FROM migration_guard.approval;
INSERT INTO migration_guard.approval_use VALUES (1, 99);
TRUNCATE migration_guard.approval_use;

DROP OWNED BY tok_owner, tok_other;
SELECT migration_guard.disable();
DROP OWNED BY tok_owner, tok_other;
DROP ROLE tok_owner, tok_other, tok_admin, tok_admins;
