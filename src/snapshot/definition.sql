-- The definition of one table ($1: its OID) as one JSON document; see definition.rs for its shape.
-- Runs with the guard's rights and search_path pg_catalog: it reads catalogs and deparses, and never
-- evaluates an expression. A step's sql is an array of pieces: a string is literal text, null is the
-- (possibly new) name of the table, {"own": n} a name that a copy must derive, {"original": s} text
-- that only a restore under the original name uses, {"owner": r} the owner of the table, called r then.
WITH t AS (
    SELECT r.oid, r.relname, n.nspname, r.relkind, r.relpersistence, r.relispartition, r.relowner,
           r.relacl, r.relreplident, r.relrowsecurity, r.relforcerowsecurity, r.reltoastrelid,
           r.reltablespace, r.relam, r.reloptions, r.reloftype, n.nspowner,
           format('%I.%I', n.nspname, r.relname) AS fq,
           CASE WHEN r.relkind = 'p' THEN 'ALTER TABLE ' WHEN r.relkind = 'f'
                THEN 'ALTER FOREIGN TABLE ONLY ' ELSE 'ALTER TABLE ONLY ' END AS alter_only
      FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
     WHERE r.oid = $1
), att AS (
    SELECT a.*, y.typcollation, y.typstorage, y.typtype, y.typnamespace, y.typelem
      FROM pg_attribute a JOIN t ON a.attrelid = t.oid JOIN pg_type y ON y.oid = a.atttypid
     WHERE a.attnum > 0 AND NOT a.attisdropped
), seqs AS (
    SELECT s.oid, format('%I.%I', n.nspname, s.relname) AS fq, s.relname, s.relacl, s.relowner,
           d.deptype, a.attname, q.*, s.relpersistence AS seqpersistence,
           format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %sCYCLE',
                  q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache,
                  CASE WHEN q.seqcycle THEN '' ELSE 'NO ' END) AS options
      FROM t
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
                      AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      JOIN pg_namespace n ON n.oid = s.relnamespace
      JOIN pg_sequence q ON q.seqrelid = s.oid
      JOIN att a ON a.attnum = d.refobjsubid
), con AS (
    SELECT c.*, pg_get_constraintdef(c.oid) AS def,
           (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM att a
             WHERE a.attnum = ANY (c.conkey)) AS cols
      FROM pg_constraint c JOIN t ON c.conrelid = t.oid
), idx AS (
    SELECT i.*, r.relname, r.reltablespace, r.reloptions, pg_get_indexdef(i.indexrelid) AS def,
           format('%I.%I', n.nspname, r.relname) AS fq,
           c.oid AS conoid,
           format('CREATE %sINDEX %I ON %s%s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END,
                  r.relname, CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END, t.fq) AS head,
           (SELECT coalesce(jsonb_agg(DISTINCT a.attname), '[]') FROM att a
             WHERE a.attnum = ANY (i.indkey)
                OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                     AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                     AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)) AS cols
      FROM t JOIN pg_index i ON i.indrelid = t.oid
      JOIN pg_class r ON r.oid = i.indexrelid
      JOIN pg_namespace n ON n.oid = r.relnamespace
      LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
                               AND c.contype IN ('p', 'u', 'x')
), acls AS (
    -- what is granted, on the table, its columns and its sequences, in the order of the ACLs
    SELECT 'table ' || t.fq AS object, '[]'::jsonb AS cols, NULL::name AS col, t.relacl AS acl,
           'TABLE ' AS prefix, NULL::text AS fq, 1 AS ord FROM t
    UNION ALL
    SELECT format('column %s.%I', t.fq, a.attname), jsonb_build_array(a.attname), a.attname,
           a.attacl, 'TABLE ', NULL, 100 + a.attnum FROM t, att a
    UNION ALL
    SELECT 'sequence ' || s.fq, jsonb_build_array(s.attname), NULL, s.relacl, 'SEQUENCE ', s.fq, 50
      FROM seqs s
), grants AS (
    SELECT g.object, g.cols, g.ord, i.n, x.is_grantable, x.grantor, g.prefix, g.fq,
           format('GRANT %s ON %s', string_agg(x.privilege_type
               || CASE WHEN g.col IS NULL THEN '' ELSE format(' (%I)', g.col) END, ', '
               ORDER BY x.privilege_type), g.prefix) AS head,
           -- the owner by the name that it will have then, others by the one that they have now
           CASE WHEN x.grantee = 0 THEN to_jsonb('PUBLIC'::text)
                WHEN x.grantee = t.relowner
                THEN jsonb_build_object('owner', pg_get_userbyid(x.grantee))
                ELSE to_jsonb(quote_ident(pg_get_userbyid(x.grantee))) END AS grantee,
           CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS tail
      FROM t, acls g, unnest(g.acl) WITH ORDINALITY AS i(item, n), aclexplode(ARRAY[i.item]) AS x
     GROUP BY g.object, g.cols, g.col, g.ord, i.n, x.is_grantable, x.grantor, x.grantee, g.prefix,
              g.fq, t.relowner
), step(phase, ord, kind, object, run_as, role, columns, sql) AS (
    -- sequences of serial columns
    SELECT 20, 1, 'sequence', 'sequence ' || s.fq, 'guard', NULL::name, jsonb_build_array(s.attname),
           jsonb_build_array(format('CREATE %sSEQUENCE %s AS %s %s',
               CASE WHEN s.seqpersistence = 'u' THEN 'UNLOGGED ' ELSE '' END, s.fq,
               format_type(s.seqtypid, NULL), s.options))
      FROM seqs s WHERE s.deptype = 'a'
    UNION ALL
    SELECT 20, 2, 'sequence-owner', 'sequence ' || s.fq, 'guard', NULL, jsonb_build_array(s.attname),
           jsonb_build_array(format('ALTER SEQUENCE %s OWNER TO ', s.fq),
                             jsonb_build_object('owner', pg_get_userbyid(s.relowner)))
      FROM seqs s WHERE s.deptype = 'a'
    UNION ALL
    SELECT 60, 1, 'sequence-of', 'sequence ' || s.fq, 'guard', NULL, jsonb_build_array(s.attname),
           jsonb_build_array(format('ALTER SEQUENCE %s OWNED BY ', s.fq), NULL,
                             format('.%I', s.attname))
      FROM seqs s WHERE s.deptype = 'a'
    UNION ALL
    -- columns: storage, compression, statistics target, options, identity, defaults
    SELECT 40, a.attnum, 'column', format('column %s.%I', t.fq, a.attname), 'owner', NULL,
           jsonb_build_array(a.attname),
           jsonb_build_array(t.alter_only, NULL, format(' ALTER COLUMN %I SET STORAGE %s', a.attname,
               CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                 WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END))
      FROM t, att a WHERE a.attstorage <> a.typstorage
    UNION ALL
    SELECT 40, a.attnum, 'column', format('column %s.%I', t.fq, a.attname), 'owner', NULL,
           jsonb_build_array(a.attname),
           jsonb_build_array(t.alter_only, NULL, format(' ALTER COLUMN %I SET COMPRESSION %s',
               a.attname, CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END))
      FROM t, att a WHERE a.attcompression IN ('p', 'l')
    UNION ALL
    SELECT 40, a.attnum, 'column', format('column %s.%I', t.fq, a.attname), 'owner', NULL,
           jsonb_build_array(a.attname),
           jsonb_build_array(t.alter_only, NULL,
               format(' ALTER COLUMN %I SET STATISTICS %s', a.attname, a.attstattarget))
      FROM t, att a WHERE coalesce(a.attstattarget, -1) >= 0
    UNION ALL
    SELECT 40, a.attnum, 'column', format('column %s.%I', t.fq, a.attname), 'owner', NULL,
           jsonb_build_array(a.attname),
           jsonb_build_array(t.alter_only, NULL, format(' ALTER COLUMN %I SET (%s)', a.attname,
               string_agg(o, ', ')))
      FROM t, att a, unnest(a.attoptions) o
           -- pg_attver is the server's own stamp (security releases since November 2026), not a setting
     WHERE NOT starts_with(o, 'pg_')
     GROUP BY t.fq, t.alter_only, a.attname, a.attnum
    UNION ALL
    SELECT 50, a.attnum, 'default', format('default of column %s.%I', t.fq, a.attname), 'owner', NULL,
           jsonb_build_array(a.attname),
           jsonb_build_array(t.alter_only, NULL, format(' ALTER COLUMN %I SET DEFAULT %s', a.attname,
               pg_get_expr(d.adbin, d.adrelid)))
      FROM t, att a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attgenerated = ''
    UNION ALL
    SELECT 50, a.attnum, 'identity', format('identity of column %s.%I', t.fq, a.attname), 'guard',
           NULL, jsonb_build_array(a.attname),
           jsonb_build_array(CASE WHEN t.relkind = 'f' THEN 'ALTER FOREIGN TABLE ' ELSE 'ALTER TABLE ' END,
               NULL, format(' ALTER COLUMN %I ADD GENERATED %s AS IDENTITY (',
               a.attname, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END),
               jsonb_build_object('original', format('SEQUENCE NAME %s ', s.fq)),
               s.options || ')')
      FROM t, att a JOIN seqs s ON s.attname = a.attname AND s.deptype = 'i'
     WHERE a.attidentity <> ''
    UNION ALL
    SELECT 50, a.attnum, 'not-null', format('column %s.%I', t.fq, a.attname), 'owner', NULL,
           jsonb_build_array(a.attname),
           jsonb_build_array(t.alter_only, NULL, format(' ALTER COLUMN %I SET NOT NULL', a.attname))
      FROM t, att a WHERE a.attnotnull AND NOT a.attislocal AND NOT t.relispartition
       AND current_setting('server_version_num')::int < 180000
    UNION ALL
    -- constraints, then indexes, then what refers to an index
    SELECT CASE c.contype WHEN 'f' THEN 80 ELSE 70 END,
           CASE c.contype WHEN 'p' THEN 1 WHEN 'u' THEN 2 WHEN 'x' THEN 3 ELSE 4 END,
           CASE WHEN c.contype = 'f' THEN 'foreign-key'
                WHEN NOT c.conislocal AND NOT t.relispartition THEN 'inherited-constraint'
                ELSE 'constraint' END,
           format('constraint %I', c.conname), 'owner', NULL, coalesce(c.cols, '[]'),
           jsonb_build_array(t.alter_only, NULL, ' ADD CONSTRAINT ',
               jsonb_build_object('own', c.conname), ' ' || c.def)
      FROM t, con c
     WHERE c.contype IN ('p', 'u', 'x', 'c', 'f')
       AND NOT (c.contype = 'f' AND c.conparentid <> 0 AND NOT t.relispartition)
    UNION ALL
    SELECT 72, 1, 'constraint', format('constraint %I', c.conname), 'owner', NULL, c.cols,
           jsonb_build_array(t.alter_only, NULL, format(' ADD CONSTRAINT %I ', c.conname), c.def)
      FROM t, con c WHERE c.contype = 'n' AND NOT c.convalidated AND c.conislocal
    UNION ALL
    SELECT 75, 1, 'index', 'index ' || i.fq, 'owner', NULL, i.cols,
           CASE WHEN starts_with(i.def, i.head)
                THEN jsonb_build_array(format('CREATE %sINDEX ',
                         CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END),
                         jsonb_build_object('own', i.relname),
                         CASE WHEN t.relkind = 'p' THEN ' ON ONLY ' ELSE ' ON ' END, NULL,
                         ' ' || substr(i.def, length(i.head) + 1))
                ELSE jsonb_build_array(i.def) END
      FROM t, idx i WHERE i.conoid IS NULL
    UNION ALL
    SELECT 76, 1, 'index-option', 'index ' || i.fq, 'owner', NULL, i.cols,
           jsonb_build_array(format('ALTER INDEX %s SET (%s)', i.fq,
               (SELECT string_agg(format('%I=%L', split_part(o, '=', 1),
                                         substr(o, strpos(o, '=') + 1)), ', ')
                  FROM unnest(i.reloptions) o)))
      FROM idx i WHERE i.conoid IS NOT NULL AND i.reloptions IS NOT NULL
    UNION ALL
    SELECT 76, 2, 'index-option', 'index ' || i.fq, 'owner', NULL, i.cols,
           jsonb_build_array(format('ALTER INDEX %s SET TABLESPACE %I', i.fq, s.spcname))
      FROM idx i JOIN pg_tablespace s ON s.oid = i.reltablespace
    UNION ALL
    SELECT 76, 3, 'index-option', 'index ' || i.fq, 'owner', NULL, i.cols,
           jsonb_build_array(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', i.fq,
               a.attnum, a.attstattarget))
      FROM idx i JOIN pg_attribute a ON a.attrelid = i.indexrelid
     WHERE coalesce(a.attstattarget, -1) >= 0
    UNION ALL
    SELECT 76, 4, 'index-option', 'index ' || i.fq, 'owner', NULL, i.cols,
           jsonb_build_array(t.alter_only, NULL, format(' CLUSTER ON %I', i.relname))
      FROM t, idx i WHERE i.indisclustered
    UNION ALL
    SELECT 76, 5, 'replica-identity', 'table ' || t.fq, 'owner', NULL, coalesce(i.cols, '[]'),
           jsonb_build_array(t.alter_only, NULL, ' REPLICA IDENTITY ' ||
               CASE t.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                    ELSE format('USING INDEX %I', i.relname) END)
      FROM t LEFT JOIN idx i ON i.indisreplident
     WHERE t.relkind <> 'f'
       AND (t.relreplident IN ('f', 'n') OR (t.relreplident = 'i' AND i.relname IS NOT NULL))
    UNION ALL
    -- foreign keys of other tables: the rows are checked in a step of their own
    SELECT 94, 1, 'incoming-foreign-key',
           format('constraint %I on table %I.%I', c.conname, n.nspname, o.relname), 'role',
           pg_get_userbyid(o.relowner),
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (c.confkey)),
           jsonb_build_array(format('ALTER TABLE %s%I.%I ADD CONSTRAINT %I %s%s',
               CASE o.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, o.relname, c.conname,
               pg_get_constraintdef(c.oid),
               CASE WHEN o.relkind = 'p' OR NOT c.convalidated THEN '' ELSE ' NOT VALID' END))
      FROM t JOIN pg_constraint c ON c.confrelid = t.oid AND c.contype = 'f'
      JOIN pg_class o ON o.oid = c.conrelid JOIN pg_namespace n ON n.oid = o.relnamespace
     WHERE c.conrelid <> t.oid AND c.conparentid = 0
    UNION ALL
    SELECT 94, 2, 'validate-foreign-key',
           format('constraint %I on table %I.%I', c.conname, n.nspname, o.relname), 'role',
           pg_get_userbyid(o.relowner),
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (c.confkey)),
           jsonb_build_array(format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', n.nspname, o.relname,
               c.conname))
      FROM t JOIN pg_constraint c ON c.confrelid = t.oid AND c.contype = 'f'
      JOIN pg_class o ON o.oid = c.conrelid JOIN pg_namespace n ON n.oid = o.relnamespace
     WHERE c.conrelid <> t.oid AND c.conparentid = 0 AND o.relkind <> 'p' AND c.convalidated
    UNION ALL
    SELECT 85, 1, 'statistics', format('statistics %I.%I', n.nspname, s.stxname), 'owner', NULL,
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (s.stxkeys)),
           jsonb_build_array(pg_get_statisticsobjdef(s.oid))
      FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
      JOIN pg_namespace n ON n.oid = s.stxnamespace
    UNION ALL
    SELECT 85, 2, 'statistics', format('statistics %I.%I', n.nspname, s.stxname), 'owner', NULL,
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (s.stxkeys)),
           jsonb_build_array(format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname,
                                    s.stxstattarget))
      FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
      JOIN pg_namespace n ON n.oid = s.stxnamespace
     WHERE coalesce(s.stxstattarget, -1) >= 0
    UNION ALL
    -- behaviour: rules, triggers, row security
    SELECT 86, 1, 'rule', format('rule %I', w.rulename), 'owner', NULL, '[]',
           jsonb_build_array(pg_get_ruledef(w.oid))
      FROM t JOIN pg_rewrite w ON w.ev_class = t.oid
    UNION ALL
    SELECT 86, 2, 'rule', format('rule %I', w.rulename), 'owner', NULL, '[]',
           jsonb_build_array(t.alter_only, NULL, format(' %s RULE %I', CASE w.ev_enabled
               WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
               w.rulename))
      FROM t JOIN pg_rewrite w ON w.ev_class = t.oid WHERE w.ev_enabled <> 'O'
    UNION ALL
    SELECT 87, 1, 'trigger', format('trigger %I', g.tgname), 'owner', NULL,
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (g.tgattr)),
           jsonb_build_array(pg_get_triggerdef(g.oid))
      FROM t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal AND g.tgparentid = 0
    UNION ALL
    SELECT 93, 2, 'trigger', format('trigger %I', g.tgname), 'owner', NULL,
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (g.tgattr)),
           jsonb_build_array(CASE t.relkind WHEN 'f' THEN 'ALTER FOREIGN TABLE ' ELSE 'ALTER TABLE ONLY ' END,
               NULL, format(' %s TRIGGER %I', CASE g.tgenabled
               WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
               ELSE 'ENABLE ALWAYS' END, g.tgname))
      FROM t JOIN pg_trigger g ON g.tgrelid = t.oid
     WHERE NOT g.tgisinternal AND (g.tgenabled <> 'O' OR g.tgparentid <> 0)
    UNION ALL
    SELECT 88, 1, 'row-security', 'table ' || t.fq, 'owner', NULL, '[]',
           jsonb_build_array('ALTER TABLE ', NULL, ' ENABLE ROW LEVEL SECURITY')
      FROM t WHERE t.relrowsecurity
    UNION ALL
    SELECT 88, 2, 'row-security', 'table ' || t.fq, 'owner', NULL, '[]',
           jsonb_build_array('ALTER TABLE ONLY ', NULL, ' FORCE ROW LEVEL SECURITY')
      FROM t WHERE t.relforcerowsecurity
    UNION ALL
    SELECT 88, 3, 'policy', format('policy %I', p.polname), 'owner', NULL, '[]',
           jsonb_build_array(format('CREATE POLICY %I ON ', p.polname), NULL,
               format(' AS %s FOR %s TO %s%s%s',
                   CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                   CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                 WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                   (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC'
                                           ELSE quote_ident(pg_get_userbyid(o)) END, ', ' ORDER BY n)
                      FROM unnest(p.polroles) WITH ORDINALITY AS u(o, n)),
                   ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                   ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'))
      FROM t JOIN pg_policy p ON p.polrelid = t.oid
    UNION ALL
    -- who may do what: by the grantor where it is not the owner
    SELECT 78, g.ord * 1000 + g.n::int, 'grant', g.object,
           CASE WHEN g.grantor = t.relowner THEN 'owner' ELSE 'role' END,
           pg_get_userbyid(g.grantor), g.cols,
           jsonb_build_array(g.head, to_jsonb(g.fq), ' TO ', g.grantee, g.tail)
      FROM t, grants g
    UNION ALL
    -- under its parent again
    SELECT 90, 1, 'attach', format('table %s', t.fq), 'role', pg_get_userbyid(p.relowner), '[]',
           jsonb_build_array(format('ALTER TABLE ONLY %I.%I ATTACH PARTITION ', n.nspname, p.relname),
               NULL, ' ' || pg_get_expr(r.relpartbound, r.oid))
      FROM t JOIN pg_class r ON r.oid = t.oid
      JOIN pg_inherits i ON i.inhrelid = t.oid AND NOT i.inhdetachpending
      JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
     WHERE t.relispartition
    UNION ALL
    SELECT 91, 1, 'publication', format('publication %I', p.pubname), 'guard', NULL, '[]',
           jsonb_build_array(format('ALTER PUBLICATION %I ADD TABLE ', p.pubname),
               CASE t.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, NULL,
               coalesce((SELECT format(' (%s)', string_agg(quote_ident(a.attname), ', '
                                                           ORDER BY a.attnum))
                           FROM att a WHERE a.attnum = ANY (x.prattrs)), '')
               || coalesce(' WHERE (' || pg_get_expr(x.prqual, x.prrelid) || ')', ''))
      FROM t JOIN pg_publication_rel x ON x.prrelid = t.oid JOIN pg_publication p ON p.oid = x.prpubid
    UNION ALL
    -- comments and security labels
    SELECT 95, d.objsubid, 'comment',
           CASE d.objsubid WHEN 0 THEN 'table ' || t.fq ELSE format('column %s.%I', t.fq, a.attname) END,
           'owner', NULL, CASE d.objsubid WHEN 0 THEN '[]' ELSE jsonb_build_array(a.attname) END,
           CASE d.objsubid
           WHEN 0 THEN jsonb_build_array(CASE t.relkind WHEN 'f' THEN 'COMMENT ON FOREIGN TABLE '
                                              ELSE 'COMMENT ON TABLE ' END, NULL,
                                         format(' IS %L', d.description))
           ELSE jsonb_build_array('COMMENT ON COLUMN ', NULL,
                                  format('.%I IS %L', a.attname, d.description)) END
      FROM t JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = t.oid
      LEFT JOIN att a ON a.attnum = d.objsubid
     WHERE d.objsubid = 0 OR a.attname IS NOT NULL
    UNION ALL
    SELECT 95, 2000, 'comment', format('constraint %I', c.conname), 'owner', NULL,
           coalesce(c.cols, '[]'),
           jsonb_build_array('COMMENT ON CONSTRAINT ', jsonb_build_object('own', c.conname), ' ON ',
               NULL, format(' IS %L', d.description))
      FROM con c JOIN pg_description d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = c.oid
    UNION ALL
    SELECT 95, 2000, 'incoming-comment',
           format('constraint %I on table %I.%I', c.conname, n.nspname, o.relname), 'role',
           pg_get_userbyid(o.relowner),
           (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM att a WHERE a.attnum = ANY (c.confkey)),
           jsonb_build_array(format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', c.conname, n.nspname,
                                    o.relname, d.description))
      FROM t JOIN pg_constraint c ON c.confrelid = t.oid AND c.contype = 'f'
      JOIN pg_class o ON o.oid = c.conrelid JOIN pg_namespace n ON n.oid = o.relnamespace
      JOIN pg_description d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = c.oid
     WHERE c.conrelid <> t.oid AND c.conparentid = 0
    UNION ALL
    SELECT 95, 2001, 'object-comment', m.object, 'owner', NULL, m.cols,
           jsonb_build_array(format('COMMENT ON %s IS %L', m.what, d.description))
      FROM (SELECT 'pg_class'::regclass AS class, i.indexrelid AS oid, 'index ' || i.fq AS object,
                   'INDEX ' || i.fq AS what, i.cols FROM idx i
            UNION ALL
            SELECT 'pg_class'::regclass, s.oid, 'sequence ' || s.fq, 'SEQUENCE ' || s.fq,
                   jsonb_build_array(s.attname) FROM seqs s
            UNION ALL
            SELECT 'pg_trigger'::regclass, g.oid, format('trigger %I', g.tgname),
                   format('TRIGGER %I ON %s', g.tgname, t.fq), '[]'
              FROM t JOIN pg_trigger g ON g.tgrelid = t.oid
            UNION ALL
            SELECT 'pg_policy'::regclass, p.oid, format('policy %I', p.polname),
                   format('POLICY %I ON %s', p.polname, t.fq), '[]'
              FROM t JOIN pg_policy p ON p.polrelid = t.oid
            UNION ALL
            SELECT 'pg_rewrite'::regclass, w.oid, format('rule %I', w.rulename),
                   format('RULE %I ON %s', w.rulename, t.fq), '[]'
              FROM t JOIN pg_rewrite w ON w.ev_class = t.oid
            UNION ALL
            SELECT 'pg_statistic_ext'::regclass, s.oid, format('statistics %I.%I', n.nspname, s.stxname),
                   format('STATISTICS %I.%I', n.nspname, s.stxname), '[]'
              FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
              JOIN pg_namespace n ON n.oid = s.stxnamespace) m
      JOIN pg_description d ON d.classoid = m.class AND d.objoid = m.oid AND d.objsubid = 0
    UNION ALL
    SELECT 96, l.objsubid, 'security-label', 'table ' || t.fq, 'owner', NULL,
           CASE l.objsubid WHEN 0 THEN '[]' ELSE jsonb_build_array(a.attname) END,
           CASE l.objsubid
           WHEN 0 THEN jsonb_build_array(format('SECURITY LABEL FOR %I ON TABLE ', l.provider), NULL,
                                         format(' IS %L', l.label))
           ELSE jsonb_build_array(format('SECURITY LABEL FOR %I ON COLUMN ', l.provider), NULL,
                                  format('.%I IS %L', a.attname, l.label)) END
      FROM t JOIN pg_seclabel l ON l.classoid = 'pg_class'::regclass AND l.objoid = t.oid
      LEFT JOIN att a ON a.attnum = l.objsubid
)
SELECT jsonb_build_object(
    'version', 1,
    'schema', t.nspname, 'name', t.relname, 'relkind', t.relkind,
    'persistence', t.relpersistence, 'is_partition', t.relispartition,
    'owner', pg_get_userbyid(t.relowner), 'schema_owner', pg_get_userbyid(t.nspowner),
    'has_grants', t.relacl IS NOT NULL,
    'inherits', (SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, p.relname) ORDER BY i.inhseqno),
                                 '[]')
                   FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
                   JOIN pg_namespace n ON n.oid = p.relnamespace
                  WHERE i.inhrelid = t.oid AND NOT t.relispartition),
    'tail', concat(
        CASE WHEN t.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(t.oid) END,
        (SELECT format(' USING %I', m.amname) FROM pg_am m WHERE m.oid = t.relam AND t.relkind = 'r'),
        (SELECT format(' WITH (%s)', string_agg(o, ', '))
           FROM (SELECT format('%s%I=%L', prefix, split_part(o, '=', 1), substr(o, strpos(o, '=') + 1))
                   FROM (SELECT '' AS prefix, unnest(t.reloptions) AS o
                         UNION ALL
                         SELECT 'toast.', unnest(k.reloptions) FROM pg_class k
                          WHERE k.oid = t.reltoastrelid) u) AS w(o)
         HAVING count(*) > 0),
        (SELECT format(' TABLESPACE %I', s.spcname) FROM pg_tablespace s WHERE s.oid = t.reltablespace),
        (SELECT format(' SERVER %I', s.srvname)
                || coalesce((SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name,
                       option_value), ', ')) FROM pg_options_to_table(f.ftoptions)
                       HAVING count(*) > 0), '')
           FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
          WHERE f.ftrelid = t.oid)),
    'of_type', (SELECT format('%I.%I', n.nspname, y.typname) FROM pg_type y
                  JOIN pg_namespace n ON n.oid = y.typnamespace WHERE y.oid = t.reloftype),
    'key', (SELECT jsonb_agg(a.attname ORDER BY k.n)
              FROM (SELECT i.* FROM idx i
                     WHERE i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
                       AND i.indexprs IS NULL
                       AND NOT EXISTS (SELECT FROM unnest(i.indkey) WITH ORDINALITY AS u(num, n)
                                       JOIN att a ON a.attnum = u.num
                                       WHERE u.n <= i.indnkeyatts
                                         AND (NOT a.attnotnull OR a.attgenerated <> ''))
                     ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) i,
                   unnest(i.indkey) WITH ORDINALITY AS k(num, n)
              JOIN att a ON a.attnum = k.num WHERE k.n <= i.indnkeyatts),
    'user_code', EXISTS (
        SELECT FROM pg_depend d
         WHERE d.refobjid >= 16384
           AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
                                 'pg_opfamily'::regclass)
                OR d.refclassid = 'pg_type'::regclass
                   AND EXISTS (SELECT FROM pg_type y WHERE y.oid = d.refobjid
                                  AND y.typtype NOT IN ('e', 'c')))
           AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid
                              AND e.objid = d.refobjid AND e.deptype = 'e')
           AND ((d.classid = 'pg_class'::regclass
                 AND d.objid IN (SELECT t.oid UNION ALL SELECT i.indexrelid FROM idx i))
             OR (d.classid = 'pg_attrdef'::regclass
                 AND d.objid IN (SELECT f.oid FROM pg_attrdef f WHERE f.adrelid = t.oid))
             OR (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT c.oid FROM con c))
             OR (d.classid = 'pg_statistic_ext'::regclass
                 AND d.objid IN (SELECT s.oid FROM pg_statistic_ext s WHERE s.stxrelid = t.oid)))),
    'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'name', a.attname, 'number', a.attnum, 'type_oid', a.atttypid::bigint,
                    'type', format_type(a.atttypid, a.atttypmod),
                    'as_text', NOT (a.atttypid < 16384
                                    AND a.typnamespace = 'pg_catalog'::regnamespace
                                    AND a.typtype IN ('b', 'r', 'm')),
                    'collatable', a.attcollation <> 0,
                    'collation', (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l
                                    JOIN pg_namespace n ON n.oid = l.collnamespace
                                   WHERE l.oid = a.attcollation),
                    'generated', a.attgenerated, 'identity', a.attidentity,
                    'local', a.attislocal OR t.relispartition,
                    'definition', concat(format('%I %s', a.attname,
                            format_type(a.atttypid, a.atttypmod)),
                        (SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name,
                                 option_value), ', '))
                           FROM pg_options_to_table(a.attfdwoptions) HAVING count(*) > 0),
                        (SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l
                           JOIN pg_namespace n ON n.oid = l.collnamespace
                          WHERE l.oid = a.attcollation AND a.attcollation <> a.typcollation),
                        CASE a.attgenerated
                        WHEN 's' THEN format(' GENERATED ALWAYS AS (%s) STORED',
                                             pg_get_expr(d.adbin, d.adrelid))
                        WHEN 'v' THEN format(' GENERATED ALWAYS AS (%s)',
                                             pg_get_expr(d.adbin, d.adrelid)) END),
                    'not_null', CASE
                        WHEN NOT a.attnotnull OR n.oid IS NOT NULL AND NOT n.convalidated THEN ''
                        WHEN n.oid IS NULL THEN ' NOT NULL'
                        ELSE format(' CONSTRAINT %I NOT NULL%s', n.conname,
                                    CASE WHEN n.connoinherit THEN ' NO INHERIT' ELSE '' END) END)
                    ORDER BY a.attnum), '[]')
                  FROM att a
                  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                  LEFT JOIN con n ON n.contype = 'n' AND n.conkey = ARRAY[a.attnum]
                       ),
    'sequences', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.fq, 'column', s.attname,
                         'identity', s.deptype = 'i')), '[]') FROM seqs s),
    'steps', (SELECT coalesce(jsonb_agg(jsonb_build_object('phase', s.phase, 'kind', s.kind,
                     'object', s.object, 'run_as', s.run_as, 'role', s.role, 'columns', s.columns,
                     'sql', s.sql) ORDER BY s.phase, s.ord, s.object), '[]') FROM step s)
)::text
FROM t
