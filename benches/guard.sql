-- The guard enforces; one policy row lets the benchmark's drops pass.
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable();
INSERT INTO migration_guard.policy (rule, object_pattern, action, note)
VALUES ('drop-table', 'public.bench_*', 'allow', 'benchmark');
