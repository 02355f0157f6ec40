//! `--stats` and `--stats-json`

use std::path::Path;
use std::time::Duration;

use foldl::error::Place;
use foldl::exec::Summary;
use foldl::map::BatchSummary;
use foldl::output::grouped;
use foldl::{Error, ErrorKind, Result};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use super::units::scaled;

/// What `--stats-json` writes.
#[derive(Serialize)]
struct Stats {
    records_in: u64,
    used: u64,
    filtered: u64,
    rejected: u64,
    rows_out: u64,
    bytes: u64,
    wall_s: f64,
    cpu_s: f64,
    peak_rss: u64,
    reserved_peak: usize,
    spilled_bytes: u64,
    spilled_runs: u64,
    merges: u64,
    block_latency_us: Quantiles,
}

#[derive(Serialize)]
struct Quantiles {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

impl Stats {
    fn of(summary: &Summary) -> Stats {
        let (cpu, peak_rss) = process();
        let latency = &summary.block_latency;
        Stats {
            records_in: summary.records_in,
            used: summary.used,
            filtered: summary.filtered,
            rejected: summary.rejected,
            rows_out: summary.rows_out,
            bytes: summary.bytes,
            wall_s: summary.wall.as_secs_f64(),
            cpu_s: cpu.as_secs_f64(),
            peak_rss,
            reserved_peak: summary.reserved_peak,
            spilled_bytes: summary.spilled.bytes,
            spilled_runs: summary.spilled.runs,
            merges: summary.spilled.merges,
            block_latency_us: Quantiles {
                count: latency.blocks(),
                p50: latency.quantile(0.5),
                p90: latency.quantile(0.9),
                p99: latency.quantile(0.99),
                max: latency.quantile(1.0),
            },
        }
    }
}

/// The processor time that the process has used, and the most memory it had resident, in bytes.
fn process() -> (Duration, u64) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return (Duration::ZERO, 0) };
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
    };
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let max_rss = u64::try_from(usage.max_rss()).unwrap_or(0) * unit;
    (micros(usage.user_time()) + micros(usage.system_time()), resident_peak().unwrap_or(max_rss))
}

/// The most memory that was resident, in bytes, as Linux knows it: what `getrusage` tells includes that of the program that
/// started this one.
fn resident_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The summary as text for people.
pub(super) fn text(summary: &Summary) -> String {
    let stats = Stats::of(summary);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let rate = |amount: u64| scaled(amount as f64 / stats.wall_s.max(1e-9));
    format!(
        "records in   {:>15}   {} records/s\n\
         \x20 used       {:>15}\n\
         \x20 filtered   {:>15}\n\
         \x20 rejected   {:>15}\n\
         rows out     {:>15}\n\
         bytes        {:>15}   {}B/s\n\
         wall time    {:>13.3} s\n\
         cpu time     {:>13.3} s\n\
         peak memory  {:>11.1} MiB   resident; {:.1} MiB reserved\n\
         spilled      {:>11.1} MiB   {} runs, {} merges\n\
         blocks       {:>15}   p50 {} µs, p99 {} µs, max {} µs\n",
        grouped(stats.records_in),
        rate(stats.records_in).trim_end(),
        grouped(stats.used),
        grouped(stats.filtered),
        grouped(stats.rejected),
        grouped(stats.rows_out),
        grouped(stats.bytes),
        rate(stats.bytes),
        stats.wall_s,
        stats.cpu_s,
        mib(stats.peak_rss),
        mib(stats.reserved_peak as u64),
        mib(stats.spilled_bytes),
        grouped(stats.spilled_runs),
        grouped(stats.merges),
        grouped(stats.block_latency_us.count),
        stats.block_latency_us.p50,
        stats.block_latency_us.p99,
        stats.block_latency_us.max,
    )
}

/// What `--stats-json` writes of the batches of `foldl map`, beside the summary.
#[derive(Serialize)]
struct MapStats {
    #[serde(flatten)]
    stats: Stats,
    batches_done: u64,
    batches_failed: u64,
    batches_resumed: u64,
    records_done: u64,
    records_failed: u64,
    records_resumed: u64,
    retries: u64,
    children: u64,
    lines_out: u64,
    bytes_out: u64,
    spooled_bytes: u64,
}

/// The summary of batches as text for people.
pub(super) fn batches_text(batches: &BatchSummary) -> String {
    format!(
        "batches done {:>15}   {} records\n\
         \x20 failed     {:>15}   {} records\n\
         \x20 before     {:>15}   {} records, done by an earlier run\n\
         children     {:>15}   {} attempts were repeated\n\
         lines out    {:>15}   {}B, {}B of it by way of the disk\n",
        grouped(batches.batches_done),
        grouped(batches.records_done),
        grouped(batches.batches_failed),
        grouped(batches.records_failed),
        grouped(batches.resumed.0),
        grouped(batches.resumed.1),
        grouped(batches.children),
        grouped(batches.retries),
        grouped(batches.lines_out),
        scaled(batches.bytes_out as f64),
        scaled(batches.spooled as f64),
    )
}

/// Writes the summary of a run and of its batches as JSON.
pub(super) fn write_map_json(summary: &Summary, batches: &BatchSummary, path: &Path) -> Result<()> {
    let stats = MapStats {
        stats: Stats::of(summary),
        batches_done: batches.batches_done,
        batches_failed: batches.batches_failed,
        batches_resumed: batches.resumed.0,
        records_done: batches.records_done,
        records_failed: batches.records_failed,
        records_resumed: batches.resumed.1,
        retries: batches.retries,
        children: batches.children,
        lines_out: batches.lines_out,
        bytes_out: batches.bytes_out,
        spooled_bytes: batches.spooled,
    };
    write(&stats, path)
}

/// Writes the summary as JSON.
pub(super) fn write_json(summary: &Summary, path: &Path) -> Result<()> {
    write(&Stats::of(summary), path)
}

fn write(stats: &impl Serialize, path: &Path) -> Result<()> {
    let fail = |err: std::io::Error| {
        Error::new(ErrorKind::Output, "cannot write the statistics").at(Place::File(path.to_owned())).caused_by(err)
    };
    let mut json = serde_json::to_vec(stats).map_err(|err| fail(err.into()))?;
    json.push(b'\n');
    std::fs::write(path, json).map_err(fail)
}
