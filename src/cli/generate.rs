//! `foldl generate`

use foldl::Result;
use foldl::generate::Generator;
use foldl::output::Target;

use super::args::GenerateArgs;

pub(super) fn run(args: &GenerateArgs) -> Result<()> {
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut target = match &args.output {
        Some(path) => Target::file(path)?,
        None => Target::stdout()?,
    };
    Generator::new(args.kind, args.rows, args.seed).write_to(&mut target, threads)?;
    target.commit()
}
