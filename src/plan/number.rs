//! Numbers: the columns of fields and the places where faults are counted.

use super::{Body, Extension, Fields, FirstOf, Plan, Projection, Source, Step};
use crate::expr::{Condition, Expr, Of, Site};
use crate::scan::{self, Path};

impl Plan {
    /// Numbers the paths and the sites of all expressions, and spares the queries within what it can. To be
    /// called when the plan is complete.
    ///
    /// Columns are those of the record's paths, then those of each step's, then the firsts.
    pub(crate) fn numbered(mut self) -> Plan {
        self.merge_query();
        self.narrow_queries();
        self.number();
        self
    }

    pub(super) fn number(&mut self) {
        self.early = self.early_filter();
        let mut paths: Vec<Vec<Path>> = vec![Vec::new(); self.steps.len() + 1];
        let records = self.records();
        let mut firsts: Vec<FirstOf> = Vec::new();
        let mut add = |source: usize, path: Path| {
            if !paths[source].contains(&path) {
                paths[source].push(path);
            }
        };
        self.visit_exprs(&mut |expr| {
            expr.visit_mut(&mut |expr| match expr {
                Expr::Field { of: Of::One(source), path, .. } => add(*source, path.clone()),
                Expr::Field { of: Of::First(before), path, .. } => {
                    for &record in records.iter().filter(|record| *record < before) {
                        add(record, first_key(path));
                        add(record, path.clone());
                    }
                    if firsts.iter().all(|first| first.before != *before || first.path != *path) {
                        firsts.push(FirstOf { before: *before, path: path.clone(), candidates: Vec::new() });
                    }
                }
                _ => {}
            });
        });
        let column = |source: usize, path: &Path| {
            let before = paths[..source].iter().map(Vec::len).sum::<usize>();
            before + paths[source].iter().position(|known| known == path).unwrap_or(0)
        };
        for first in &mut firsts {
            let asked = records.iter().filter(|record| **record < first.before);
            let columns = |&record: &usize| (column(record, &first_key(&first.path)), column(record, &first.path));
            first.candidates = asked.map(columns).collect();
        }
        let all = paths.iter().map(Vec::len).sum::<usize>();
        let joined = self.joined_sources();
        let mut sites = Vec::new();
        let mut number_site = |site: &mut Site| {
            site.id = sites.len();
            sites.push(site.clone());
        };
        let mut visit = |expr: &mut Expr| {
            match expr {
                Expr::Field { of: Of::One(source), path, column: own } => *own = column(*source, path),
                Expr::Field { of: Of::First(before), path, column } => {
                    let is_it = |first: &FirstOf| first.before == *before && first.path == *path;
                    *column = all + firsts.iter().position(is_it).unwrap_or(0);
                }
                _ => {}
            }
            let of = joined.of(expr);
            if let Some(site) = expr.site_mut() {
                site.joined = of;
                number_site(site);
            }
        };
        self.visit_exprs(&mut |expr| expr.visit_mut(&mut visit));
        self.visit_sites(&mut |site, exprs| {
            site.joined = joined.of_all(exprs);
            number_site(site);
        });
        let mut paths = paths.into_iter();
        self.paths = paths.next().unwrap_or_default();
        for (step, paths) in self.steps.iter_mut().zip(paths) {
            *step.paths_mut() = paths;
        }
        self.firsts = firsts;
        self.sites = sites;
        self.watch_types();
    }

    /// The sources that are records, in the order in which names are looked up in them.
    pub(super) fn records(&self) -> Vec<usize> {
        let joined = self.steps.iter().zip(1..).filter(|(step, _)| step.adds_records()).map(|(_, number)| number);
        let mut records: Vec<usize> = std::iter::once(0).chain(joined).collect();
        if self.exchanged {
            records.reverse();
        }
        records
    }

    /// Says which paths are watched for values of other types: those of files, also where they are the side of a join. The
    /// rows of queries are made of what these have watched.
    fn watch_types(&mut self) {
        let typed = super::typed::typed_columns(self);
        let is_read = |source: &Source| !matches!(source, Source::Queries { .. });
        let (own, mut rest) = typed.split_at(self.paths.len());
        self.typed_paths = match is_read(&self.source) {
            true => (0..own.len()).filter(|&path| own[path]).collect(),
            false => Vec::new(),
        };
        for step in &mut self.steps {
            let (own, others) = rest.split_at(step.paths().len());
            rest = others;
            if let Step::Join(join) = step
                && is_read(&join.side.source)
            {
                join.side.paths =
                    join.paths.iter().zip(own).filter(|(_, typed)| **typed).map(|(path, _)| path.clone()).collect();
                join.side.typed_paths = (0..join.side.paths.len()).collect();
                join.side.only_watches = true;
            }
        }
    }

    pub(super) fn visit_exprs(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        for step in &mut self.steps {
            match step {
                Step::Unnest(unnest) => visit(&mut unnest.array),
                Step::Join(join) => {
                    join.left.iter_mut().chain(&mut join.right).for_each(&mut *visit);
                    join.condition.iter_mut().for_each(|condition| visit(&mut condition.expr));
                }
            }
        }
        self.filter.iter_mut().chain(&mut self.early).for_each(|condition| visit(&mut condition.expr));
        match &mut self.body {
            Body::Rows(Projection::Record) => {}
            Body::Rows(Projection::Extended(Extension { records, items, asked, .. })) => {
                let items = items.iter_mut().map(|item| &mut item.expr);
                records.iter_mut().flatten().chain(items).chain(asked).for_each(&mut *visit);
            }
            Body::Rows(Projection::Fields(Fields { fields, items, asked })) => {
                let items = fields.iter_mut().chain(items).map(|item| &mut item.expr);
                items.chain(asked).for_each(&mut *visit);
            }
            Body::Rows(Projection::Columns(items)) => items.iter_mut().for_each(|item| visit(&mut item.expr)),
            Body::Groups(groups) => {
                groups.grouping.keys.iter_mut().for_each(&mut *visit);
                for call in &mut groups.grouping.aggregates {
                    call.arguments.iter_mut().for_each(&mut *visit);
                    call.filter.iter_mut().for_each(|condition| visit(&mut condition.expr));
                }
                groups.having.iter_mut().for_each(|condition| visit(&mut condition.expr));
                groups.items.iter_mut().for_each(|item| visit(&mut item.expr));
            }
        }
        self.order.iter_mut().for_each(|key| visit(&mut key.expr));
        self.partition_by.iter_mut().for_each(|item| visit(&mut item.expr));
    }

    /// The sites that belong to the plan's own parts, not to an expression, with what is asked there.
    fn visit_sites(&mut self, visit: &mut dyn FnMut(&mut Site, &[Expr])) {
        let condition = |condition: &mut Condition, visit: &mut dyn FnMut(&mut Site, &[Expr])| {
            visit(&mut condition.site, std::slice::from_ref(&condition.expr));
        };
        for step in &mut self.steps {
            match step {
                Step::Unnest(unnest) => visit(&mut unnest.site, std::slice::from_ref(&unnest.array)),
                Step::Join(join) => join.condition.iter_mut().for_each(|own| condition(own, visit)),
            }
        }
        self.filter.iter_mut().chain(&mut self.early).for_each(|own| condition(own, visit));
        if let Body::Groups(groups) = &mut self.body {
            groups.having.iter_mut().for_each(|own| condition(own, visit));
            for call in &mut groups.grouping.aggregates {
                visit(&mut call.site, &call.arguments);
                visit(&mut call.result_site, &[]);
                call.filter.iter_mut().for_each(|own| condition(own, visit));
            }
        }
    }

    /// Which sources are joined records, or elements of these.
    fn joined_sources(&mut self) -> JoinedSources {
        let mut nodes = 0;
        self.visit_exprs(&mut |expr| expr.visit_mut(&mut |_| nodes += 1));
        let mut joined = JoinedSources { names: vec![None], looks: false };
        for step in &self.steps {
            joined.looks |= matches!(step, Step::Join(_)) && nodes <= MOST_NODES;
            let name = match step {
                Step::Join(join) => Some(join.name.clone()),
                Step::Unnest(unnest) => joined.of(&unnest.array),
            };
            joined.names.push(name);
        }
        joined
    }
}

/// The most nodes of expressions for which it is looked up of what records they are: each may be looked at once for every
/// node above it.
const MOST_NODES: usize = 2000;

/// For each source what the joined records are called which it is, or is of; none for what is of the record of FROM.
struct JoinedSources {
    names: Vec<Option<String>>,
    /// Whether there is anything to be found.
    looks: bool,
}

impl JoinedSources {
    /// What the joined records are called that an expression is over, if it is over those of one source alone.
    fn of(&self, expr: &Expr) -> Option<String> {
        self.of_all(std::slice::from_ref(expr))
    }

    fn of_all(&self, exprs: &[Expr]) -> Option<String> {
        if !self.looks {
            return None;
        }
        let mut found: Vec<Option<String>> = Vec::new();
        for expr in exprs {
            expr.clone().visit_mut(&mut |expr| match expr {
                Expr::Field { of: Of::One(source), .. } => found.push(self.names.get(*source).cloned().flatten()),
                Expr::Field { .. } | Expr::Virtual { .. } => found.push(None),
                _ => {}
            });
        }
        let first = found.first()?.clone();
        first.filter(|_| found.windows(2).all(|pair| pair[0] == pair[1]))
    }
}

impl Step {
    /// Whether what is put beside the rows are records, whose fields can be named without saying of what they are.
    fn adds_records(&self) -> bool {
        matches!(self, Step::Join(join) if join.kind.adds_records())
    }

    /// The paths that are extracted, each once.
    pub fn paths(&self) -> &[Path] {
        match self {
            Step::Unnest(unnest) => &unnest.paths,
            Step::Join(join) => &join.paths,
        }
    }

    fn paths_mut(&mut self) -> &mut Vec<Path> {
        match self {
            Step::Unnest(unnest) => &mut unnest.paths,
            Step::Join(join) => &mut join.paths,
        }
    }
}

/// The path to the key of a record that a path begins with.
fn first_key(path: &Path) -> Path {
    Path { steps: path.steps.iter().take(1).cloned().collect::<Vec<scan::Step>>() }
}
