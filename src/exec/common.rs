//! What several expressions over the same records have in common, be they of one query or of several: it is evaluated once.
//!
//! An expression that is always evaluated counts, wherever it stands; the branches of a CASE and the like do not, as they are
//! for some of the rows only. What counts twice for the same rows is evaluated before the runs take these: for those rows
//! that have passed the filter that all of its runs have, or for all rows, if it is evaluated for all of them anyway. Wherever
//! else it stands its values are taken from there, if there was no fault among them.

use std::ops::Range;

use bumpalo::Bump;

use super::shared_scan::number_paths;
use crate::expr::{Columns, CommonPlaces, CommonValues, Condition, Expr, Frame, Known, Origin, Outcome};
use crate::plan::{Body, Extension, Fields, Plan, Projection};

/// What runs over the same records have in common.
pub(super) struct Common {
    /// In the order in which they are evaluated. They are not changed any more, as `places` has to do with where they stand.
    steps: Vec<Step>,
    places: CommonPlaces,
}

/// Something that is evaluated once.
enum Step {
    /// A filter, which several runs have.
    Filter(Condition),
    /// An expression, for the rows that have passed the filter of this number, or for all.
    Values(Expr, Option<usize>),
}

/// An expression and how often it is evaluated.
struct Use {
    expr: Expr,
    count: usize,
}

impl Common {
    /// What a plan has in common with itself, of rows that it puts something beside; of others that is known when they come.
    pub(super) fn within(plan: &Plan) -> Option<Common> {
        if is_of_records_alone(plan) { None } else { Common::find(&[(plan, &[])]) }
    }

    /// What several plans have in common that take the same records, of those that put nothing beside them.
    pub(super) fn among<'p>(plans: impl Iterator<Item = &'p Plan>) -> Option<Common> {
        let plans: Vec<&Plan> = plans.collect();
        let mut paths = Vec::new();
        let columns: Vec<Vec<usize>> = plans.iter().map(|plan| number_paths(&plan.paths, &mut paths)).collect();
        Common::among_numbered(plans.iter().copied().zip(columns.iter().map(Vec::as_slice)))
    }

    /// The same. With each plan comes for each of its paths the number that the path has among those of all.
    pub(super) fn among_numbered<'p>(plans: impl Iterator<Item = (&'p Plan, &'p [usize])>) -> Option<Common> {
        let plans: Vec<_> = plans.filter(|(plan, _)| is_of_records_alone(plan)).collect();
        Common::find(&plans)
    }

    /// Finds what there is for the same rows; `None` if there is nothing. Columns that have no number keep theirs.
    fn find(plans: &[(&Plan, &[usize])]) -> Option<Common> {
        let plans: Vec<Asked> = plans.iter().map(|(plan, columns)| Asked::of(plan, columns)).collect();
        let mut common = Common { steps: steps(&plans), places: CommonPlaces::default() };
        if common.steps.is_empty() {
            return None;
        }
        plans.iter().for_each(|asked| common.note_places(asked));
        let Common { steps, places } = &mut common;
        for (number, step) in steps.iter().enumerate() {
            let (Step::Values(expr, _) | Step::Filter(Condition { expr, .. })) = step;
            let filter = if let Step::Values(_, filter) = step { *filter } else { None };
            expr.visit(&mut |below| {
                let earlier = steps[..number].iter().position(|step| step.is(below, filter));
                if let Some(earlier) = earlier {
                    places.insert(below, earlier);
                }
            });
        }
        Some(common)
    }

    /// Notes where in a plan what is known can be used.
    fn note_places(&mut self, asked: &Asked<'_>) {
        let Asked { plan, columns, filter: own, .. } = asked;
        let is_own = |step: &Step| matches!((step, own), (Step::Filter(filter), Some(own)) if filter == own);
        let filter = self.steps.iter().position(is_own);
        let Common { steps, places } = self;
        let mut note = |expr: &Expr, filter: Option<usize>| {
            expr.visit(&mut |expr| {
                let same = renumbered(expr, columns);
                if let Some(number) = steps.iter().position(|step| step.is(&same, filter)) {
                    places.insert(expr, number);
                }
            });
        };
        exprs_over_records(plan).into_iter().for_each(|expr| note(expr, filter));
        match (&plan.filter, filter) {
            (Some(own), None) => note(&own.expr, None),
            (Some(own), Some(number)) => self.places.insert(&own.expr, number),
            (None, _) => {}
        }
    }

    /// Evaluates it for a portion of rows, in rising order.
    pub(super) fn eval<'a>(
        &'a self,
        arena: &'a Bump,
        columns: Columns<'a>,
        rows: Range<u32>,
        origin: Origin<'a>,
    ) -> CommonValues<'a> {
        let all: &[u32] = arena.alloc_slice_fill_iter(rows);
        let mut known: Vec<Option<Known<'a>>> = Vec::with_capacity(self.steps.len());
        let mut values = CommonValues { places: &self.places, known: &[] };
        for step in &self.steps {
            let frame = Frame::new(arena, columns, origin).with_common(Some(values));
            let found = match step {
                Step::Filter(filter) => {
                    let mut selected = Vec::new();
                    filter.select(&frame, all, &mut selected);
                    Some(Known { rows: all, outcome: Outcome::Selected(arena.alloc_slice_copy(&selected)) })
                }
                Step::Values(expr, filter) => {
                    let rows = match filter.map(|filter| known[filter]) {
                        None => Some(all),
                        Some(Some(Known { outcome: Outcome::Selected(selected), .. })) => Some(selected),
                        Some(_) => None,
                    };
                    rows.map(|rows| Known { rows, outcome: Outcome::Values(expr.eval(&frame, rows)) })
                }
            };
            // Faults belong to those who ask.
            known.push(found.filter(|_| frame.take_faults().is_empty()));
            values.known = arena.alloc_slice_copy(&known);
        }
        values
    }

    /// The filters and the expressions, as in a query.
    pub(super) fn texts(&self) -> (Vec<String>, Vec<String>) {
        let (mut filters, mut exprs) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match step {
                Step::Filter(filter) => filters.push(format!("where {}", filter.expr)),
                Step::Values(expr, _) => exprs.push(expr.to_string()),
            }
        }
        (filters, exprs)
    }
}

impl Step {
    /// Whether these are the values of an expression for rows that have passed the filter of this number.
    fn is(&self, other: &Expr, filter: Option<usize>) -> bool {
        matches!(self, Step::Values(expr, own) if (own.is_none() || *own == filter) && expr == other)
    }
}

/// Whether a plan puts nothing beside the records that it takes.
fn is_of_records_alone(plan: &Plan) -> bool {
    plan.steps.is_empty() && plan.firsts.is_empty()
}

/// What is evaluated once: expressions for all rows, then filters, then expressions for what these leave.
fn steps(plans: &[Asked<'_>]) -> Vec<Step> {
    let mut filters: Vec<&Condition> = Vec::new();
    for filter in plans.iter().filter_map(|asked| asked.filter.as_ref()) {
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    let mut of_all = Vec::new();
    for filter in &filters {
        // Of a filter only the first part is asked of all rows.
        let mut first = &filter.expr;
        while let Expr::And(left, ..) = first {
            first = left;
        }
        add(&mut of_all, &mut [], first, false);
    }
    for asked in plans.iter().filter(|asked| asked.filter.is_none()) {
        asked.add(&mut of_all, &mut []);
    }
    let mut of_filters = Vec::new();
    for filter in filters {
        let (mut uses, mut runs) = (Vec::new(), 0);
        for asked in plans.iter().filter(|asked| asked.filter.as_ref() == Some(filter)) {
            runs += 1;
            asked.add(&mut uses, &mut of_all);
        }
        if runs > 1 || uses.iter().any(|found| found.count > 1) {
            of_filters.push((filter, uses));
        }
    }
    let values = |mut uses: Vec<Use>, filter: Option<usize>| {
        uses.retain(|found| found.count > 1);
        // What others are made of comes before them.
        uses.sort_by_cached_key(|found| size(&found.expr));
        uses.into_iter().map(move |found| Step::Values(found.expr, filter))
    };
    let mut steps: Vec<Step> = values(of_all, None).collect();
    for (filter, uses) in of_filters {
        let number = steps.len();
        steps.push(Step::Filter(Condition { expr: filter.expr.clone(), site: filter.site.clone() }));
        steps.extend(values(uses, Some(number)));
    }
    steps
}

fn size(expr: &Expr) -> usize {
    let mut size = 0;
    expr.visit(&mut |_| size += 1);
    size
}

/// Counts an expression, and what it is made of when it is met for the first time; among those for more rows, if it is there.
/// `reads` says that a field is read as a whole column of values.
fn add(uses: &mut Vec<Use>, of_more: &mut [Use], expr: &Expr, reads: bool) {
    if is_worth_it(expr, reads) {
        if let Some(known) = of_more.iter_mut().chain(&mut *uses).find(|known| known.expr == *expr) {
            known.count += 1;
            return;
        }
        uses.push(Use { expr: expr.clone(), count: 1 });
    }
    let reads = matches!(expr, Expr::Arithmetic { .. });
    expr.always_evaluated().into_iter().for_each(|child| add(uses, of_more, child, reads));
}

/// Whether it costs more to evaluate an expression than to look its values up.
fn is_worth_it(expr: &Expr, reads: bool) -> bool {
    let is_plain = |expr: &&Expr| matches!(expr, Expr::Field { .. } | Expr::Literal(_));
    match expr {
        Expr::Field { .. } => reads,
        Expr::Literal(_) | Expr::Column(_) | Expr::Virtual { .. } | Expr::Exists(_) | Expr::SortKey(_) => false,
        Expr::And(..) | Expr::Or(..) | Expr::Not(..) => false,
        Expr::Compare { .. } | Expr::In { .. } | Expr::IsNull { .. } | Expr::IsBool { .. } => {
            !expr.children().iter().all(is_plain)
        }
        _ => expr.any(&|below| matches!(below, Expr::Field { .. })),
    }
}

/// An expression with other numbers of columns.
fn renumbered(expr: &Expr, columns: &[usize]) -> Expr {
    let mut expr = expr.clone();
    expr.visit_mut(&mut |expr| {
        if let Expr::Field { column, .. } = expr {
            *column = columns.get(*column).copied().unwrap_or(*column);
        }
    });
    expr
}

/// What a plan evaluates of records, with the numbers of columns that all plans have.
struct Asked<'p> {
    plan: &'p Plan,
    columns: &'p [usize],
    filter: Option<Condition>,
    /// What is evaluated for all rows that pass.
    rows: Vec<Expr>,
    /// The same, of aggregates.
    arguments: Vec<Expr>,
}

impl<'p> Asked<'p> {
    fn of(plan: &'p Plan, columns: &'p [usize]) -> Asked<'p> {
        let filter = plan.filter.as_ref();
        let filter =
            filter.map(|filter| Condition { expr: renumbered(&filter.expr, columns), site: filter.site.clone() });
        let mut rows: Vec<&Expr> = plan.partition_by.iter().map(|item| &item.expr).collect();
        let mut arguments: Vec<Expr> = Vec::new();
        match &plan.body {
            Body::Groups(groups) => {
                rows.extend(&groups.grouping.keys);
                for call in groups.grouping.aggregates.iter().filter(|call| call.filter.is_none()) {
                    for argument in call.arguments.iter().map(|argument| renumbered(argument, columns)) {
                        // Equal arguments of the aggregates of a query are evaluated once anyway.
                        if !arguments.contains(&argument) {
                            arguments.push(argument);
                        }
                    }
                }
            }
            Body::Rows(projection) => {
                rows.extend(plan.order.iter().map(|key| &key.expr));
                // Of rows that are not among the first ones nothing is written.
                if plan.order.is_empty() || plan.limit.is_none() {
                    rows.extend(items(projection).filter(|expr| !matches!(expr, Expr::Item { .. })));
                }
            }
        }
        let rows = rows.into_iter().map(|expr| renumbered(expr, columns)).collect();
        Asked { plan, columns, filter, rows, arguments }
    }

    fn add(&self, uses: &mut Vec<Use>, of_more: &mut [Use]) {
        self.rows.iter().for_each(|expr| add(uses, of_more, expr, false));
        self.arguments.iter().for_each(|expr| add(uses, of_more, expr, true));
    }
}

/// All expressions of a plan over the records that pass its filter.
fn exprs_over_records(plan: &Plan) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = plan.partition_by.iter().map(|item| &item.expr).collect();
    match &plan.body {
        Body::Groups(groups) => {
            exprs.extend(&groups.grouping.keys);
            for call in &groups.grouping.aggregates {
                exprs.extend(&call.arguments);
                exprs.extend(call.filter.as_ref().map(|filter| &filter.expr));
            }
        }
        Body::Rows(projection) => {
            exprs.extend(plan.order.iter().map(|key| &key.expr));
            exprs.extend(items(projection));
        }
    }
    exprs
}

fn items(projection: &Projection) -> impl Iterator<Item = &Expr> {
    let items = match projection {
        Projection::Record => &[],
        Projection::Extended(Extension { items, .. })
        | Projection::Fields(Fields { items, .. })
        | Projection::Columns(items) => items.as_slice(),
    };
    items.iter().map(|item| &item.expr)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::expr::CellColumn;
    use crate::scan::{Batch, Limits, Scanner};

    /// What some queries have in common, in words.
    fn found(queries: &[&str]) -> Vec<String> {
        let plans: Vec<Plan> = queries.iter().map(|query| crate::sql::plan(query).unwrap()).collect();
        let (filters, exprs) = Common::among(plans.iter()).map_or_else(Default::default, |common| common.texts());
        [filters, exprs].concat()
    }

    #[test]
    fn finds_what_is_evaluated_more_than_once() {
        let none: [&str; 0] = [];
        assert_eq!(found(&["select date(t) as d, count(*) from input group by d"]), none);
        assert_eq!(found(&["select sum(a), avg(a), min(a) from input"]), none);
        assert_eq!(found(&["select sum(a * b) as s, avg(1 + a * b) as m from input"]), ["a * b"]);
        assert_eq!(
            found(&["select date(t), count(*) from input group by all", "select max(date(t)) from input"]),
            ["date(t)"]
        );
        // What is within is not evaluated any more where the whole is known.
        assert_eq!(
            found(&["select sum(length(upper(t))) from input", "select max(length(upper(t))) from input"]),
            ["length(upper(t))"]
        );
        assert_eq!(
            found(&[
                "select sum(length(upper(t))), max(upper(t)) from input",
                "select max(length(upper(t))) from input"
            ]),
            ["upper(t)", "length(upper(t))"]
        );
        // For those rows that both have.
        assert_eq!(
            found(&["select sum(a + 1) from input where b > 1", "select max(a + 1) from input where b > 1"]),
            ["where b > 1", "a + 1"]
        );
        assert_eq!(found(&["select sum(a + 1) from input where b > 1", "select max(a + 1) from input"]), ["a + 1"]);
        assert_eq!(
            found(&["select sum(a + 1) from input where b > 1", "select max(a + 1) from input where b > 2"]),
            none
        );
        assert_eq!(
            found(&["select sum(case when b then a + 1 else 2 end) from input", "select max(a + 1) from input"]),
            none
        );
    }

    const EXPRESSIONS: [&str; 12] = [
        "a * b",
        "a * b + 1",
        "a",
        "decimal(a, 10, 2)",
        "coalesce(try_cast(a as decimal(18, 2)), a)",
        "upper(c)",
        "c || upper(c)",
        "cast(c as int)",
        "case when a > b then a * b else length(c) end",
        "case when c = 'x' then 1 else 2 end",
        "1 / (a - 1)",
        "b is null or a * b > 3",
    ];
    const FILTERS: [&str; 5] =
        ["", " where a > 1", " where a * b > 1 and upper(c) = 'X'", " where c = 'x'", " where b"];

    fn record() -> impl Strategy<Value = String> {
        let value =
            prop::sample::select(vec!["1", "2", "1.5", "null", "\"x\"", "\"Yy\"", "\"7\"", "-3", "true", "12.25"]);
        let number = prop::sample::select(vec!["1", "2", "3", "1.5", "-2"]);
        // Values of all kinds in some records only, or there would be faults everywhere.
        (number.clone(), number, prop::sample::select(vec!["x", "y", "12"]), prop::option::weighted(0.02, value))
            .prop_map(|(a, b, c, odd)| match odd {
                Some(odd) => format!("{{\"a\":{odd},\"b\":{b},\"c\":{odd}}}\n"),
                None => format!("{{\"a\":{a},\"b\":{b},\"c\":\"{c}\"}}\n"),
            })
    }

    /// What a plan makes of records, and the faults in that.
    fn answer<'a>(
        plan: &'a Plan,
        arena: &'a Bump,
        columns: Columns<'a>,
        rows: usize,
        common: Option<CommonValues<'a>>,
    ) -> String {
        let frame = Frame::new(arena, columns, Origin::default()).with_common(common);
        let all: Vec<u32> = (0..rows as u32).collect();
        let mut selected = all.clone();
        if let Some(filter) = &plan.filter {
            filter.select(&frame, &all, &mut selected);
        }
        let mut out = format!("{selected:?}");
        // In parts, as workers take them.
        for part in selected.chunks(7) {
            for expr in exprs_over_records(plan) {
                let values = expr.eval(&frame, part);
                let values: Vec<_> = (0..part.len()).map(|place| values.get(place)).collect();
                out.push_str(&format!("{values:?}"));
            }
        }
        let mut faults = frame.take_faults();
        faults.sort_by_key(|tally| (tally.site, tally.fault, tally.met));
        format!("{out} {faults:?}")
    }

    proptest! {
        #[test]
        fn what_is_known_is_what_each_would_find(
            records in prop::collection::vec(record(), 0..40),
            queries in prop::collection::vec(
                (prop::sample::subsequence(EXPRESSIONS.to_vec(), 1..4), prop::sample::select(FILTERS.to_vec()), any::<bool>()),
                1..5,
            ),
        ) {
            let lines = records.concat();
            let text = |(expressions, filter, groups): &(Vec<&str>, &str, bool)| match groups {
                false => format!("select {} from input{filter}", expressions.join(", ")),
                true => format!("select max({}) from input{filter}", expressions.join("), max(")),
            };
            let plans: Vec<Plan> = queries.iter().map(|query| crate::sql::plan(&text(query)).unwrap()).collect();
            let mut paths = Vec::new();
            let numbers: Vec<Vec<usize>> = plans.iter().map(|plan| number_paths(&plan.paths, &mut paths)).collect();
            let with_numbers: Vec<_> = plans.iter().zip(numbers.iter().map(Vec::as_slice)).collect();
            let mut batch = Batch::default();
            Scanner::new(&paths, Limits::default()).scan(lines.as_bytes(), &mut batch);
            let arena = Bump::new();
            let bytes = lines.as_bytes();
            let column = |cells: &[_]| CellColumn { bytes, cells: arena.alloc_slice_copy(cells) };
            let all: Vec<CellColumn> = batch.columns.iter().map(|cells| column(cells)).collect();
            let of = |columns| Columns::Records { block: bytes, rows: &batch.rows, columns };
            let common = Common::among_numbered(with_numbers.iter().copied());
            let known = common.as_ref().map(|common| common.eval(&arena, of(&all), 0..batch.rows.len() as u32, Origin::default()));
            for (plan, numbers) in &with_numbers {
                let own: Vec<CellColumn> = numbers.iter().map(|&number| all[number]).collect();
                let own = arena.alloc_slice_copy(&own);
                let (alone, together) = (
                    answer(plan, &arena, of(own), batch.rows.len(), None),
                    answer(plan, &arena, of(own), batch.rows.len(), known),
                );
                prop_assert_eq!(alone, together);
            }
        }
    }
}
