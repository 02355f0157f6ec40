//! The arguments, as they are typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use foldl::exec::{MaxErrors, Settings};
use foldl::generate::Kind;
use foldl::input::InputFormat;
use foldl::output::Format;
use foldl::value::Date;

use super::units;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const LONG_ABOUT: &str = "\
foldl folds JSON Lines: it filters, aggregates and checks JSONL files of any size with SQL, in a fixed amount of \
memory. CSV, TSV and JSON arrays are read as well. Results are exact, and the same to the last bit however many threads ran.

Every clause of the query is optional: `where …` keeps whole records as they stand, a bare list such as \
`count(*), sum(price) group by status` is the select list, and without FROM the FILE arguments or standard input are \
read. Fields are paths into the record: user.address.city, items[0].price, \"odd key\".";

const EXAMPLES: &str = "\
Examples:
  Keep the records that match, byte for byte:
    foldl \"where status = 'failed' and price > 100\" orders.jsonl

  Count by a field, from a pipe:
    zcat orders.jsonl.gz | foldl 'status, count(*) as orders group by status'

  Daily sales:
    foldl \"select date(orderDate) as date, sum(quantity * price) as revenue
           where status = 'completed' group by date\" 'orders/*.jsonl.gz'

  The ten best sellers, as a table:
    foldl --format table 'productId, count(*) as sold group by productId order by sold desc limit 10' orders.jsonl

  Read CSV, here from a pipe; a file named .csv needs no option:
    curl -s https://example.org/orders.csv | foldl --input-format csv 'status, sum(price) group by status'

  Find the lines that are no valid JSON:
    foldl --rejects bad.jsonl 'count(*)' orders.jsonl

Exit codes:
  0  all is well            4  too many lines were rejected
  1  a check failed         5  reading or writing failed
  2  wrong usage            6  a resource limit was reached
  3  the query is wrong     7  another run holds the lock
  129, 130, 143  ended by SIGHUP, SIGINT or SIGTERM; 70  a bug in foldl";

const CHECK_EXAMPLES: &str = "\
Examples:
  Rules for a file of orders:
    foldl check orders.jsonl --rows 1000.. --not-null userId:1% --unique orderId --range quantity:1..1000 \\
      --accepted status:completed,pending --matches orderId:'^ord-' --expect 'price >= 0' --fresh orderDate:36h

  Reports for machines, and the failing records in a file:
    foldl check orders.jsonl --unique orderId --report checks.json --junit checks.xml --quarantine bad.jsonl

  Every order has a user, or else it is told:
    foldl check orders.jsonl --relationship userId:users.jsonl --warn relationship";

const RUN_EXAMPLES: &str = "\
Examples:
  Yesterday's run, and the one of another day:
    foldl run daily.toml
    foldl run daily.toml --var date=2026-02-01

  What it would do, and what it has done:
    foldl run daily.toml --explain
    foldl run daily.toml --status

  A month that is missing:
    foldl run daily.toml --backfill 2026-01-01..2026-01-31";

const MAP_EXAMPLES: &str = "\
A batch fails if the command exits with a status other than 0, is ended by a signal or by --timeout, does not read all of its \
input, or writes a line that is no JSON or has no end. Nothing of what it wrote for that batch is then written. The command is \
a program with arguments; it knows the batch from FOLDL_BATCH, a number from 1, and from FOLDL_FIRST_LINE, the line of its first \
record in the input. What it writes to standard error is passed on line by line, after [batch N].

Examples:
  Score the failed orders with a model, 1000 at a time, four processes at once:
    foldl map --where \"status = 'failed'\" --batch 1000 --concurrency 4 orders.jsonl -- python3 score.py

  Post records to a service, and keep those that it does not take:
    foldl map --batch 100 --retries 5 --on-error skip --rejects refused.jsonl events.jsonl -- \\
      curl -sS --fail-with-body --data-binary @- https://example.org/ingest

  Start a slow program once for each processor, not once for each batch:
    foldl map --keep-alive -o out.jsonl 'in/*.jsonl.gz' -- jq -c --unbuffered '.price *= 1.2'

  Go on where an earlier run was killed:
    foldl map --checkpoint run.checkpoint -o out.jsonl in.jsonl -- ./enrich";

/// Fold JSON Lines: filter, aggregate and check JSONL files of any size with SQL
#[derive(Parser)]
#[command(
    name = "foldl",
    version,
    about,
    long_about = LONG_ABOUT,
    after_long_help = EXAMPLES,
    after_help = "`--help` says more about each option and has examples.",
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    subcommand_negates_reqs = true,
    override_usage = "foldl [OPTIONS] QUERY [FILE]...\n       foldl [OPTIONS] -f FILE.sql [FILE]...\n       foldl <COMMAND>",
    styles = STYLES,
    max_term_width = 100
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    #[command(flatten)]
    pub(super) query: QueryArgs,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Write invented records, for trying things out and for benchmarks
    ///
    /// The records depend only on the kind and the seed: record number i is the same whatever the number of rows, the
    /// machine and the number of threads.
    Generate(GenerateArgs),
    /// Check the records of files, and fail with exit code 1 if they are not as they should be
    ///
    /// All checks are told in one run, in a table on standard error. Each option can be given several times.
    Check(Box<CheckArgs>),
    /// Run a batch job: one pass over its inputs, many outputs, checked, and all of it committed or nothing
    ///
    /// A job is a TOML file that names sources, views, checks and outputs. A run that fails leaves the outputs as they were; one
    /// that was committed over the same inputs already does nothing. See docs/jobs.md.
    Run(Box<RunArgs>),
    /// Send batches of records through a command, several at a time, and write its answers in order
    ///
    /// Each batch is given to the command on standard input, as JSON Lines, and what it writes to standard output takes the
    /// place of these records. A batch that fails is tried again. See docs/map.md.
    #[command(override_usage = "foldl map [OPTIONS] [FILE]... -- COMMAND [ARG]...")]
    Map(Box<MapArgs>),
    /// List the functions and aggregates, or tell more about one of them
    Functions {
        /// The function
        name: Option<String>,
        /// Write all of them as a page in Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page, in roff
    Man,
}

#[derive(Args)]
#[command(args_override_self = true, after_long_help = RUN_EXAMPLES)]
pub(super) struct RunArgs {
    /// The job
    #[arg(value_name = "JOB.toml")]
    pub(super) job: PathBuf,
    /// Set a variable of the job, in place of what its [vars] say: date=2026-02-01
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var, help_heading = "Job")]
    pub(super) vars: Vec<(String, String)>,
    /// Run the job once for each of these days, in their order, as if each were `yesterday`; stop where one fails
    #[arg(long, value_name = "DAY..DAY", value_parser = parse_days, help_heading = "Job")]
    pub(super) backfill: Option<(Date, Date)>,
    /// Run the job even if the same has been committed over the same inputs already
    #[arg(long, help_heading = "Job")]
    pub(super) again: bool,
    /// Start over, even if there is a checkpoint to go on from
    #[arg(long, help_heading = "Job")]
    pub(super) restart: bool,
    /// Wait while another run holds the job's state directory or one of its outputs, in place of exit code 7
    #[arg(long, help_heading = "Job")]
    pub(super) wait: bool,
    /// Show what is read once and shared, and what is held in memory, and do nothing
    #[arg(long, help_heading = "Job")]
    pub(super) explain: bool,
    /// List the inputs and outputs, and do nothing
    #[arg(long, help_heading = "Job")]
    pub(super) dry_run: bool,
    /// Show the last runs of the job, and do nothing
    #[arg(long, help_heading = "Job")]
    pub(super) status: bool,

    /// Write the results of the checks to a file, or to standard output if it is -, as one JSON object
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub(super) report: Option<PathBuf>,
    /// Write the results of the checks to a file as XML, as JUnit does and build servers read it
    #[arg(long, value_name = "FILE.xml", help_heading = "Output")]
    pub(super) junit: Option<PathBuf>,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    /// No summary and no progress; errors are still told
    #[arg(short, long, help_heading = "Messages")]
    pub(super) quiet: bool,
    /// When to show progress; auto: on a terminal, after half a second
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Messages")]
    pub(super) progress: When,
    /// Write log lines to standard error, in place of the summary and progress: text, or json for machines
    #[arg(long, value_name = "FORMAT", value_enum, conflicts_with = "quiet", help_heading = "Messages")]
    pub(super) log: Option<LogFormat>,
    /// The log lines that matter least of those that are written
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t, requires = "log", help_heading = "Messages")]
    pub(super) log_level: Level,
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    /// What to write: orders, users, products or events
    #[arg(value_name = "KIND")]
    pub(super) kind: Kind,
    /// The number of records
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) rows: u64,
    /// The seed: other seeds give other records
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(super) seed: u64,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The most threads to use [default: one for each processor]
    #[arg(short = 'j', long, value_name = "N", env = "FOLDL_THREADS", value_parser = parse_threads)]
    pub(super) threads: Option<usize>,
}

#[derive(Args)]
pub(super) struct QueryArgs {
    /// The query: SQL with every clause optional
    #[arg(value_name = "QUERY")]
    pub(super) query: Option<String>,
    /// The inputs: files, globs, or - for standard input, which is also read if none is given
    ///
    /// JSON Lines, CSV, TSV and arrays of records in JSON; see --input-format. Files that are compressed with gzip, zstd,
    /// bzip2, xz or lz4 are recognised by their first bytes.
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<String>,
    #[command(flatten)]
    pub(super) format_in: FormatArgs,
    /// Read the query from a file
    #[arg(short = 'f', long = "query-file", value_name = "FILE.sql", help_heading = "Query")]
    pub(super) query_file: Option<PathBuf>,
    /// Show what the query would do, and do nothing
    #[arg(long, help_heading = "Query")]
    pub(super) explain: bool,

    /// Write to a file instead of standard output
    ///
    /// The file appears under its name when all is well: a run that fails leaves the old one. A name that ends with .gz, .zst,
    /// .lz4, .bz2 or .xz is compressed. What is no regular file, such as a device or a named pipe, is written to directly.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// The format of the output: jsonl, json, csv, tsv, table, markdown or chart
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = parse_format, help_heading = "Output")]
    pub(super) format: Format,
    /// The width of a table or chart, into which cells are cut [default: the terminal's or COLUMNS; 80 for a chart elsewhere]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Output")]
    pub(super) width: Option<u16>,
    /// Hand on the output after each block of input, not only when a buffer is full
    ///
    /// That is always done on a terminal, and whenever a pipe that is read has nothing more to give for now.
    #[arg(long, help_heading = "Output")]
    pub(super) line_buffered: bool,

    #[command(flatten)]
    pub(super) errors: ErrorArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,

    /// No warnings, no summary and no progress; errors are still told
    #[arg(short, long, help_heading = "Messages")]
    pub(super) quiet: bool,
    /// Print counts, times and memory at the end
    #[arg(long, help_heading = "Messages")]
    pub(super) stats: bool,
    /// Write counts, times and memory to a file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Messages")]
    pub(super) stats_json: Option<PathBuf>,
    /// When to show progress; auto: on a terminal, after half a second
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Messages")]
    pub(super) progress: When,
    /// When to colour messages; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Messages", global = true)]
    pub(super) color: When,
}

#[derive(Args)]
#[command(args_override_self = true, after_long_help = CHECK_EXAMPLES)]
pub(super) struct CheckArgs {
    /// The inputs: files, globs, or - for standard input, which is also read if none is given
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<String>,

    /// The number of records is within limits: 1000.. or 1000..2000
    #[arg(long, value_name = "MIN..MAX", help_heading = "Checks")]
    pub(super) rows: Vec<String>,
    /// A column is not NULL or missing in more than a share of the records, none if no rate is given: userId:1%
    #[arg(long, value_name = "COLUMN[:RATE]", help_heading = "Checks")]
    pub(super) not_null: Vec<String>,
    /// No two records have the same value in a column, or the same values in several: orderId or country,city
    ///
    /// Records in which one of the columns is NULL are not compared.
    #[arg(long, value_name = "COLUMN[,COLUMN]...", help_heading = "Checks")]
    pub(super) unique: Vec<String>,
    /// Every value is within limits: quantity:1..1000, price:0.., orderDate:2025-01-01..2025-12-31
    ///
    /// Days and moments are compared as such, and the last day counts as a whole. NULL passes; a value of another type
    /// than the limits does not.
    #[arg(long, value_name = "COLUMN:MIN..MAX", help_heading = "Checks")]
    pub(super) range: Vec<String>,
    /// Every value is one of a list: status:completed,pending
    ///
    /// JSON's numbers, true and false are what they are, anything else is text; quotes make a text of anything: "1".
    #[arg(long, value_name = "COLUMN:VALUE[,VALUE]...", help_heading = "Checks")]
    pub(super) accepted: Vec<String>,
    /// No value is one of a list
    #[arg(long, value_name = "COLUMN:VALUE[,VALUE]...", help_heading = "Checks")]
    pub(super) forbidden: Vec<String>,
    /// A regular expression matches some part of every value: orderId:'^ord-'
    #[arg(long, value_name = "COLUMN:REGEX", help_heading = "Checks")]
    pub(super) matches: Vec<String>,
    /// Every text has a number of characters, or array of elements, within limits: country:2..2
    #[arg(long, value_name = "COLUMN:MIN..MAX", help_heading = "Checks")]
    pub(super) length: Vec<String>,
    /// Every value is of a type: string, int, number, bool, date, timestamp, array or object
    #[arg(long = "type", value_name = "COLUMN:TYPE", help_heading = "Checks")]
    pub(super) types: Vec<String>,
    /// A condition is false for no record: 'price >= 0'
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true, help_heading = "Checks")]
    pub(super) expect: Vec<String>,
    /// The result of an aggregate is within limits: 'avg(price):10..20'
    #[arg(long, value_name = "AGGREGATE:MIN..MAX", allow_hyphen_values = true, help_heading = "Checks")]
    pub(super) metric: Vec<String>,
    /// The latest moment of a column is not longer ago than that: orderDate:36h
    #[arg(long, value_name = "COLUMN:AGE", help_heading = "Checks")]
    pub(super) fresh: Vec<String>,
    /// Every value is in a column of another file, in the one of the same name if no key is given: userId:users.jsonl
    #[arg(long, value_name = "COLUMN:FILE[:KEY]", help_heading = "Checks")]
    pub(super) relationship: Vec<String>,
    /// No value is less than the one before it
    #[arg(long, value_name = "COLUMN", help_heading = "Checks")]
    pub(super) monotonic: Vec<String>,
    /// Checks that only warn: a name as the report has it, such as unique(orderId), a kind such as unique, or all
    #[arg(long, value_name = "NAME", help_heading = "Checks")]
    pub(super) warn: Vec<String>,

    /// Write the results to a file, or to standard output if it is -, as one JSON object
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub(super) report: Option<PathBuf>,
    /// Write the results to a file as XML, as JUnit does and build servers read it
    #[arg(long, value_name = "FILE.xml", help_heading = "Output")]
    pub(super) junit: Option<PathBuf>,
    /// Write the records that fail to a file, as JSON Lines with place, check and record
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) quarantine: Option<PathBuf>,

    #[command(flatten)]
    pub(super) format_in: FormatArgs,
    #[command(flatten)]
    pub(super) errors: ErrorArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,

    /// No table of results, no warnings and no progress; errors are still told
    #[arg(short, long, help_heading = "Messages")]
    pub(super) quiet: bool,
    /// When to show progress; auto: on a terminal, after half a second
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Messages")]
    pub(super) progress: When,
}

#[derive(Args)]
#[command(args_override_self = true, after_long_help = MAP_EXAMPLES, after_help = "`--help` says more about each option and has examples.")]
pub(super) struct MapArgs {
    /// The inputs: files, globs, or - for standard input, which is also read if none is given
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<String>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub(super) command: Vec<OsString>,
    #[command(flatten)]
    pub(super) format_in: FormatArgs,
    /// Only the records for which a condition is true: status = 'failed'
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true, help_heading = "Query")]
    pub(super) condition: Option<String>,
    /// What to give to the command of each record: orderId, price * 2 as double [default: the record as it stands]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, help_heading = "Query")]
    pub(super) select: Option<String>,

    /// The most records of a batch [default: 10000, or no limit if --batch-bytes is given]
    ///
    /// Batches are smaller where the memory limit asks for it: a part of it is for each of three batches per child.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Batches")]
    pub(super) batch: Option<u64>,
    /// The most bytes of a batch, unless a single record is longer
    #[arg(long, value_name = "SIZE", value_parser = parse_batch_bytes, help_heading = "Batches")]
    pub(super) batch_bytes: Option<usize>,
    /// How long a batch waits for more records than it has, while the input has none
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::parse_time, help_heading = "Batches")]
    pub(super) batch_time: Duration,
    /// The most children that run at a time [default: one for each processor]
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_threads, help_heading = "Batches")]
    pub(super) concurrency: Option<usize>,
    /// Write answers as they come, not in the order of the input
    #[arg(long, help_heading = "Batches")]
    pub(super) unordered: bool,

    /// Keep children, and give them one batch after another
    ///
    /// A child answers each batch with as many lines as it got. FOLDL_BATCH and FOLDL_FIRST_LINE are those of its first
    /// batch. A child that fails is started anew.
    #[arg(long, help_heading = "Command")]
    pub(super) keep_alive: bool,
    /// With --keep-alive: each batch ends with this line, and so does each answer, which may have any number of lines
    #[arg(long, value_name = "LINE", requires = "keep_alive", allow_hyphen_values = true, help_heading = "Command")]
    pub(super) delimiter: Option<String>,
    /// Take lines that are no JSON, too
    #[arg(long, help_heading = "Command")]
    pub(super) raw: bool,
    /// What the number of lines of an answer has to be: any, or the same as that of the records
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Command")]
    pub(super) expect_lines: ExpectLines,
    /// The longest answer to a batch; a longer one is a failure
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = units::parse_size, help_heading = "Command")]
    pub(super) max_answer: usize,

    /// How often a batch that failed is tried again, after 0.1 s, 0.2 s, 0.4 s …, at most 10 s
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Errors")]
    pub(super) retries: u32,
    /// How long the command may take for a batch; then it is ended, with all processes that it started
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::parse_time, help_heading = "Errors")]
    pub(super) timeout: Duration,
    /// What to do with a batch that has failed for good: end with exit code 5, or leave it out
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnBatchError::Fail, help_heading = "Errors")]
    pub(super) on_error: OnBatchError,
    /// End with exit code 4 if more lines of the input than N, or than P% of all, are no valid JSON
    #[arg(long, value_name = "N|P%", value_parser = units::parse_max_errors, help_heading = "Errors")]
    pub(super) max_errors: Option<MaxErrors>,
    /// Write rejected lines, and the records of failed batches, to a file, as JSON Lines with place, reason and bytes
    ///
    /// Records of failed batches also have the number of the batch, the exit status or signal, and the end of what the
    /// command wrote to standard error.
    #[arg(long, value_name = "FILE", help_heading = "Errors")]
    pub(super) rejects: Option<PathBuf>,

    /// Write to a file instead of standard output
    ///
    /// The file appears under its name when all is well: a run that fails leaves the old one. A name that ends with .gz, .zst,
    /// .lz4, .bz2 or .xz is compressed, but not with --checkpoint.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// Note in a file which batches are done, so that a run that was ended goes on from there when it is started again
    ///
    /// Needs --output, of which each batch's answer then becomes a part exactly once. The file is removed when all is done.
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with = "unordered", help_heading = "Output")]
    pub(super) checkpoint: Option<PathBuf>,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    /// No warnings, no summary and no progress; errors and what the command says are still told
    #[arg(short, long, help_heading = "Messages")]
    pub(super) quiet: bool,
    /// Print counts, times and memory at the end
    #[arg(long, help_heading = "Messages")]
    pub(super) stats: bool,
    /// Write counts, times and memory to a file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Messages")]
    pub(super) stats_json: Option<PathBuf>,
    /// When to show progress; auto: on a terminal, after half a second
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Messages")]
    pub(super) progress: When,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ExpectLines {
    #[default]
    Any,
    Same,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnBatchError {
    /// End with exit code 5
    Fail,
    /// Leave it out and count it
    Skip,
}

/// How inputs are read.
#[derive(Args)]
pub(super) struct FormatArgs {
    /// The format of the FILE arguments or standard input: jsonl, csv, tsv or json [default: by file name]
    ///
    /// Files that the query itself names always go by their names.
    ///
    /// Files named .csv and .tsv are read as such, and files named .json as an array of records if they begin with [;
    /// the suffix of a compression may follow. Standard input and all other files are JSON Lines. `json` is an array, or
    /// JSON values one after another, over any number of lines.
    #[arg(long, value_name = "FORMAT", env = "FOLDL_INPUT_FORMAT", value_parser = parse_input_format, help_heading = "Input")]
    pub(super) input_format: Option<InputFormat>,
    /// CSV and TSV have no header: the columns are named column0, column1, …
    ///
    /// From ten columns on the numbers have leading zeros: column00.
    #[arg(long, help_heading = "Input")]
    pub(super) no_header: bool,
}

/// What becomes of what is wrong in the input.
#[derive(Args)]
pub(super) struct ErrorArgs {
    /// What to do with a line that is no valid JSON
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Errors")]
    pub(super) on_error: OnErrorArg,
    /// End with exit code 4 if more lines than N, or than P% of all, are rejected
    ///
    /// A number ends the run at the line that is one too many; a percentage is decided at the end of the input.
    #[arg(long, value_name = "N|P%", value_parser = units::parse_max_errors, help_heading = "Errors")]
    pub(super) max_errors: Option<MaxErrors>,
    /// Write the rejected lines to a file, as JSON Lines with place, reason and bytes
    #[arg(long, value_name = "FILE", help_heading = "Errors")]
    pub(super) rejects: Option<PathBuf>,
    /// End with exit code 4 at the first value of a wrong type, and where a path changes type
    ///
    /// Without it, a value that an expression cannot take is NULL, and both are counted and told at the end. All valid
    /// records count for the type of a path, also those that WHERE leaves out; integers and floats are one type, null is
    /// none, and casts, typeof, exists, is null, count, concat and || take values of any type.
    #[arg(long, help_heading = "Errors")]
    pub(super) strict: bool,
}

/// What a run may take.
#[derive(Args)]
pub(super) struct LimitArgs {
    /// The most threads to use [default: one for each processor]
    #[arg(short = 'j', long, value_name = "N", env = "FOLDL_THREADS", value_parser = parse_threads, help_heading = "Limits")]
    pub(super) threads: Option<usize>,
    /// The most memory that the process takes, from 32MiB [default: a quarter of the machine's, at most 1GiB]
    ///
    /// Groups, sorted rows and whatever else grows with the data go to disk where that does not do; see --temp-dir.
    #[arg(short, long, value_name = "SIZE", env = "FOLDL_MEMORY_LIMIT", value_parser = units::parse_memory, help_heading = "Limits")]
    pub(super) memory_limit: Option<usize>,
    /// The directory for what does not fit into memory [default: TMPDIR, or /tmp]
    ///
    /// It is kept in one file without a name, which the system removes when the process ends, however it ends.
    #[arg(long, value_name = "DIR", env = "FOLDL_TEMP_DIR", help_heading = "Limits")]
    pub(super) temp_dir: Option<PathBuf>,
    /// The most that is taken there at a time [default: no limit]
    #[arg(long, value_name = "SIZE", env = "FOLDL_TEMP_LIMIT", value_parser = units::parse_size, help_heading = "Limits")]
    pub(super) temp_limit: Option<usize>,
    /// The longest line; longer ones are rejected
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = units::parse_size, help_heading = "Limits")]
    pub(super) max_line: usize,
    /// The deepest nesting of arrays and objects; deeper lines are rejected
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_depth, value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Limits")]
    pub(super) max_depth: u32,
    /// The size of the blocks that are read and worked on at a time; smaller ones where the memory limit asks for it
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = units::parse_size, help_heading = "Limits")]
    pub(super) block_size: usize,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(super) enum OnErrorArg {
    /// Leave it out and count it
    #[default]
    Skip,
    /// End with exit code 4
    Fail,
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// How much a log line matters.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

fn parse_batch_bytes(text: &str) -> Result<usize, String> {
    match units::parse_size(text)? {
        0 => Err("a batch has one byte at least".to_owned()),
        bytes => Ok(bytes),
    }
}

fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one thread is needed".to_owned()),
        Ok(threads @ 1..=1024) => Ok(threads),
        Ok(_) => Err("at most 1024 threads can be used".to_owned()),
        Err(_) => Err("it is a whole number".to_owned()),
    }
}

fn parse_var(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, as date=2026-02-01")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_days(text: &str) -> Result<(Date, Date), String> {
    let day = |text: &str| {
        Date::parse(text.as_bytes()).ok_or_else(|| format!("`{text}` is no day: write 2026-01-01..2026-01-31"))
    };
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    if first > last { Err("the first day comes after the last one".to_owned()) } else { Ok((first, last)) }
}

fn parse_input_format(text: &str) -> Result<InputFormat, String> {
    text.parse().map_err(|_| {
        let names = InputFormat::ALL.map(|(name, _)| name).join(", ");
        format!("the formats are {names}")
    })
}

fn parse_format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|_| {
        let names = Format::ALL.map(|(name, _)| name).join(", ");
        format!("the formats are {names}")
    })
}
