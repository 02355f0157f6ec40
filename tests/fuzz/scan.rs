//! The scanner against the slow reference, on inputs that libFuzzer invents: `tests/fuzz/run`.
//!
//! Each input is a block of JSON Lines. It is checked with several sets of paths, each with one scanner that gets the
//! block whole, in two halves, and whole again, so that what it learned from the first time is tested by the others.
//! `FOLDL_SIMD` chooses the kernel.
//!
//! Built as any other example this has a main function of its own, which checks the files that it is given:
//! `FOLDL_SIMD=portable cargo run --example fuzz_scan -- FILE…`. With `--cfg libfuzzer` libFuzzer brings the main function.
#![cfg_attr(libfuzzer, no_main)]
#![allow(unsafe_code, reason = "libFuzzer hands out pointers, and guard pages are made by the system's C function")]

#[path = "../../src/scan/naive.rs"]
mod naive;

use std::ffi::{c_int, c_void};
use std::ops::Deref;
use std::sync::LazyLock;

use foldl::scan::{Batch, Cell, Kind, Limits, Path, Reason, Reject, Scanner, Span, Step};
use memmap2::MmapMut;

/// What libFuzzer calls with each input.
///
/// # Safety
/// There are `len` bytes at `data`.
#[cfg(libfuzzer)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, len: usize) -> c_int {
    // SAFETY: by the precondition; a slice of no bytes must not be made of a null pointer.
    let block = if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } };
    // A panic must not unwind into libFuzzer, which learns of it by the signal.
    match std::panic::catch_unwind(|| check(block)) {
        Ok(()) => 0,
        Err(_) => std::process::abort(),
    }
}

#[cfg(not(libfuzzer))]
fn main() -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        check(&std::fs::read(&file)?);
        println!("{} agrees", file.display());
    }
    Ok(())
}

/// Panics if the scanner and the reference differ on the block.
fn check(block: &[u8]) {
    static SETS: LazyLock<Vec<(Vec<Path>, Limits)>> = LazyLock::new(sets);
    // Half of the lines: from the newline that is nearest to the middle, or none and all.
    let newlines = || (0..block.len()).filter(|&at| block[at] == b'\n').map(|at| at + 1);
    let middle = newlines().min_by_key(|at| at.abs_diff(block.len() / 2)).unwrap_or(0);
    let blocks = [block, &block[..middle], &block[middle..]].map(Guarded::new);
    for (paths, limits) in SETS.iter() {
        let expected = blocks.each_ref().map(|block| naive::scan(block, paths, *limits));
        let mut scanner = Scanner::new(paths, *limits);
        let mut batch = Batch::default();
        let mut first = None;
        for round in [0, 1, 2, 0] {
            scanner.scan(&blocks[round], &mut batch);
            compare(&batch, &expected[round], &blocks[round]);
            first.get_or_insert_with(|| batch.rejects.clone());
        }
        // Reasons and places, of which the reference knows nothing.
        assert_eq!(first, Some(batch.rejects), "what was learned changes why a line is rejected");
    }
}

fn compare(found: &Batch, expected: &Batch, block: &[u8]) {
    let rejected = |batch: &Batch| {
        let rejects = batch.rejects.iter();
        rejects.map(|reject| (reject.line, reject.span, reject.reason == Reason::TooLong)).collect::<Vec<_>>()
    };
    let shown = || String::from_utf8_lossy(block);
    assert_eq!(found.lines, expected.lines, "lines of {:?}", shown());
    assert_eq!(found.rows, expected.rows, "records of {:?}", shown());
    assert_eq!(rejected(found), rejected(expected), "rejected lines of {:?}", shown());
    assert_eq!(found.columns, expected.columns, "cells of {:?}", shown());
    for reject in &found.rejects {
        assert!(reject.at <= reject.span.end - reject.span.start, "{reject:?} lies in its line, in {:?}", shown());
    }
}

/// Paths and limits: those of the seeds' records, short ones that mutations hit, and the whole record, tightly limited.
fn sets() -> Vec<(Vec<Path>, Limits)> {
    let tight = Limits { max_depth: 4, max_line: 150 };
    let sets: [(&[&str], Limits); 3] = [
        (
            &["status", "orderDate", "price", "commit/record/subject", "commit/record/$type", "tags/1", "attributes"],
            Limits::default(),
        ),
        (&["a", "a/b", "a/0", "b", "a/b/1/b", "é", "a\"b", "0/1", "x"], Limits::default()),
        (&["", "a", "quantity", "commit/operation"], tight),
    ];
    sets.map(|(paths, limits)| (paths.iter().map(|path| path_of(path)).collect(), limits)).into()
}

/// The path whose steps stand between slashes; numbers are indices.
fn path_of(text: &str) -> Path {
    let steps = text.split('/').filter(|step| !step.is_empty());
    Path { steps: steps.map(|step| step.parse().map_or_else(|_| Step::Key(step.into()), Step::Index)).collect() }
}

/// A copy of some bytes that ends where a page begins that cannot be read, so that reading on ends the process.
struct Guarded {
    pages: MmapMut,
    start: usize,
    len: usize,
}

/// The size of a page, or a multiple of it.
const PAGE: usize = 1 << 16;

impl Guarded {
    fn new(bytes: &[u8]) -> Guarded {
        let readable = bytes.len().next_multiple_of(PAGE);
        let mut pages = MmapMut::map_anon(readable + PAGE).expect("there is memory for an input");
        let start = readable - bytes.len();
        pages[start..readable].copy_from_slice(bytes);
        // SAFETY: the last `PAGE` bytes of the mapping are whole pages of it, and nothing refers to them.
        let failed = unsafe { mprotect(pages.as_mut_ptr().add(readable).cast(), PAGE, 0) };
        assert_eq!(failed, 0, "a page can be made unreadable");
        Guarded { pages, start, len: bytes.len() }
    }
}

impl Deref for Guarded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` and `len` are those of the bytes in front of the guard. A slice of the mapping itself would
        // span the guard, too.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().add(self.start), self.len) }
    }
}

unsafe extern "C" {
    /// Of the C library; a protection of 0 forbids everything.
    fn mprotect(start: *mut c_void, len: usize, protection: c_int) -> c_int;
}
