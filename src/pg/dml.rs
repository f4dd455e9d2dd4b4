//! DELETE, UPDATE and MERGE that can touch every row.
//!
//! The query tree says it (the plan does not: under row security it has filters that the user did
//! not write), but only the plan reaches the executor, perhaps much later and from a cache. So the
//! planner hook writes what it saw into the plan, as invalidation items of a cache that does not
//! exist: they are copied with the plan and match no invalidation. A plan that was made before the
//! library was loaded carries no mark and is read again from its source.

use super::reader::{self, Node, items};
use super::{armed, version};
use crate::history;
use guard_core::statement::{Body, Statement, WholeTable};
use pgrx::pg_sys;
use std::ffi::{c_int, c_void};

/// Cache numbers of the marks; real caches are small and not negative.
const EXAMINED: c_int = -0x4D47_0001;
const DELETES_ALL: c_int = -0x4D47_0002;
const UPDATES_ALL: c_int = -0x4D47_0003;
/// Added to the two above for ONLY: children and partitions are left alone.
const ONLY: c_int = -0x10;

/// A relation of which every row can be touched.
pub struct Target {
    pub what: WholeTable,
    pub relation: pg_sys::Oid,
    /// With its children and partitions.
    pub inherits: bool,
}

impl Target {
    fn from_mark(mark: c_int, relation: pg_sys::Oid) -> Option<Self> {
        let (what, inherits) = match mark {
            DELETES_ALL => (WholeTable::Delete, true),
            UPDATES_ALL => (WholeTable::Update, true),
            m if m == DELETES_ALL + ONLY => (WholeTable::Delete, false),
            m if m == UPDATES_ALL + ONLY => (WholeTable::Update, false),
            _ => return None,
        };
        Some(Self { what, relation, inherits })
    }
}

/// The marks for a query.
///
/// # Safety
/// `query` must be a valid, rewritten query that changes rows.
pub unsafe fn examine(query: *mut pg_sys::Query) -> *mut pg_sys::List {
    // SAFETY: as promised by the caller; the CTE list holds CommonTableExpr nodes whose queries
    // are Query nodes after analysis.
    unsafe {
        let mut marks = push(std::ptr::null_mut(), EXAMINED, pg_sys::InvalidOid);
        if let Some((what, relation)) = whole_table(query) {
            marks = push(marks, what, relation);
        }
        if (*query).hasModifyingCTE {
            for cte in items::<pg_sys::CommonTableExpr>((*query).cteList) {
                let inner: *mut pg_sys::Query = (*cte).ctequery.cast();
                if !inner.is_null()
                    && (*inner).type_ == pg_sys::NodeTag::T_Query
                    && let Some((what, relation)) = whole_table(inner)
                {
                    marks = push(marks, what, relation);
                }
            }
        }
        marks
    }
}

unsafe fn push(list: *mut pg_sys::List, what: c_int, relation: pg_sys::Oid) -> *mut pg_sys::List {
    // SAFETY: a palloc'd node, initialised whole, in the context the plan will be made in.
    unsafe {
        let item: *mut pg_sys::PlanInvalItem =
            pg_sys::palloc0(size_of::<pg_sys::PlanInvalItem>()).cast();
        (*item).type_ = pg_sys::NodeTag::T_PlanInvalItem;
        (*item).cacheId = what;
        (*item).hashValue = relation.to_u32();
        pg_sys::lappend(list, item.cast::<c_void>())
    }
}

/// Can the query touch every row of its result relation?
unsafe fn whole_table(query: *mut pg_sys::Query) -> Option<(c_int, pg_sys::Oid)> {
    // SAFETY: the range table has an entry for the result relation of a query that changes rows.
    unsafe {
        let index = (*query).resultRelation;
        if index <= 0 {
            return None;
        }
        let what = match (*query).commandType {
            pg_sys::CmdType::CMD_DELETE => {
                restricts_nothing((*query).jointree.cast(), index).then_some(DELETES_ALL)
            }
            pg_sys::CmdType::CMD_UPDATE => {
                restricts_nothing((*query).jointree.cast(), index).then_some(UPDATES_ALL)
            }
            pg_sys::CmdType::CMD_MERGE => merges_all(query, index),
            _ => None,
        }?;
        let entries: Vec<*mut pg_sys::RangeTblEntry> = items((*query).rtable);
        let entry = *entries.get(usize::try_from(index).ok()? - 1)?;
        let table = (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && matches!((*entry).relkind as u8, b'r' | b'p' | b'f');
        let only = if (*entry).inh { 0 } else { ONLY };
        table.then_some((what + only, (*entry).relid))
    }
}

/// MERGE whose join matches every row, with an action that deletes or changes unconditionally.
unsafe fn merges_all(query: *mut pg_sys::Query, index: c_int) -> Option<c_int> {
    // SAFETY: a query of MERGE; its actions are MergeAction nodes.
    unsafe {
        if !restricts_nothing(version::merge_condition(query), index) {
            return None;
        }
        items::<pg_sys::MergeAction>((*query).mergeActionList)
            .into_iter()
            .filter(|a| restricts_nothing((**a).qual, index))
            .find_map(|a| match (*a).commandType {
                pg_sys::CmdType::CMD_DELETE => Some(DELETES_ALL),
                pg_sys::CmdType::CMD_UPDATE => Some(UPDATES_ALL),
                _ => None,
            })
    }
}

/// Does the condition (a qual or a whole join tree) leave every row of the relation in? It does if
/// it says nothing about the relation's columns and is not constantly false.
unsafe fn restricts_nothing(condition: *mut pg_sys::Node, index: c_int) -> bool {
    if condition.is_null() {
        return true;
    }
    // SAFETY: a valid expression or join tree. pull_varnos only walks it; without a PlannerInfo
    // it must not meet PlaceHolderVars, which the planner makes later.
    unsafe {
        if let Some(quals) = quals_of(condition)
            && is_constantly_false(quals)
        {
            return false;
        }
        // A join tree names the relations that it joins; only its conditions count.
        let quals = conditions(condition);
        !quals.into_iter().any(|qual| {
            pg_sys::bms_is_member(index, pg_sys::pull_varnos(std::ptr::null_mut(), qual))
        })
    }
}

unsafe fn quals_of(node: *mut pg_sys::Node) -> Option<*mut pg_sys::Node> {
    // SAFETY: the cast follows the tag.
    unsafe {
        let quals = match (*node).type_ {
            pg_sys::NodeTag::T_FromExpr => (*node.cast::<pg_sys::FromExpr>()).quals,
            _ => node,
        };
        (!quals.is_null()).then_some(quals)
    }
}

/// Every condition of a join tree; an expression is its own only condition.
unsafe fn conditions(node: *mut pg_sys::Node) -> Vec<*mut pg_sys::Node> {
    let mut found = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node.is_null() {
            continue;
        }
        // SAFETY: the casts follow the tags.
        unsafe {
            match (*node).type_ {
                pg_sys::NodeTag::T_FromExpr => {
                    let from = &*node.cast::<pg_sys::FromExpr>();
                    if !from.quals.is_null() {
                        found.push(from.quals);
                    }
                    open.extend(items::<pg_sys::Node>(from.fromlist));
                }
                pg_sys::NodeTag::T_JoinExpr => {
                    let join = &*node.cast::<pg_sys::JoinExpr>();
                    if !join.quals.is_null() {
                        found.push(join.quals);
                    }
                    open.push(join.larg);
                    open.push(join.rarg);
                }
                pg_sys::NodeTag::T_RangeTblRef => {}
                _ => found.push(node),
            }
        }
    }
    found
}

/// `WHERE false`, `WHERE NULL`, or an AND with one of them.
unsafe fn is_constantly_false(qual: *mut pg_sys::Node) -> bool {
    // SAFETY: the casts follow the tags.
    unsafe {
        match (*qual).type_ {
            pg_sys::NodeTag::T_Const => {
                let constant = &*qual.cast::<pg_sys::Const>();
                constant.constisnull || constant.constvalue.value() == 0
            }
            pg_sys::NodeTag::T_BoolExpr => {
                let expr = &*qual.cast::<pg_sys::BoolExpr>();
                expr.boolop == pg_sys::BoolExprType::AND_EXPR
                    && items::<pg_sys::Node>(expr.args)
                        .into_iter()
                        .any(|arg| is_constantly_false(arg))
            }
            _ => false,
        }
    }
}

/// Writes the marks into the plan.
///
/// # Safety
/// `plan` must be a plan just made, `marks` a list from [`examine`].
pub unsafe fn mark(plan: *mut pg_sys::PlannedStmt, marks: *mut pg_sys::List) {
    // SAFETY: the two lists live in the planner's memory context; the first takes the second over.
    unsafe {
        if !marks.is_null() && !plan.is_null() {
            (*plan).invalItems = pg_sys::list_concat((*plan).invalItems, marks);
        }
        if history::is_waiting() && reads_history(plan) {
            history::flush();
        }
    }
}

/// Does the plan read the history? Then what waits to be written at the commit is written first.
unsafe fn reads_history(plan: *mut pg_sys::PlannedStmt) -> bool {
    armed::house().is_some_and(|house| {
        // SAFETY: a plan's list of relation OIDs.
        unsafe {
            pg_sys::list_member_oid((*plan).relationOids, house.history)
                || pg_sys::list_member_oid((*plan).relationOids, house.statements)
        }
    })
}

/// Must the executor start be looked at more closely? Cheap: it is asked for every query.
///
/// # Safety
/// `query` must be a valid query descriptor.
pub unsafe fn concerns(query: *mut pg_sys::QueryDesc, eflags: c_int) -> bool {
    // SAFETY: a query descriptor always has a plan; the worker number is backend state.
    unsafe {
        let plan = (*query).plannedstmt;
        let changes = matches!(
            (*query).operation,
            pg_sys::CmdType::CMD_DELETE | pg_sys::CmdType::CMD_UPDATE | pg_sys::CmdType::CMD_MERGE
        );
        (changes || (*plan).hasModifyingCTE)
            && eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int == 0
            && pg_sys::ParallelWorkerNumber < 0
            && !examined_and_clean(plan)
    }
}

/// Did the planner hook see the query, and nothing in it? Most plans end here, so nothing is
/// allocated.
unsafe fn examined_and_clean(plan: *mut pg_sys::PlannedStmt) -> bool {
    let mut examined = false;
    // SAFETY: a plan's list of PlanInvalItem, NULL when it is empty.
    unsafe {
        let list = (*plan).invalItems;
        if list.is_null() {
            return false;
        }
        for i in 0..(*list).length as usize {
            let item: *mut pg_sys::PlanInvalItem = (*(*list).elements.add(i)).ptr_value.cast();
            if Target::from_mark((*item).cacheId, pg_sys::InvalidOid).is_some() {
                return false;
            }
            examined |= (*item).cacheId == EXAMINED;
        }
    }
    examined
}

/// Can a query change rows that are there? Cheap: it is asked for every query that is planned.
///
/// # Safety
/// `query` must be a valid query.
pub unsafe fn changes_rows(query: *mut pg_sys::Query) -> bool {
    // SAFETY: as promised by the caller.
    unsafe {
        (*query).hasModifyingCTE
            || matches!(
                (*query).commandType,
                pg_sys::CmdType::CMD_DELETE
                    | pg_sys::CmdType::CMD_UPDATE
                    | pg_sys::CmdType::CMD_MERGE
            )
    }
}

/// The statement and its targets, if it can touch every row of a table.
///
/// # Safety
/// `query` must be a valid query descriptor for which [`concerns`] holds.
pub unsafe fn capture(query: *mut pg_sys::QueryDesc) -> Option<(Statement, Vec<Target>)> {
    // SAFETY: the plan, its lists and the source text belong to the descriptor.
    unsafe {
        let plan = (*query).plannedstmt;
        let source = (*query).sourceText;
        let text = reader::slice(source, (*plan).stmt_location, (*plan).stmt_len);
        let marks: Vec<(c_int, u32)> = items::<pg_sys::PlanInvalItem>((*plan).invalItems)
            .into_iter()
            .map(|i| ((*i).cacheId, (*i).hashValue))
            .collect();
        let targets: Vec<Target> = if marks.iter().any(|m| m.0 == EXAMINED) {
            marks
                .into_iter()
                .filter_map(|(mark, relation)| Target::from_mark(mark, relation.into()))
                .collect()
        } else {
            from_source(plan, &text)
        };
        if targets.is_empty() || !version::plan_permitted(plan) {
            return None;
        }
        let node = Node::new(plan.cast());
        let mut statement = reader::statement(node, &text);
        statement.body = Body::WholeTableDml {
            targets: targets
                .iter()
                .map(|target| {
                    let address = (pg_sys::RelationRelationId, target.relation, 0);
                    (target.what, super::catalog::identity(address).unwrap_or_default())
                })
                .collect(),
        };
        Some((statement, targets))
    }
}

/// A plan without marks: is one of the DELETE or UPDATE in its source without a WHERE? Then every
/// relation that the plan changes counts.
unsafe fn from_source(plan: *mut pg_sys::PlannedStmt, text: &str) -> Vec<Target> {
    let Ok(text) = std::ffi::CString::new(text) else { return Vec::new() };
    // SAFETY: the text was parsed by this server before; its raw statements are walked by tag.
    unsafe {
        let mut what = None;
        for raw in items::<pg_sys::RawStmt>(pg_sys::pg_parse_query(text.as_ptr())) {
            what = what.or(unrestricted((*raw).stmt));
        }
        let Some(what) = what else { return Vec::new() };
        let entries: Vec<*mut pg_sys::RangeTblEntry> = items((*plan).rtable);
        let list = (*plan).resultRelations;
        if list.is_null() {
            return Vec::new();
        }
        (0..(*list).length as usize)
            .filter_map(|i| usize::try_from((*(*list).elements.add(i)).int_value).ok())
            .filter_map(|index| entries.get(index.wrapping_sub(1)))
            .map(|entry| Target { what, relation: (**entry).relid, inherits: (**entry).inh })
            .collect()
    }
}

unsafe fn unrestricted(stmt: *mut pg_sys::Node) -> Option<WholeTable> {
    // SAFETY: the casts follow the tags.
    unsafe {
        let (with, own) = match (*stmt).type_ {
            pg_sys::NodeTag::T_DeleteStmt => {
                let s = &*stmt.cast::<pg_sys::DeleteStmt>();
                (s.withClause, s.whereClause.is_null().then_some(WholeTable::Delete))
            }
            pg_sys::NodeTag::T_UpdateStmt => {
                let s = &*stmt.cast::<pg_sys::UpdateStmt>();
                (s.withClause, s.whereClause.is_null().then_some(WholeTable::Update))
            }
            pg_sys::NodeTag::T_InsertStmt => {
                ((*stmt.cast::<pg_sys::InsertStmt>()).withClause, None)
            }
            pg_sys::NodeTag::T_SelectStmt => {
                ((*stmt.cast::<pg_sys::SelectStmt>()).withClause, None)
            }
            _ => return None,
        };
        if own.is_some() || with.is_null() {
            return own;
        }
        items::<pg_sys::CommonTableExpr>((*with).ctes)
            .into_iter()
            .find_map(|cte| unrestricted((*cte).ctequery))
    }
}
