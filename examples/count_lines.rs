//! Counts newlines, and does nothing else with the bytes: the least time in which anything could read the lines.
//!
//! ```text
//! cargo run --release --example count_lines -- 2 fixtures/orders.jsonl
//! ```
//!
//! The first argument is the number of threads. Compressed files are decompressed on the way.

use std::thread;

use foldl::Result;
use foldl::input::{Block, Input, InputOptions, expand};

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.len() < 2 {
        eprintln!("usage: count_lines THREADS FILE...");
        std::process::exit(2);
    }
    let threads: usize = arguments.remove(0).parse().unwrap_or(1);
    let input = Input::open(expand(&arguments)?, InputOptions::default())?;
    let counts: Vec<Result<usize>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(|| count(&input))).collect();
        workers.into_iter().map(|worker| worker.join().expect("counting does not panic")).collect()
    });
    let lines = counts.into_iter().sum::<Result<usize>>()?;
    println!("{lines}");
    Ok(())
}

/// The newlines of the blocks that fall to one worker.
fn count(input: &Input) -> Result<usize> {
    let mut block = Block::new();
    let mut lines = 0;
    while input.next(&mut block)? {
        lines += memchr::memchr_iter(b'\n', block.bytes()).count();
    }
    Ok(lines)
}
