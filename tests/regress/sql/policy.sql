-- The policy: which action applies, who may write it, and when a change takes effect.
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable('nonsense');
SELECT migration_guard.enable(NULL);
SELECT migration_guard.enable();
SELECT migration_guard.enable();
SELECT rule, object_pattern, action, approvals_required, note FROM migration_guard.policy ORDER BY id;
CREATE ROLE pol_owner LOGIN;
CREATE ROLE pol_admins;
CREATE ROLE pol_admin LOGIN IN ROLE pol_admins;
GRANT CREATE ON SCHEMA public TO pol_owner;
GRANT ALL ON migration_guard.policy TO pol_admin;
ALTER DATABASE regress_policy SET migration_guard.admin_role = 'pol_admins';

-- Rows that make no sense are refused.
INSERT INTO migration_guard.policy (rule, action) VALUES ('drop-table', 'forbid');
INSERT INTO migration_guard.policy (rule, action) VALUES ('drop-table', NULL);
INSERT INTO migration_guard.policy (rule, action) VALUES ('', 'deny');
INSERT INTO migration_guard.policy (rule, action) VALUES (NULL, 'deny');
INSERT INTO migration_guard.policy (rule, object_pattern, action) VALUES ('drop-table', '', 'deny');
INSERT INTO migration_guard.policy (rule, object_pattern, action) VALUES ('drop-table', NULL, 'deny');
INSERT INTO migration_guard.policy (rule, min_bytes, action) VALUES ('drop-table', -1, 'deny');
INSERT INTO migration_guard.policy (rule, approvals_required, action) VALUES ('drop-table', 0, 'require_approval');
INSERT INTO migration_guard.policy (rule, active_from, active_until, action) VALUES ('drop-table', '2030-01-02', '2030-01-01', 'deny');

-- Each statement below is tried by the owner and rolled back; the answer is its verdict.
CREATE FUNCTION try(sql text, OUT verdict text) LANGUAGE plpgsql AS $$
DECLARE message text;
BEGIN
    BEGIN
        EXECUTE sql;
        RAISE EXCEPTION USING ERRCODE = 'MG000', MESSAGE = 'runs';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        verdict := CASE WHEN SQLSTATE = 'MG000' THEN message
                        WHEN SQLSTATE = '42501' AND message LIKE '%needs an approved token%' THEN 'needs a token'
                        WHEN SQLSTATE = '42501' AND message LIKE '%is denied by policy%' THEN 'denied'
                        ELSE SQLSTATE || ' ' || message END;
    END;
END $$;
SET SESSION AUTHORIZATION pol_owner;
CREATE TABLE a (i int, t text);
CREATE TABLE ab (i int);
CREATE TABLE "A.b" (i int);
CREATE TABLE big (t text);
INSERT INTO a VALUES (1, 'x');
INSERT INTO ab VALUES (1);
INSERT INTO big SELECT repeat('x', 1000) FROM generate_series(1, 1000);
RESET SESSION AUTHORIZATION;

-- allow: no snapshot; warn: a WARNING and a snapshot; deny: no token helps.
INSERT INTO migration_guard.policy (rule, object_pattern, action) VALUES
    ('drop-table', 'public.a', 'allow'), ('drop-table', 'public.ab', 'warn'), ('truncate', 'public.a', 'deny');
SELECT migration_guard.issue_token('{*}', max_uses => 100, reason => 'policy') AS tok \gset
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a');
SELECT try('DROP TABLE ab');
SELECT try('DROP TABLE a, ab');
SELECT try('DROP TABLE "A.b"');
SELECT try('TRUNCATE a');
SET migration_guard.token = :'tok';
SELECT try('TRUNCATE a');
SELECT try('DROP TABLE "A.b"');
TRUNCATE a;
RESET migration_guard.token;
RESET SESSION AUTHORIZATION;
BEGIN;
SET LOCAL ROLE pol_owner;
DROP TABLE a;
DROP TABLE ab;
RESET ROLE;
SELECT object_identity, verdict, risk, rules, snapshot_id IS NOT NULL AS kept FROM migration_guard.migration_statements
WHERE command = 'DROP TABLE' ORDER BY id;
ROLLBACK;

-- Patterns: a pattern for a table covers its columns; quoted names; the longest wins; on a tie the strictest.
DELETE FROM migration_guard.policy WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a');
SELECT try('ALTER TABLE a DROP COLUMN t');
RESET SESSION AUTHORIZATION;
INSERT INTO migration_guard.policy (rule, object_pattern, action) VALUES
    ('*', 'public.a', 'allow'), ('drop-column', 'public.a', 'allow'), ('drop-table', 'public.*', 'deny'),
    ('drop-table', 'public."A.b"', 'allow'), ('drop-table', 'public.a*', 'allow'), ('drop-table', 'public*ab', 'deny');
SET SESSION AUTHORIZATION pol_owner;
SELECT try('ALTER TABLE a DROP COLUMN t') AS column_of_a;
SELECT try('DROP TABLE a') AS longer_pattern, try('DROP TABLE ab') AS tie_of_length, try('DROP TABLE "A.b"') AS literal, try('DROP TABLE big') AS deny;
SELECT try('DELETE FROM a') AS rule_before_object;
RESET SESSION AUTHORIZATION;

-- Roles, windows, sizes, applications.
DELETE FROM migration_guard.policy WHERE note IS NULL;
INSERT INTO migration_guard.policy (rule, role_name, action) VALUES ('drop-table', 'pol_owner', 'allow');
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS owner;
RESET SESSION AUTHORIZATION;
SELECT try('DROP TABLE a') AS superuser;
SET ROLE pol_owner;
SELECT try('DROP TABLE a') AS session_user_counts;
RESET ROLE;
UPDATE migration_guard.policy SET active_from = '2000-01-01', active_until = '2000-01-02' WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS window_over;
RESET SESSION AUTHORIZATION;
UPDATE migration_guard.policy SET active_from = now() - interval '1 hour', active_until = now() + interval '1 hour' WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS in_window;
RESET SESSION AUTHORIZATION;
UPDATE migration_guard.policy SET active_from = '-infinity', active_until = 'infinity' WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS infinite_window;
RESET SESSION AUTHORIZATION;
UPDATE migration_guard.policy SET active_from = NULL, active_until = NULL, min_bytes = 1000000 WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS small, try('DROP TABLE big') AS large;
RESET SESSION AUTHORIZATION;
UPDATE migration_guard.policy SET min_bytes = NULL, application_pattern = 'loose*' WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SET application_name = 'loose one';
SELECT try('DROP TABLE a') AS an_application_cannot_loosen;
RESET SESSION AUTHORIZATION;
UPDATE migration_guard.policy SET action = 'deny' WHERE note IS NULL;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS but_tighten;
SET application_name = 'another';
SELECT try('DROP TABLE a') AS another;
RESET SESSION AUTHORIZATION;

-- What is missing from the policy falls back to the rule's own action.
DELETE FROM migration_guard.policy WHERE id > 0;
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a'), try('TRUNCATE a'), try('DELETE FROM a'), try('ALTER TABLE a DROP COLUMN t');
RESET SESSION AUTHORIZATION;
-- Nobody can open guard-tamper.
INSERT INTO migration_guard.policy (rule, action) VALUES ('*', 'allow'), ('guard-tamper', 'allow');
SELECT try('DROP EVENT TRIGGER migration_guard_start'), try('DROP TABLE migration_guard.policy CASCADE');
DELETE FROM migration_guard.policy WHERE id > 0;

-- A change counts in the same transaction, goes with its rollback, and reaches other sessions.
SET SESSION AUTHORIZATION pol_owner;
SELECT try('DROP TABLE a') AS before;
RESET SESSION AUTHORIZATION;
BEGIN;
INSERT INTO migration_guard.policy (rule, action) VALUES ('drop-table', 'allow');
SELECT try('DROP TABLE a') AS inside;
ROLLBACK;
SELECT try('DROP TABLE a') AS after_rollback;
BEGIN;
SAVEPOINT s;
INSERT INTO migration_guard.policy (rule, action) VALUES ('drop-table', 'allow');
SELECT try('DROP TABLE a') AS inside;
ROLLBACK TO s;
SELECT try('DROP TABLE a') AS after_rollback;
COMMIT;
\c - pol_owner
SELECT try('DROP TABLE a') AS other_session_before;
\c - pol_admin
SELECT migration_guard.is_administrator();
SELECT count(*) FROM migration_guard.policy;
INSERT INTO migration_guard.policy (rule, action) VALUES ('drop-table', 'allow');
\c - pol_owner
SELECT try('DROP TABLE a') AS other_session_after;

-- Who may not write it: the owner; one who was granted the right but is no administrator.
SELECT count(*) FROM migration_guard.policy;
INSERT INTO migration_guard.policy (rule, action) VALUES ('*', 'allow');
\c - postgres
GRANT ALL ON ALL TABLES IN SCHEMA migration_guard TO pol_owner, pol_admin;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA migration_guard TO pol_owner, pol_admin;
\c - pol_owner
INSERT INTO migration_guard.policy (rule, action) VALUES ('*', 'allow');
UPDATE migration_guard.policy SET action = 'allow' WHERE id > 0;
DELETE FROM migration_guard.policy WHERE id > 0;
COPY migration_guard.policy (rule, action) FROM STDIN;
*	allow
\.
TRUNCATE migration_guard.policy;
MERGE INTO migration_guard.policy p USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (rule, action) VALUES ('*', 'allow');
-- An administrator with the right may.
\c - pol_admin
INSERT INTO migration_guard.policy (rule, action, note) VALUES ('drop-table', 'deny', 'the strictest of a tie');
SELECT migration_guard.enable('strict');
SELECT migration_guard.disable();
\c - pol_owner
SELECT try('DROP TABLE a') AS strictest_of_a_tie;
SELECT migration_guard.enable();
SELECT migration_guard.disable();
\c - postgres
-- The presets.
DELETE FROM migration_guard.policy WHERE id > 0;
SELECT migration_guard.enable('observe');
SELECT DISTINCT action, note FROM migration_guard.policy;
SELECT migration_guard.disable();
DROP OWNED BY pol_owner, pol_admin;
DROP ROLE pol_owner, pol_admin, pol_admins;
