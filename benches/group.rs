//! How fast rows find their groups: `cargo bench --bench group`. The items of the throughput are rows.
//!
//! The blocks are scanned beforehand, and the only aggregate is `count(*)`, so that what is measured is the lookup of
//! [`GroupTable`]: keys that are compared with those already known, encoded, hashed and interned.
//!
//! | benchmark | what is measured |
//! | --- | --- |
//! | `text_keys` | groups that are there already, from a few, which stay in the cache, to as many as there are rows |
//! | `integer_keys` | the same with keys that need no copy of their text |
//! | `two_keys` | the same with keys of a text and an integer |
//! | `new_groups` | rows that make a group each: interning and growing |

use bumpalo::Bump;
use divan::{Bencher, counter::ItemsCount};
use foldl::expr::{CellColumn, Columns, Frame, Origin};
use foldl::group::{GroupTable, Grouping};
use foldl::memory::Budget;
use foldl::plan::{Body, Plan};
use foldl::scan::{Batch, Limits, Scanner};
use foldl::spill::Space;

fn main() {
    divan::main();
}

const ROWS: usize = 1 << 17;
/// The rows of a block, as many as a block of usual size has.
const BLOCK_ROWS: usize = 1 << 12;
const GROUPS: [u64; 4] = [4, 1000, 30_000, ROWS as u64];

/// The same random-looking number below a limit for the same row (SplitMix64).
fn below(row: usize, limit: u64) -> u64 {
    let mut z = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % limit
}

/// A query, and scanned blocks of the lines that it is put to.
struct Input {
    plan: Plan,
    blocks: Vec<(String, Batch)>,
}

impl Input {
    /// The query counts the rows of each value of `keys`; `line` makes the line of a row.
    fn new(keys: &str, line: impl Fn(usize) -> String) -> Input {
        let plan = foldl::sql::plan(&format!("select {keys}, count(*) group by {keys}")).expect("the query is right");
        let mut scanner = Scanner::new(&plan.paths, Limits::default());
        let blocks = (0..ROWS).step_by(BLOCK_ROWS).map(|start| {
            let block: String = (start..start + BLOCK_ROWS).map(|row| line(row) + "\n").collect();
            let mut batch = Batch::default();
            scanner.scan(block.as_bytes(), &mut batch);
            assert_eq!(batch.rows.len(), BLOCK_ROWS);
            (block, batch)
        });
        Input { blocks: blocks.collect(), plan }
    }

    fn grouping(&self) -> &Grouping {
        match &self.plan.body {
            Body::Groups(groups) => &groups.grouping,
            Body::Rows(_) => panic!("the query groups"),
        }
    }

    fn table(&self) -> GroupTable {
        GroupTable::new(self.grouping(), &Budget::new(1 << 30), &Space::new(std::env::temp_dir(), None))
            .expect("the grouping is right")
    }

    /// Puts all rows into a table.
    fn update(&self, table: &mut GroupTable) {
        let mut arena = Bump::new();
        let rows: Vec<u32> = (0..BLOCK_ROWS as u32).collect();
        for (block, batch) in &self.blocks {
            arena.reset();
            let columns: Vec<CellColumn> =
                batch.columns.iter().map(|cells| CellColumn { bytes: block.as_bytes(), cells }).collect();
            let columns = Columns::Records { block: block.as_bytes(), rows: &batch.rows, columns: &columns };
            let frame = Frame::new(&arena, columns, Origin::default());
            table.update(self.grouping(), &frame, &rows).expect("there is memory");
        }
    }

    /// Measures rows whose groups are all there.
    fn measure_known(&self, bencher: Bencher) {
        let mut table = self.table();
        self.update(&mut table);
        bencher.counter(ItemsCount::new(ROWS)).bench_local(|| self.update(divan::black_box(&mut table)));
    }
}

#[divan::bench(args = GROUPS)]
fn text_keys(bencher: Bencher, groups: u64) {
    Input::new("a", |row| format!("{{\"a\":\"user-{:06}\"}}", below(row, groups))).measure_known(bencher);
}

#[divan::bench(args = GROUPS)]
fn integer_keys(bencher: Bencher, groups: u64) {
    Input::new("a", |row| format!("{{\"a\":{}}}", below(row, groups))).measure_known(bencher);
}

#[divan::bench(args = GROUPS)]
fn two_keys(bencher: Bencher, groups: u64) {
    let line = |row| {
        let group = below(row, groups);
        format!("{{\"a\":\"city-{:04}\",\"b\":{}}}", group / 2, group % 2)
    };
    Input::new("a, b", line).measure_known(bencher);
}

#[divan::bench]
fn new_groups(bencher: Bencher) {
    let input = Input::new("a", |row| format!("{{\"a\":\"user-{row:06}\"}}"));
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(|| input.table()).bench_local_values(|mut table| {
        input.update(&mut table);
        // Given back, so that dropping it is not measured.
        table
    });
}
