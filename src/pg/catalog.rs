//! What the catalogs say a statement would destroy. Nothing here waits for a lock that the users
//! of a table hold: tables are opened under conditional locks only.

use super::armed::House;
use super::dml::Target;
use super::reader::{Node, items, text};
use super::{rows, server, session, version, xact};
use guard_core::loss::{Kind, Loss, Object, Rows, Via};
use guard_core::rules::Facts;
use guard_core::statement::{AlterTable, Body, Class, Name, ObjectKind, Statement};
use pgrx::pg_sys;
use std::collections::{HashMap, HashSet, VecDeque};

/// pg_depend, pg_shdepend and their indexes; the numbers are fixed in the server's headers.
const PG_DEPEND: pg_sys::Oid = pg_sys::Oid::from_u32(2608);
const PG_DEPEND_DEPENDER: pg_sys::Oid = pg_sys::Oid::from_u32(2673);
const PG_DEPEND_REFERENCE: pg_sys::Oid = pg_sys::Oid::from_u32(2674);
const PG_SHDEPEND: pg_sys::Oid = pg_sys::Oid::from_u32(1214);
const PG_SHDEPEND_REFERENCE: pg_sys::Oid = pg_sys::Oid::from_u32(1233);
/// The index on the name, and the name's column, of pg_proc.
const PG_PROC_NAME: pg_sys::Oid = pg_sys::Oid::from_u32(2691);
const PRONAME: i16 = 2;

/// How many pages a count reads before it becomes an estimate (2 MB).
const PROBE_PAGES: u32 = 256;

type Address = (pg_sys::Oid, pg_sys::Oid, i32);

/// The facts about one statement.
pub struct Catalog {
    pub house: House,
    /// The parse tree; None for DML, whose targets are given by OID.
    pub node: Option<Node>,
    pub targets: Vec<Target>,
    /// Are rows and bytes wanted? They cost file-system calls and page reads, so they are asked
    /// for only when somebody will read them.
    pub figures: bool,
}

impl Facts for Catalog {
    fn loss(&self, statement: &Statement) -> Loss {
        match (&statement.body, self.node) {
            (Body::Drop { kind, cascade, .. }, Some(node)) => self.of_drop(node, *kind, *cascade),
            (Body::DropOwned { cascade, .. }, Some(node)) => self.of_drop_owned(node, *cascade),
            (Body::Truncate { cascade, .. }, Some(node)) => self.of_truncate(node, *cascade),
            (Body::AlterTable { commands, .. }, Some(node)) => self.of_alter_table(node, commands),
            (Body::WholeTableDml { .. }, _) => self.of_dml(),
            _ => Loss::default(),
        }
    }

    fn guard_subject(&self, statement: &Statement) -> Option<String> {
        if let (Body::PersistentSetting { name: None, .. }, Some(node)) =
            (&statement.body, self.node)
        {
            return preload_set_for(node).then(|| "session_preload_libraries".into());
        }
        let subject = self.subject(statement)?;
        self.is_guard(subject)
            .then(|| identity(subject).unwrap_or_else(|| "migration_guard".into()))
    }
}

impl Catalog {
    /// The one object that a statement other than DROP is aimed at, when it could be the guard's.
    fn subject(&self, statement: &Statement) -> Option<Address> {
        let by_name = |kind: ObjectKind, name: &str| {
            let name = std::ffi::CString::new(name).ok()?;
            // SAFETY: lookups with missing_ok; the name is NUL-terminated.
            let (class, oid) = unsafe {
                match kind {
                    ObjectKind::Schema => (
                        pg_sys::NamespaceRelationId,
                        pg_sys::get_namespace_oid(name.as_ptr(), true),
                    ),
                    ObjectKind::Extension => (
                        pg_sys::ExtensionRelationId,
                        pg_sys::get_extension_oid(name.as_ptr(), true),
                    ),
                    ObjectKind::EventTrigger => (
                        pg_sys::EventTriggerRelationId,
                        pg_sys::get_event_trigger_oid(name.as_ptr(), true),
                    ),
                    _ => return None,
                }
            };
            (oid != pg_sys::InvalidOid).then_some((class, oid, 0))
        };
        match &statement.body {
            Body::AlterEventTrigger { name, .. } => by_name(ObjectKind::EventTrigger, name),
            // Replacing, altering or renaming a function of the guard's schema.
            Body::Object {
                kind: ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine,
                name,
            }
            | Body::Rename {
                kind: ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine,
                name,
                ..
            } => self.is_own_function(name).then_some((
                pg_sys::NamespaceRelationId,
                self.house.namespace,
                0,
            )),
            Body::Drop {
                kind: ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy,
                ..
            } => {
                let stmt: *mut pg_sys::DropStmt = self.node?.ptr();
                // SAFETY: the body says that the node is a DropStmt.
                let objects = unsafe { items::<pg_sys::List>((*stmt).objects) };
                objects
                    .into_iter()
                    .map(|object| (pg_sys::RelationRelationId, table_before_name(object), 0))
                    .find(|address| self.is_guard(*address))
            }
            Body::Object { kind, name } => by_name(*kind, name),
            Body::Rename { kind, relation, name, .. } => match relation {
                Some(relation) => self.guarded_relation(relation),
                None => by_name(*kind, name),
            },
            Body::AlterTable { relation, .. }
            | Body::Relation { relation, .. }
            | Body::CreateIndex { relation, .. } => self.guarded_relation(relation),
            _ => None,
        }
    }

    /// The relation, if its name can be one of the guard's at all: looking up every name that a
    /// CREATE TABLE is about to make would cost a scan each.
    fn guarded_relation(&self, name: &Name) -> Option<Address> {
        let house = &self.house;
        let possible = match &name.schema {
            Some(schema) => schema.starts_with("migration_guard"),
            // SAFETY: reads the session's search path.
            None => oids(unsafe { pg_sys::fetch_search_path(false) })
                .iter()
                .any(|n| *n == house.namespace || *n == house.snapshots_namespace),
        };
        possible.then(|| relation_by_name(name)).flatten()
    }

    /// Could this name, as the statement gives it, mean a function of the guard's schema?
    fn is_own_function(&self, name: &str) -> bool {
        if let Some((schema, _)) = name.split_once('.') {
            return schema == "migration_guard";
        }
        // SAFETY: reads the backend's search path.
        let path = oids(unsafe { pg_sys::fetch_search_path(false) });
        path.contains(&self.house.namespace)
            && functions_called(name).contains(&self.house.namespace)
    }

    fn is_guard(&self, (class, oid, _): Address) -> bool {
        let house = &self.house;
        match class {
            pg_sys::NamespaceRelationId => {
                oid == house.namespace || oid == house.snapshots_namespace
            }
            pg_sys::ExtensionRelationId => oid == house.extension,
            pg_sys::EventTriggerRelationId => house.event_triggers.contains(&oid),
            pg_sys::RelationRelationId => {
                // SAFETY: a syscache lookup.
                let namespace = unsafe { pg_sys::get_rel_namespace(oid) };
                namespace == house.namespace || namespace == house.snapshots_namespace
            }
            // SAFETY: a syscache lookup.
            pg_sys::ProcedureRelationId => unsafe {
                pg_sys::get_func_namespace(oid) == house.namespace
            },
            _ => false,
        }
    }

    fn of_drop(&self, node: Node, kind: ObjectKind, cascade: bool) -> Loss {
        let stmt: *mut pg_sys::DropStmt = node.ptr();
        // SAFETY: the statement's body says that the node is a DropStmt.
        let (objtype, objects) =
            unsafe { ((*stmt).removeType, items::<pg_sys::Node>((*stmt).objects)) };
        let named: Vec<Address> =
            objects.into_iter().filter_map(|object| resolve(kind, objtype, object)).collect();
        let caller = session::current_user();
        let refused = named.iter().any(|a| !may_drop(*a, caller));
        let contents = matches!(kind, ObjectKind::Schema | ObjectKind::Extension);
        self.closure(&named, cascade, contents, refused)
    }

    fn of_drop_owned(&self, node: Node, cascade: bool) -> Loss {
        let stmt: *mut pg_sys::DropOwnedStmt = node.ptr();
        // SAFETY: the node is a DropOwnedStmt; a missing role gives InvalidOid, which Postgres
        // reports itself.
        let roles: Vec<pg_sys::Oid> = unsafe {
            items::<pg_sys::RoleSpec>((*stmt).roles)
                .into_iter()
                .map(|r| pg_sys::get_rolespec_oid(r, true))
                .filter(|r| *r != pg_sys::InvalidOid)
                .collect()
        };
        let caller = session::current_user();
        // SAFETY: reads role memberships.
        let refused = roles.iter().any(|r| unsafe { !pg_sys::has_privs_of_role(caller, *r) });
        let owned: Vec<Address> = roles.iter().flat_map(|role| owned_by(*role)).collect();
        let mut loss = self.closure(&owned, cascade, false, refused);
        // What a role owns is not written in the statement.
        for object in loss.objects.iter_mut().filter(|o| o.via == Via::Named) {
            object.via = Via::Part;
        }
        loss
    }

    fn of_truncate(&self, node: Node, cascade: bool) -> Loss {
        let stmt: *mut pg_sys::TruncateStmt = node.ptr();
        let mut relations: Vec<pg_sys::Oid> = Vec::new();
        let mut refused = false;
        // SAFETY: the node is a TruncateStmt with a list of RangeVar. The inheritance lookup is
        // asked for no locks; the foreign-key lookup reads pg_constraint.
        unsafe {
            for range_var in items::<pg_sys::RangeVar>((*stmt).relations) {
                let oid = relation_oid(range_var);
                if oid == pg_sys::InvalidOid {
                    continue;
                }
                let rights =
                    pg_sys::pg_class_aclcheck(oid, session::current_user(), version::ACL_TRUNCATE);
                refused |= rights != pg_sys::AclResult::ACLCHECK_OK;
                let all = if (*range_var).inh { with_descendants(oid) } else { vec![oid] };
                all.into_iter().for_each(|o| push_new(&mut relations, o));
            }
            if cascade {
                loop {
                    let mut list: *mut pg_sys::List = std::ptr::null_mut();
                    for oid in &relations {
                        list = pg_sys::lappend_oid(list, *oid);
                    }
                    let more = oids(pg_sys::heap_truncate_find_FKs(list));
                    let before = relations.len();
                    for oid in more {
                        with_descendants(oid).into_iter().for_each(|o| push_new(&mut relations, o));
                    }
                    if relations.len() == before {
                        break;
                    }
                }
            }
        }
        let mut objects: Vec<Object> = relations
            .into_iter()
            .filter_map(|oid| self.object((pg_sys::RelationRelationId, oid, 0), Via::Named))
            .collect();
        // Whether there is anything to lose decides about the finding itself.
        for object in objects.iter_mut().filter(|o| o.kind == Kind::Table && !o.transient) {
            let relation = object.address.1.into();
            if object.rows.is_none() {
                object.rows = with_relation(relation, count).filter(|r| r.none());
            }
            if !refused && object.rows.is_some_and(|r| r.none()) {
                object.rows = stays_empty(relation);
            }
        }
        Loss { objects, refused }
    }

    fn of_alter_table(&self, node: Node, commands: &[AlterTable]) -> Loss {
        let stmt: *mut pg_sys::AlterTableStmt = node.ptr();
        // SAFETY: the node is an AlterTableStmt.
        let (relation, recurses) =
            unsafe { (relation_oid((*stmt).relation), (*(*stmt).relation).inh) };
        if relation == pg_sys::InvalidOid {
            return Loss::default();
        }
        let refused = !version::owns(pg_sys::RelationRelationId, relation, session::current_user());
        let mut named: Vec<Address> = Vec::new();
        let mut cascades = false;
        for command in commands {
            match command {
                AlterTable::DropColumn { column, cascade, .. } => {
                    cascades |= cascade;
                    let mut relations =
                        if recurses { with_descendants(relation) } else { vec![relation] };
                    if *cascade && relkind(relation) == b'c' {
                        relations.extend(tables_of_type(relation));
                    }
                    named.extend(relations.into_iter().filter_map(|r| {
                        column_number(r, column).map(|n| (pg_sys::RelationRelationId, r, n))
                    }));
                }
                AlterTable::DropConstraint { constraint, cascade: true, .. } => {
                    cascades = true;
                    named.extend(constraint_address(relation, constraint));
                }
                _ => {}
            }
        }
        self.closure(&named, cascades, false, refused)
    }

    fn of_dml(&self) -> Loss {
        let relation = |oid, via| self.object((pg_sys::RelationRelationId, oid, 0), via);
        // The policy is meant to be edited by administrators; its trigger refuses everybody else.
        let editable =
            |t: &&Target| t.relation == self.house.policy && crate::api::is_administrator();
        let named = self
            .targets
            .iter()
            .filter(|t| !editable(t))
            .filter_map(|t| relation(t.relation, Via::Named));
        // The rows of children and partitions go with those of their parent.
        let below = self.targets.iter().filter(|t| t.inherits).flat_map(|t| {
            with_descendants(t.relation).into_iter().filter(|oid| *oid != t.relation)
        });
        let objects = named.chain(below.filter_map(|oid| relation(oid, Via::Part))).collect();
        Loss { objects, refused: false }
    }

    /// Follows pg_depend from the named objects as a DROP does.
    fn closure(&self, named: &[Address], cascade: bool, contents: bool, refused: bool) -> Loss {
        let mut loss = Loss { objects: Vec::new(), refused };
        if refused {
            return loss;
        }
        // Without CASCADE a relation takes its inner parts along, of which no rule speaks; only the
        // partitions of a partitioned table are tables themselves.
        let alone = |a: &Address| a.0 == pg_sys::RelationRelationId && relkind(a.1) != b'p';
        if !cascade && named.iter().all(alone) {
            let mut once = HashSet::new();
            let named = named.iter().filter(|a| once.insert(**a));
            loss.objects.extend(named.filter_map(|a| self.object(*a, Via::Named)));
            return loss;
        }
        let mut seen: HashMap<Address, Via> = HashMap::new();
        let mut order: Vec<Address> = Vec::new();
        let mut queue: VecDeque<Address> = VecDeque::new();
        // What CASCADE takes is followed last: an object that is a part of something named, or is
        // named itself, is no surprise, whichever way leads to it first.
        let mut later: VecDeque<[Address; 2]> = VecDeque::new();
        for address in named {
            if seen.insert(*address, Via::Named).is_none() {
                order.push(*address);
                queue.push_back(*address);
            }
        }
        loop {
            let (targets, via) = if let Some(object) = queue.pop_front() {
                let content = cascade && contents && named.contains(&object);
                let mut parts = Vec::new();
                for (dependent, edge) in dependents(object) {
                    // A dependent that is an inner part of something else takes that with it: the
                    // rule of a view takes the view, a member takes its extension.
                    match edge {
                        b'n' if content => {
                            parts.push(owner_of(dependent).unwrap_or(dependent));
                            parts.push(dependent);
                        }
                        b'n' if cascade => {
                            later.push_back([owner_of(dependent).unwrap_or(dependent), dependent]);
                        }
                        b'n' => {}
                        _ => parts.push(dependent),
                    }
                }
                (parts, Via::Part)
            } else if let Some(targets) = later.pop_front() {
                (targets.to_vec(), Via::Cascade)
            } else {
                break;
            };
            let mut via = via;
            for address in targets {
                let whole = (address.0, address.1, 0);
                if !seen.contains_key(&whole) && !seen.contains_key(&address) {
                    seen.insert(address, via);
                    order.push(address);
                    // Nothing of a user's can depend on a toast table.
                    if address.0 != pg_sys::RelationRelationId || relkind(address.1) != b't' {
                        queue.push_back(address);
                    }
                }
                // The first is what CASCADE takes, the second an inner part of it.
                via = Via::Part;
            }
        }
        for address in order {
            let via = seen.get(&address).copied().unwrap_or(Via::Part);
            loss.objects.extend(self.object(address, via));
        }
        loss
    }

    /// Describes one object; parts that no rule speaks of are left out.
    fn object(&self, address: Address, via: Via) -> Option<Object> {
        let (class, oid, sub) = address;
        let inner = class != pg_sys::RelationRelationId
            && ![pg_sys::ProcedureRelationId, pg_sys::TypeRelationId].contains(&class)
            && ![pg_sys::NamespaceRelationId, pg_sys::ExtensionRelationId].contains(&class);
        if via == Via::Part && (inner || matches!(relkind(oid), b'i' | b'I' | b't')) {
            return None;
        }
        let kind = kind_of(address);
        let guard = self.is_guard(address);
        let worth_naming = via != Via::Part
            || guard
            || kind.is_table()
            || matches!(
                kind,
                Kind::Column | Kind::View | Kind::MaterializedView | Kind::Schema | Kind::Function
            )
            || (kind == Kind::Type && !is_row_or_array_type(oid))
            || kind == Kind::Sequence;
        if !worth_naming {
            return None;
        }
        let identity = identity(address)?;
        let relation = (class == pg_sys::RelationRelationId).then_some(oid);
        let table = match kind {
            Kind::Column => relation.and_then(|r| self::identity((class, r, 0))),
            Kind::Constraint | Kind::ForeignKey => constraint_table(oid)
                .and_then(|r| self::identity((pg_sys::RelationRelationId, r, 0))),
            _ => None,
        };
        let readable = match relation {
            Some(relation) => may_select(relation),
            None => constraint_table_of(kind, oid).is_none_or(may_select),
        };
        let mut object = Object {
            address: (class.to_u32(), oid.to_u32(), sub),
            kind,
            type_name: type_name(kind, address),
            identity,
            name: column_name(oid, sub).unwrap_or_default(),
            table,
            via,
            transient: match relation {
                Some(relation) => is_transient(relation, sub),
                None => xact::is_new(class, oid, sub),
            },
            guard,
            visible: readable,
            rows: None,
            bytes: 0,
        };
        if self.figures && kind.is_table() && !object.transient && !guard {
            let (rows, bytes) = measure(oid, kind);
            object.bytes = bytes;
            object.rows = Some(if readable || rows.none() { rows } else { Rows::Unknown });
        }
        Some(object)
    }
}

fn relation_by_name(name: &Name) -> Option<Address> {
    let schema = match &name.schema {
        Some(schema) => Some(std::ffi::CString::new(schema.as_str()).ok()?),
        None => None,
    };
    let relation = std::ffi::CString::new(name.name.as_str()).ok()?;
    // SAFETY: syscache lookups that return InvalidOid for what is absent.
    let oid = unsafe {
        match &schema {
            Some(schema) => {
                let namespace = pg_sys::get_namespace_oid(schema.as_ptr(), true);
                if namespace == pg_sys::InvalidOid {
                    return None;
                }
                pg_sys::get_relname_relid(relation.as_ptr(), namespace)
            }
            None => pg_sys::RelnameGetRelid(relation.as_ptr()),
        }
    };
    (oid != pg_sys::InvalidOid).then_some((pg_sys::RelationRelationId, oid, 0))
}

/// The server's words for a kind, as in `materialized view`.
fn words(kind: ObjectKind) -> String {
    let mut words = String::new();
    for c in format!("{kind:?}").chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// `schema.name`, each quoted where the server would quote it.
fn qualified(schema: &str, name: &str) -> Option<String> {
    let schema = std::ffi::CString::new(schema).ok()?;
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: both are NUL-terminated; the result is palloc'd.
    Some(text(unsafe { pg_sys::quote_qualified_identifier(schema.as_ptr(), name.as_ptr()) }))
}

/// Type and identity of a relation.
pub fn relation(oid: u32) -> Option<(String, String)> {
    let address = (pg_sys::RelationRelationId, oid.into(), 0);
    Some((type_name(kind_of(address), address), identity(address)?))
}

/// Type and identity of the relation that a statement was about, once it ran.
pub fn subject(statement: &Statement) -> Option<(String, String)> {
    match &statement.body {
        Body::AlterTable { relation, kind, .. } | Body::Relation { relation, kind } => {
            if let Some(schema) = &relation.schema {
                let on_table = !matches!(
                    kind,
                    ObjectKind::View
                        | ObjectKind::MaterializedView
                        | ObjectKind::Sequence
                        | ObjectKind::ForeignTable
                        | ObjectKind::Type
                        | ObjectKind::Index
                );
                let type_name = if on_table { "table".into() } else { words(*kind) };
                return Some((type_name, qualified(schema, &relation.name)?));
            }
            let address = relation_by_name(relation)?;
            Some((type_name(kind_of(address), address), identity(address)?))
        }
        // An index is in the schema of its table.
        Body::CreateIndex {
            relation: Name { schema: Some(schema), .. },
            index: Some(index),
            ..
        } => Some(("index".into(), qualified(schema, index)?)),
        Body::Object { kind, name } if !name.is_empty() => Some((words(*kind), name.clone())),
        _ => None,
    }
}

/// Does the database or role of ALTER ... RESET ALL have a setting that loads the guard? (The bridge
/// passes an invalid OID as NULL.)
fn preload_set_for(node: Node) -> bool {
    const QUERY: &str = "SELECT 1 FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c \
         WHERE s.setdatabase = COALESCE($1, 0) AND s.setrole = COALESCE($2, 0) \
           AND c LIKE '%\\_preload\\_libraries=%migration\\_guard%'";
    // SAFETY: the cast follows the class; names are NULL or NUL-terminated, and the lookups give
    // InvalidOid for what is absent.
    let (database, role) = unsafe {
        let database = |name: *const std::ffi::c_char| {
            if name.is_null() { pg_sys::InvalidOid } else { pg_sys::get_database_oid(name, true) }
        };
        match node.class() {
            Class::AlterDatabaseSetStmt => {
                let stmt: *mut pg_sys::AlterDatabaseSetStmt = node.ptr();
                (database((*stmt).dbname), pg_sys::InvalidOid)
            }
            Class::AlterRoleSetStmt => {
                let stmt: *mut pg_sys::AlterRoleSetStmt = node.ptr();
                let role = if (*stmt).role.is_null() {
                    pg_sys::InvalidOid
                } else {
                    pg_sys::get_rolespec_oid((*stmt).role, true)
                };
                (database((*stmt).database), role)
            }
            _ => return false,
        }
    };
    session::as_guard(|| {
        pgrx::Spi::connect(|client| {
            client
                .select(QUERY, Some(1), &[database.into(), role.into()])
                .map(|rows| !rows.is_empty())
        })
    })
    .unwrap_or(true)
}

fn push_new(list: &mut Vec<pg_sys::Oid>, oid: pg_sys::Oid) {
    if !list.contains(&oid) {
        list.push(oid);
    }
}

fn oids(list: *mut pg_sys::List) -> Vec<pg_sys::Oid> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a List of OIDs, as the callee documents.
    unsafe { (0..(*list).length as usize).map(|i| (*(*list).elements.add(i)).oid_value).collect() }
}

/// Looks a relation up without a lock; InvalidOid when it is absent.
fn relation_oid(range_var: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    // SAFETY: a RangeVar of a parse tree; RVR_MISSING_OK keeps it from raising for an absent one.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            range_var,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

fn with_descendants(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let all = oids(server::find_all_inheritors(relation));
    if all.is_empty() { vec![relation] } else { all }
}

fn relkind(relation: pg_sys::Oid) -> u8 {
    // SAFETY: a syscache lookup; NUL for an absent relation.
    unsafe { pg_sys::get_rel_relkind(relation) as u8 }
}

/// What a DROP names, as an address; None when it is absent or of another kind, which Postgres
/// reports itself.
fn resolve(
    kind: ObjectKind,
    objtype: pg_sys::ObjectType::Type,
    object: *mut pg_sys::Node,
) -> Option<Address> {
    let relkinds: &[u8] = match kind {
        ObjectKind::Table => b"rp",
        ObjectKind::ForeignTable => b"f",
        ObjectKind::View => b"v",
        ObjectKind::MaterializedView => b"m",
        ObjectKind::Index => b"iI",
        ObjectKind::Sequence => b"S",
        // Named with their table: it is enough to know whose they are.
        ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy => return None,
        _ => b"",
    };
    // SAFETY: the node is an element of DropStmt.objects, whose form get_object_address expects;
    // for relations it is a list of names. With missing_ok an absent object gives InvalidOid. The
    // lock taken on objects other than relations is the weakest one, on an object that the
    // statement is about to lock exclusively.
    unsafe {
        if !relkinds.is_empty() {
            let oid = relation_oid(pg_sys::makeRangeVarFromNameList(object.cast()));
            return (oid != pg_sys::InvalidOid && relkinds.contains(&relkind(oid))).then_some((
                pg_sys::RelationRelationId,
                oid,
                0,
            ));
        }
        let mut relation: pg_sys::Relation = std::ptr::null_mut();
        let address = pg_sys::get_object_address(
            objtype,
            object,
            &mut relation,
            pg_sys::AccessShareLock as i32,
            true,
        );
        if !relation.is_null() {
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        }
        (address.objectId != pg_sys::InvalidOid).then_some((
            address.classId,
            address.objectId,
            address.objectSubId,
        ))
    }
}

/// The owner of the object or of its schema may drop it.
fn may_drop((class, oid, _): Address, role: pg_sys::Oid) -> bool {
    if version::owns(class, oid, role) {
        return true;
    }
    let address = pg_sys::ObjectAddress { classId: class, objectId: oid, objectSubId: 0 };
    // SAFETY: reads the object's namespace from its syscache.
    unsafe {
        if !pg_sys::is_objectclass_supported(class) {
            return false;
        }
        let namespace = pg_sys::get_object_namespace(&address);
        namespace != pg_sys::InvalidOid
            && version::owns(pg_sys::NamespaceRelationId, namespace, role)
    }
}

fn may_select(relation: pg_sys::Oid) -> bool {
    let user = session::current_user();
    // SAFETY: reads the relation's rights; row security is asked without raising.
    unsafe {
        pg_sys::pg_class_aclcheck(relation, user, version::ACL_SELECT)
            == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// Rows of a catalog found by an index scan, each read by `row`.
fn scan<T>(
    catalog: pg_sys::Oid,
    index: pg_sys::Oid,
    keys: &[(i16, Key)],
    mut row: impl FnMut(pg_sys::HeapTuple) -> T,
) -> Vec<T> {
    let mut found = Vec::new();
    // SAFETY: a plain catalog scan: the keys are initialised before use, the relation stays open
    // under its lock while tuples are read, and each tuple is only used inside `row`.
    unsafe {
        let relation = pg_sys::table_open(catalog, pg_sys::AccessShareLock as i32);
        let mut scankeys: [pg_sys::ScanKeyData; 3] = std::mem::zeroed();
        for (scankey, (attribute, key)) in scankeys.iter_mut().zip(keys) {
            let (procedure, datum) = match key {
                Key::Oid(oid) => (pg_sys::F_OIDEQ, pg_sys::Datum::from(*oid)),
                Key::Int(n) => (pg_sys::F_INT4EQ, pg_sys::Datum::from(*n)),
                Key::Name(name) => (pg_sys::F_NAMEEQ, pg_sys::Datum::from(&raw const *name)),
            };
            pg_sys::ScanKeyInit(
                scankey,
                *attribute,
                pg_sys::BTEqualStrategyNumber as u16,
                procedure.into(),
                datum,
            );
        }
        let scan = pg_sys::systable_beginscan(
            relation,
            index,
            true,
            std::ptr::null_mut(),
            keys.len() as i32,
            scankeys.as_mut_ptr(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            found.push(row(tuple));
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    found
}

enum Key {
    Oid(pg_sys::Oid),
    Int(i32),
    Name(pg_sys::NameData),
}

/// Does a statement that runs now see this function? Not before the one that makes it is over.
pub fn function_is_visible(function: pg_sys::Oid) -> bool {
    let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
    // SAFETY: a syscache lookup; the tuple is released at once.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, function.into());
        if !tuple.is_null() {
            pg_sys::ReleaseSysCache(tuple);
        }
        !tuple.is_null()
    }
}

/// The schemas in which there is a function of this name.
fn functions_called(name: &str) -> Vec<pg_sys::Oid> {
    let mut key = pg_sys::NameData::default();
    // A name is never longer than its type has room for, its end included.
    for (to, from) in key.data.iter_mut().zip(name.bytes().take(pg_sys::NAMEDATALEN as usize - 1)) {
        *to = from as std::ffi::c_char;
    }
    scan(pg_sys::ProcedureRelationId, PG_PROC_NAME, &[(PRONAME, Key::Name(key))], |tuple| {
        // SAFETY: a tuple of pg_proc, of which the fixed-width part is read.
        unsafe { (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>()).pronamespace }
    })
}

/// The table in a list of names that ends with the name of a trigger, rule or policy.
fn table_before_name(names: *mut pg_sys::List) -> pg_sys::Oid {
    // SAFETY: the grammar makes these lists of a qualified table name and one name after it, all
    // String nodes; the copy is cut, not the statement's own list.
    unsafe {
        let length = (*names).length - 1;
        let table = pg_sys::list_truncate(pg_sys::list_copy(names), length);
        relation_oid(pg_sys::makeRangeVarFromNameList(table))
    }
}

/// What depends on `object`, with the kind of the dependency.
fn dependents((class, oid, sub): Address) -> Vec<(Address, u8)> {
    let mut keys = vec![(4, Key::Oid(class)), (5, Key::Oid(oid))];
    if sub != 0 {
        keys.push((6, Key::Int(sub)));
    }
    scan(PG_DEPEND, PG_DEPEND_REFERENCE, &keys, |tuple| {
        // SAFETY: a tuple of pg_depend, whose columns are all of fixed width and not null.
        let form = unsafe { &*pg_sys::GETSTRUCT(tuple).cast::<server::Depend>() };
        ((form.classid, form.objid, form.objsubid), form.deptype as u8)
    })
    .into_iter()
    .filter(|(dependent, _)| (dependent.0, dependent.1) != (class, oid) || dependent.2 != 0)
    .filter(|(dependent, _)| sub != 0 || (dependent.0, dependent.1) != (class, oid))
    .collect()
}

/// What `object` is an inner part of, if it is.
fn owner_of((class, oid, _): Address) -> Option<Address> {
    let keys = [(1, Key::Oid(class)), (2, Key::Oid(oid))];
    scan(PG_DEPEND, PG_DEPEND_DEPENDER, &keys, |tuple| {
        // SAFETY: as in `dependents`.
        let form = unsafe { &*pg_sys::GETSTRUCT(tuple).cast::<server::Depend>() };
        ((form.refclassid, form.refobjid, form.refobjsubid), form.deptype as u8)
    })
    .into_iter()
    .find(|(_, edge)| matches!(edge, b'i' | b'e'))
    .map(|(owner, _)| owner)
}

/// What a role owns in this database.
fn owned_by(role: pg_sys::Oid) -> Vec<Address> {
    // SAFETY: reads a backend variable.
    let database = unsafe { pg_sys::MyDatabaseId };
    let keys = [(5, Key::Oid(pg_sys::AuthIdRelationId)), (6, Key::Oid(role))];
    scan(PG_SHDEPEND, PG_SHDEPEND_REFERENCE, &keys, |tuple| {
        // SAFETY: a tuple of pg_shdepend, whose columns are all of fixed width and not null.
        let form = unsafe { &*pg_sys::GETSTRUCT(tuple).cast::<server::SharedDepend>() };
        (form.dbid == database && form.deptype as u8 == b'o').then_some((
            form.classid,
            form.objid,
            form.objsubid,
        ))
    })
    .into_iter()
    .flatten()
    .collect()
}

/// The tables made `OF` a composite type, which follow it when it changes.
fn tables_of_type(composite: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: a syscache lookup.
    let row_type = unsafe { pg_sys::get_rel_type_id(composite) };
    dependents((pg_sys::TypeRelationId, row_type, 0))
        .into_iter()
        .filter(|((class, oid, sub), _)| {
            *class == pg_sys::RelationRelationId
                && *sub == 0
                && matches!(relkind(*oid), b'r' | b'p')
        })
        .map(|((_, oid, _), _)| oid)
        .collect()
}

fn column_number(relation: pg_sys::Oid, column: &str) -> Option<i32> {
    let column = std::ffi::CString::new(column).ok()?;
    // SAFETY: a syscache lookup; 0 for an absent column.
    let number = unsafe { pg_sys::get_attnum(relation, column.as_ptr()) };
    (number > 0).then_some(number.into())
}

fn column_name(relation: pg_sys::Oid, column: i32) -> Option<String> {
    let number = i16::try_from(column).ok().filter(|n| *n > 0)?;
    // SAFETY: a syscache lookup; with missing_ok it gives NULL for an absent column.
    let name = unsafe { pg_sys::get_attname(relation, number, true) };
    (!name.is_null()).then(|| text(name))
}

fn constraint_address(relation: pg_sys::Oid, constraint: &str) -> Option<Address> {
    let constraint = std::ffi::CString::new(constraint).ok()?;
    let oid = server::get_relation_constraint_oid(relation, &constraint);
    (oid != pg_sys::InvalidOid).then_some((server::CONSTRAINTS, oid, 0))
}

/// An attribute of a constraint; both that are asked for are fixed-width and never NULL.
fn constraint_attribute(oid: pg_sys::Oid, attribute: i16) -> Option<pg_sys::Datum> {
    let cache = pg_sys::SysCacheIdentifier::CONSTROID as i32;
    // SAFETY: the attribute is by value, so it may outlive the tuple, which is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, oid.into());
        if tuple.is_null() {
            return None;
        }
        let mut null = false;
        let datum = pg_sys::SysCacheGetAttr(cache, tuple, attribute, &mut null);
        pg_sys::ReleaseSysCache(tuple);
        (!null).then_some(datum)
    }
}

fn is_foreign_key(oid: pg_sys::Oid) -> bool {
    constraint_attribute(oid, version::CONSTRAINT_TYPE).is_some_and(|d| d.value() as u8 == b'f')
}

fn constraint_table(oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let datum = constraint_attribute(oid, version::CONSTRAINT_TABLE)?;
    let table = pg_sys::Oid::from_u32(u32::try_from(datum.value()).ok()?);
    (table != pg_sys::InvalidOid).then_some(table)
}

fn constraint_table_of(kind: Kind, oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    matches!(kind, Kind::Constraint | Kind::ForeignKey).then(|| constraint_table(oid)).flatten()
}

fn kind_of((class, oid, sub): Address) -> Kind {
    match class {
        pg_sys::RelationRelationId => match (relkind(oid), sub) {
            (b'r' | b'p' | b'f', n) if n != 0 => Kind::Column,
            (_, n) if n != 0 => Kind::Other,
            (b'r', _) => Kind::Table,
            (b'p', _) => Kind::PartitionedTable,
            (b'f', _) => Kind::ForeignTable,
            (b'v', _) => Kind::View,
            (b'm', _) => Kind::MaterializedView,
            (b'i' | b'I', _) => Kind::Index,
            (b'S', _) => Kind::Sequence,
            _ => Kind::Other,
        },
        pg_sys::ProcedureRelationId => Kind::Function,
        pg_sys::TypeRelationId => Kind::Type,
        pg_sys::NamespaceRelationId => Kind::Schema,
        pg_sys::ExtensionRelationId => Kind::Extension,
        pg_sys::EventTriggerRelationId => Kind::EventTrigger,
        server::CONSTRAINTS if is_foreign_key(oid) => Kind::ForeignKey,
        server::CONSTRAINTS => Kind::Constraint,
        pg_sys::TriggerRelationId => Kind::Trigger,
        server::POLICIES => Kind::Policy,
        server::REWRITE_RULES => Kind::Rule,
        server::DEFAULTS => Kind::Default,
        _ => Kind::Other,
    }
}

fn type_name(kind: Kind, (class, oid, sub): Address) -> String {
    match kind {
        Kind::Table | Kind::PartitionedTable => "table".into(),
        Kind::ForeignKey => "foreign key".into(),
        Kind::Column => "column".into(),
        Kind::Schema => "schema".into(),
        _ => {
            let address = pg_sys::ObjectAddress { classId: class, objectId: oid, objectSubId: sub };
            // SAFETY: reads the object's catalogs; NULL for one that has just gone.
            text(unsafe { pg_sys::getObjectTypeDescription(&address, true) })
        }
    }
}

/// The server's own quoted, fully qualified name.
pub fn identity((class, oid, sub): Address) -> Option<String> {
    let address = pg_sys::ObjectAddress { classId: class, objectId: oid, objectSubId: sub };
    // SAFETY: reads the object's catalogs; with missing_ok it returns NULL for what is gone.
    let name = unsafe { pg_sys::getObjectIdentity(&address, true) };
    (!name.is_null()).then(|| text(name))
}

fn is_row_or_array_type(oid: pg_sys::Oid) -> bool {
    // SAFETY: the tuple is released after its fixed-width part was read.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, oid.into());
        if tuple.is_null() {
            return true;
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let array = form.typelem != pg_sys::InvalidOid && form.typlen == -1;
        let row = form.typrelid != pg_sys::InvalidOid && relkind(form.typrelid) != b'c';
        pg_sys::ReleaseSysCache(tuple);
        array || row
    }
}

/// Runs `read` on a relation if it can be locked at once; the lock is given back.
fn with_relation<T>(relation: pg_sys::Oid, read: impl FnOnce(pg_sys::Relation) -> T) -> Option<T> {
    let lock = pg_sys::AccessShareLock as i32;
    // SAFETY: the relation is opened under the lock just taken, closed before it is released, and
    // not used afterwards. RelationIdGetRelation gives NULL for one that has gone meanwhile.
    unsafe {
        if !pg_sys::ConditionalLockRelationOid(relation, lock) {
            return None;
        }
        let rel = pg_sys::RelationIdGetRelation(relation);
        let result = (!rel.is_null()).then(|| read(rel));
        if !rel.is_null() {
            pg_sys::RelationClose(rel);
        }
        pg_sys::UnlockRelationOid(relation, lock);
        result
    }
}

/// Temporary, or created by this transaction. A relation that somebody else has locked against
/// reading was not created here.
fn is_transient(relation: pg_sys::Oid, column: i32) -> bool {
    // SAFETY: a syscache lookup.
    if unsafe { pg_sys::get_rel_persistence(relation) } as u8 == pg_sys::RELPERSISTENCE_TEMP {
        return true;
    }
    // SAFETY: the relation is open; the relation cache keeps the creating subtransaction for as
    // long as the transaction lasts. (xmin would not do: an ALTER changes it.)
    let created = with_relation(relation, |rel| unsafe { (*rel).rd_createSubid != 0 });
    created.unwrap_or(false)
        || (column != 0 && xact::is_new(pg_sys::RelationRelationId, relation, column))
}

/// Is the relation empty, and does it stay so? The lock is the one that TRUNCATE is about to take;
/// whoever writes to the table now, or could before TRUNCATE gets it, keeps it from us.
fn stays_empty(relation: pg_sys::Oid) -> Option<Rows> {
    let lock = pg_sys::AccessExclusiveLock as i32;
    // SAFETY: never waits; the lock goes with the (sub)transaction. A standby must not take it.
    let locked =
        !rows::read_only() && unsafe { pg_sys::ConditionalLockRelationOid(relation, lock) };
    if locked { with_relation(relation, count).filter(|r| r.none()) } else { Some(Rows::Unknown) }
}

/// Rows (counted in the first pages, estimated beyond) and bytes with toast and indexes.
fn measure(relation: pg_sys::Oid, kind: Kind) -> (Rows, u64) {
    if kind != Kind::Table {
        return (Rows::Unknown, 0);
    }
    with_relation(relation, |rel| {
        // SAFETY: the relation is open and locked; pg_total_relation_size opens it again under the
        // same lock and looks at the files only.
        let bytes: i64 = unsafe {
            pgrx::direct_function_call(
                pg_sys::pg_total_relation_size,
                &[Some(pg_sys::Datum::from(relation))],
            )
        }
        .unwrap_or(0);
        (count(rel), u64::try_from(bytes).unwrap_or(0))
    })
    .unwrap_or((Rows::Unknown, 0))
}

fn count(rel: pg_sys::Relation) -> Rows {
    // SAFETY: the relation is open under a lock. Only heap tables are read, with a registered
    // snapshot, and the scan is ended before the snapshot is given back. The tuples are counted
    // and never looked into, so no code of a user runs.
    unsafe {
        let blocks = pg_sys::RelationGetNumberOfBlocksInFork(rel, pg_sys::ForkNumber::MAIN_FORKNUM);
        if blocks == 0 {
            return Rows::Exactly(0);
        }
        if (*(*rel).rd_rel).relam != pg_sys::Oid::from_u32(pg_sys::HEAP_TABLE_AM_OID.into()) {
            return Rows::Unknown;
        }
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let scan =
            pg_sys::table_beginscan_strat(rel, snapshot, 0, std::ptr::null_mut(), true, false);
        let pages = blocks.min(PROBE_PAGES);
        if pages < blocks {
            pg_sys::heap_setscanlimits(scan, 0, pages);
        }
        let mut rows: u64 = 0;
        while !pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection).is_null() {
            rows += 1;
        }
        pg_sys::table_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        if pages == blocks {
            Rows::Exactly(rows)
        } else {
            Rows::About(rows * u64::from(blocks) / u64::from(pages))
        }
    }
}
