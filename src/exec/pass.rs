//! A pass: several queries over the same records, which are read and scanned once.
//!
//! Each input has a *lead*, a run that counts its records and takes what is rejected. Beside it the runs of all queries
//! take the same scanned records. A query whose rows others take, a view or a query in FROM, is a run with *followers*:
//! they scan its rows as these are made, block by block, in the same thread. Where the rows of such a run come but at the
//! end, as those of groups do, they go through a pipe to a reading of their own, which goes on at the same time.

mod explain;

use std::collections::BTreeMap;
use std::io::{PipeWriter, Write};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value as Json;

use super::allotment::{self, Share};
use super::collect::{Collector, CollectorState, Rejects, RejectsWriter};
use super::cut::{Cuts, Cutter, Deposit, Keep, PassState, SeatState};
use super::emit;
use super::increment::{Keeping, PassEnd, ReadingEnd};
use super::nested::Within;
use super::side::Side;
use super::work::{self, CutsOf, Seat};
use super::{Arguments, NamedSource, Progressing, Run, Schema, Settings, Shared, Summary};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{self, FilePart, Input, InputFormat, InputOptions, Progress, expand};
use crate::output::{Format, Sink};
use crate::plan::{Body, Plan, Source};

/// Several queries over the same inputs.
pub struct Pass {
    settings: Settings,
    shared: Shared,
    readings: Vec<Reading>,
    /// The queries that have to read for themselves, with the numbers of their outputs.
    others: Vec<(Run, usize)>,
    outputs: usize,
    /// The state that it goes on from.
    from: Option<PassState>,
    /// What is kept for a later pass, and what is there from an earlier one.
    keeping: Option<Keeping>,
    /// Of inputs of which not all is read, by name, the files and their parts.
    parts: BTreeMap<String, Vec<(input::Source, FilePart)>>,
}

/// The records of one input, and all runs that take them.
struct Reading {
    name: String,
    source: NamedSource,
    lead: Option<Run>,
    members: Vec<Member>,
    /// Whether any of them asks for line numbers.
    counts_lines: bool,
    /// Whether what an earlier pass has read is left out, so that what that had is taken in at the end.
    is_in_parts: bool,
}

/// A run, and those that take its rows.
struct Member {
    run: Run,
    /// The view that it is, if it is one.
    view: Option<String>,
    /// The output that its rows go to.
    output: Option<usize>,
    /// Whether it takes in what came since an earlier pass alone.
    is_anew: bool,
    followers: Vec<Member>,
}

/// How a pass ended.
pub struct PassOutcome<W> {
    /// The writers that took the outputs, or the error that ended the pass.
    pub result: Result<Vec<W>>,
    /// For each input that was read its name and what happened to its records.
    pub inputs: Vec<(String, Summary)>,
    /// The same of those that records were joined with.
    pub lookups: Vec<(String, Summary)>,
    /// For each output what happened in its query.
    pub outputs: Vec<Summary>,
    /// The same of the queries whose rows others took, views among them.
    pub views: Vec<Summary>,
    /// What was kept for a later pass.
    pub end: PassEnd,
}

impl Pass {
    /// A pass without queries.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the memory limit is too low.
    pub fn new(settings: Settings) -> Result<Pass> {
        let mut settings = settings;
        let shared = Shared::for_process(&settings)?;
        settings.block_size = settings.block_size.min(allotment::most_block(settings.memory_limit));
        Ok(Pass {
            settings,
            shared,
            readings: Vec::new(),
            others: Vec::new(),
            outputs: 0,
            from: None,
            keeping: None,
            parts: BTreeMap::new(),
        })
    }

    /// Keeps what a later pass with the same queries goes on from, and goes on from what an earlier one has left. Rows of
    /// queries that come [as records do](super::Flow::AsRecords) are those of what is read now, all others are as if all had
    /// been read at once.
    ///
    /// `parts` are for each input, by name, what is read of it: files, in the order of their ranks. All of another input is
    /// read, and nothing of that is kept.
    pub fn keep(&mut self, keeping: Keeping, parts: BTreeMap<String, Vec<(input::Source, FilePart)>>) {
        (self.keeping, self.parts) = (Some(keeping), parts);
    }

    /// Lets a query take in what is read now alone, and leave nothing for later.
    pub fn take_anew(&mut self, output: usize) {
        fn find(members: &mut [Member], output: usize) -> Option<&mut Member> {
            members.iter_mut().find_map(|member| match member.output {
                Some(own) if own == output => Some(member),
                _ => find(&mut member.followers, output),
            })
        }
        if let Some(member) = self.readings.iter_mut().find_map(|reading| find(&mut reading.members, output)) {
            member.is_anew = true;
        }
    }

    /// Goes on from the state of another pass, over the same inputs with the same queries, which are added after this.
    pub fn resume(&mut self, from: PassState) {
        self.settings.block_size = from.block_size;
        self.from = Some(from);
    }

    /// Adds a query, and gives the number of its output.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the input of the side of a join cannot be opened, [`ErrorKind::Usage`] if the format does not
    /// go with the query.
    pub fn add(&mut self, plan: Plan, format: Format, arguments: &mut Arguments) -> Result<usize> {
        let output = self.outputs;
        let settings = Settings { format, ..self.settings.clone() };
        let mut plan = plan;
        let counts_lines = plan.uses_line_numbers();
        if can_follow(&plan) {
            let place = Place { output: Some(output), view: None, counts_lines };
            self.attach(plan, place, &settings, arguments)?;
        } else {
            self.others.push((Run::nested(plan, arguments, settings, true, &self.shared)?, output));
        }
        self.outputs += 1;
        Ok(output)
    }

    /// Lets a run take what its plan asks for, and gives the followers of that run.
    fn attach(
        &mut self,
        mut plan: Plan,
        place: Place,
        settings: &Settings,
        arguments: &mut Arguments,
    ) -> Result<&mut Vec<Member>> {
        let counts_lines = place.counts_lines | plan.uses_line_numbers();
        let source = std::mem::replace(&mut plan.source, Source::Input);
        let run = Run::following(plan, arguments, settings.clone(), &self.shared)?;
        let Place { output, view, .. } = place;
        let member = Member { run, view, output, is_anew: false, followers: Vec::new() };
        let members = match source {
            Source::Queries { name, mut queries, is_view } => {
                let Some(query) = queries.pop() else { return Err(internal()) };
                let rows = Settings { format: Format::Jsonl, ..self.settings.clone() };
                match is_view.then(|| self.path_of_view(&name)).flatten() {
                    Some(path) => {
                        self.readings[path[0]].counts_lines |= counts_lines;
                        self.followers_at(&path)?
                    }
                    None => {
                        let view = is_view.then_some(name);
                        self.attach(query, Place { output: None, view, counts_lines }, &rows, arguments)?
                    }
                }
            }
            Source::Named(_) | Source::Files(_) => {
                let reading = self.reading(&source, arguments)?;
                reading.counts_lines |= counts_lines;
                &mut reading.members
            }
            Source::Input => return Err(internal()),
        };
        members.push(member);
        members.last_mut().map(|member| &mut member.followers).ok_or_else(internal)
    }

    /// The reading of a source, which is a new one if there is none.
    fn reading(&mut self, source: &Source, arguments: &Arguments) -> Result<&mut Reading> {
        let (name, source) = match source {
            Source::Named(name) => (name.clone(), arguments.source_named(name)?.clone()),
            Source::Files(files) => {
                (files.join(", "), NamedSource { files: arguments.within(files), ..NamedSource::default() })
            }
            _ => return Err(internal()),
        };
        let known = self.readings.iter().position(|reading| reading.name == name);
        let number = known.unwrap_or(self.readings.len());
        if known.is_none() {
            let members = Vec::new();
            self.readings.push(Reading { name, source, lead: None, members, counts_lines: false, is_in_parts: false });
        }
        self.readings.get_mut(number).ok_or_else(internal)
    }

    /// Opens the inputs that are read for several queries. `has_cuts` says that there are to be cuts.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if one cannot be opened.
    pub fn open(&mut self, arguments: &mut Arguments, has_cuts: bool) -> Result<()> {
        self.readings.iter_mut().for_each(|reading| narrow_views(&mut reading.members));
        let pipes = self.readings.iter().map(|reading| pipes(&reading.members)).max().unwrap_or(0);
        let scans = self.readings.iter().map(|reading| scans(&reading.members)).max().unwrap_or(0);
        let depth = self.others.iter().map(|(run, _)| run.depth()).max().unwrap_or(1);
        // As long as it is not known whether records of joins go to disk, these have a part of what a reading has that shares
        // the memory with others behind pipes.
        let sharers = depth.max(if pipes > 0 { 2 } else { 1 });
        if self.from.is_none() {
            let most = allotment::most_block(self.settings.memory_limit) / (1 + pipes + scans);
            let most = if has_cuts { most.min(MOST_CUT_BLOCK) } else { most };
            self.settings.block_size = self.settings.block_size.min(most.max(LEAST_BLOCK));
        }
        for (number, reading) in self.readings.iter_mut().enumerate() {
            let settings = reading.source.settings(&self.settings);
            let (options, _) = super::prepare(&mut lead_plan()?, &settings, true)?;
            // Those that follow take their blocks in the order of the input.
            let window = Some(allotment::window(&settings));
            let from = self.from.as_ref().filter(|from| from.reading == number);
            let done = from.and_then(|from| from.seats.first()).map_or(Vec::new(), |lead| lead.collector.done());
            let (files, parts) = match self.parts.remove(&reading.name) {
                Some(parts) => {
                    reading.is_in_parts = true;
                    parts.into_iter().unzip()
                }
                None => (expand(&reading.source.files)?, Vec::new()),
            };
            // So that what was handed out is the input up to a place.
            let in_order = has_cuts;
            let options = InputOptions { window, count_lines: reading.counts_lines, in_order, done, parts, ..options };
            let input = arguments.open_sources(files, options)?;
            let mut lead = Run::new(lead_plan()?, input, settings, true, self.shared.clone());
            lead.share_memory(sharers);
            lead.named = Some(reading.name.clone());
            lead.schema = Schema::new(&reading.source.rules)?;
            reading.lead = Some(lead);
            share_memory(&mut reading.members, sharers);
        }
        self.others.iter_mut().for_each(|(run, _)| run.share_memory(sharers));
        Ok(())
    }

    /// The numbers of the reading and then of the members that lead to a view.
    fn path_of_view(&self, name: &str) -> Option<Vec<usize>> {
        fn find(members: &[Member], name: &str, path: &mut Vec<usize>) -> bool {
            members.iter().enumerate().any(|(number, member)| {
                path.push(number);
                let found = member.view.as_deref() == Some(name) || find(&member.followers, name, path);
                if !found {
                    path.pop();
                }
                found
            })
        }
        self.readings.iter().enumerate().find_map(|(number, reading)| {
            let mut path = vec![number];
            find(&reading.members, name, &mut path).then_some(path)
        })
    }

    fn followers_at(&mut self, path: &[usize]) -> Result<&mut Vec<Member>> {
        let (reading, path) = path.split_first().ok_or_else(internal)?;
        let mut members = &mut self.readings.get_mut(*reading).ok_or_else(internal)?.members;
        for &number in path {
            members = &mut members.get_mut(number).ok_or_else(internal)?.followers;
        }
        Ok(members)
    }

    /// The runs that read.
    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.readings.iter().filter_map(|reading| reading.lead.as_ref()).chain(self.others.iter().map(|(run, _)| run))
    }

    /// Runs all queries, which write no header, when the inputs are [open](Pass::open). Rows go to the outputs, rejected
    /// lines to the `rejects` of their source, as JSON Lines. To be called once.
    pub fn execute<W: Write + Send + Keep>(
        &self,
        outputs: Vec<W>,
        rejects: BTreeMap<String, Box<dyn Write + Send>>,
        cuts: Option<&Cuts<'_>>,
    ) -> PassOutcome<W> {
        let rejects = rejects.into_iter().map(|(name, writer)| (name, RejectsWriter::new(writer)));
        let rejects = Rejects::Named(rejects.collect());
        let state = State {
            outputs: Mutex::new(outputs.into_iter().map(Some).collect()),
            summaries: Mutex::new(vec![Summary::default(); self.outputs]),
            lookups: Mutex::default(),
            views: Mutex::default(),
            ends: Mutex::new(self.from.as_ref().map_or(Vec::new(), |from| from.ends.clone())),
        };
        let mut inputs: Vec<(String, Summary)> = Vec::new();
        let mut result = Ok(());
        if let Some(from) = &self.from {
            let ended = from.before.iter().map(CollectorState::summary);
            inputs.extend(self.readings.iter().map(|reading| reading.name.clone()).zip(ended));
            let mut summaries = state.summaries.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            for (summary, known) in summaries.iter_mut().zip(&from.summaries) {
                if let Some(known) = known {
                    *summary = known.summary();
                }
            }
        }
        let first = inputs.len();
        for (number, reading) in self.readings.iter().enumerate().skip(first) {
            if result.is_err() {
                break;
            }
            let start = Instant::now();
            let Some(lead) = &reading.lead else { continue };
            let from = self.from.as_ref().filter(|from| from.reading == number);
            let cutting = cuts.map(|cuts| Cutting { cuts, number, before: &inputs, from });
            let keeping = self.keeping.as_ref().filter(|_| reading.is_in_parts);
            let keeping = keeping.map(|keeping| (keeping, number, reading.name.as_str()));
            let (ended, mut summary) =
                self.read((lead, Share::WHOLE), &reading.members, &state, Some(&rejects), cutting.as_ref(), keeping);
            summary.wall = start.elapsed();
            inputs.push((reading.name.clone(), summary));
            result = ended;
        }
        for (run, output) in &self.others {
            if result.is_err() {
                break;
            }
            result = state.take(*output).and_then(|writer| {
                let outcome = run.execute_within(writer, None, Some(&rejects));
                inputs.push((run.inputs().join(", "), outcome.summary.clone()));
                state.put(*output, outcome.summary, outcome.result)
            });
        }
        // The rejects explain a failed run, so they are written in any case.
        let flushed = rejects.flush();
        let State { outputs, summaries, lookups, views, ends } = state;
        let outputs = outputs.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let outputs =
            result.and(flushed).and_then(|()| outputs.into_iter().map(|output| output.ok_or_else(internal)).collect());
        PassOutcome {
            result: outputs,
            inputs,
            lookups: lookups.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()),
            outputs: summaries.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()),
            views: views.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()),
            end: PassEnd { readings: ends.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) },
        }
    }

    /// Reads one input for all that take its records.
    fn read<W: Write + Send + Keep>(
        &self,
        (lead, share): (&Run, Share),
        members: &[Member],
        state: &State<W>,
        rejects: Option<&Rejects>,
        cutting: Option<&Cutting<'_>>,
        keeping: Option<(&Keeping, usize, &str)>,
    ) -> (Result<()>, Summary) {
        let keeps = keeping.is_some();
        let (seats, are_kept) = (vec![Seat::of(lead)], vec![false]);
        let mut seating = Seating { share, seats, are_kept, keeps, ..Seating::default() };
        seating.targets.push(Target::Nothing);
        seating.sides.push(Vec::new());
        seating.within.push(Within::default());
        match seating.seat(members, None, rejects) {
            Ok(()) => self.work(seating, state, rejects, cutting, keeping),
            Err(error) => (Err(error), Summary::default()),
        }
    }

    /// Lets all seats work, and those that read what comes at the end of some.
    fn work<W: Write + Send + Keep>(
        &self,
        seating: Seating<'_>,
        state: &State<W>,
        rejects: Option<&Rejects>,
        cutting: Option<&Cutting<'_>>,
        keeping: Option<(&Keeping, usize, &str)>,
    ) -> (Result<()>, Summary) {
        let Seating { share, seats, targets, sides, within, are_kept, .. } = seating;
        let lead = seats[0].run;
        let (share, behind) = self.shares(share, &targets);
        let mut below = Vec::new();
        let collectors = seats.iter().zip(&targets).enumerate().map(|(number, (seat, target))| {
            let settings = &seat.run.settings;
            let out = match target {
                Target::Nothing => Out::Nothing,
                Target::Output(output) => Out::Given(state.take(*output)?),
                Target::Pipe(name, members) => {
                    let (reader, writer) = std::io::pipe()
                        .map_err(|err| Error::new(ErrorKind::Resource, "no pipe can be made").caused_by(err))?;
                    below.push((self.piped(reader, name)?, *members));
                    Out::Pipe(writer)
                }
            };
            let sink = Sink::new(out, settings.format, None, &self.shared.budget)?;
            let rejects = if number == 0 { rejects } else { None };
            let collector = Collector::new(seat.run, (&lead.input, number == 0), sink, rejects);
            for fault in sides[number].iter().flatten().flat_map(|side: &Side| side.faults.tallies()) {
                collector.take_unplaced_fault(*fault, false)?;
            }
            Ok(collector)
        });
        let collectors = match collectors.collect::<Result<Vec<Collector<'_, Out<W>>>>>() {
            Ok(collectors) => collectors,
            Err(error) => return (Err(error), Summary::default()),
        };
        // What goes on behind a pipe while the input is read cannot be written down.
        let is_cut = |(seat, target): (&Seat, &Target)| match target {
            Target::Pipe(..) => !seat.run.plan.order.is_empty() || matches!(seat.run.plan.body, Body::Groups(_)),
            _ => true,
        };
        let cutting = cutting.filter(|_| seats.iter().zip(&targets).all(is_cut));
        let cutter = cutting.map(|cutting| Cutter::new(cutting.cuts, cutting.from, &self.shared.space)).transpose();
        let cutter = match cutter {
            Ok(cutter) => cutter,
            Err(error) => return (Err(error), Summary::default()),
        };
        if let Some(from) = cutting.and_then(|cutting| cutting.from) {
            for (collector, seat) in collectors.iter().zip(&from.seats) {
                collector.restore(&seat.collector);
            }
        }
        std::thread::scope(|scope| {
            // A reader that has ended has nothing open any more, or whoever writes to it would wait for ever.
            let readers: Vec<_> = below
                .into_iter()
                .map(|(lead, members)| {
                    scope.spawn(move || self.read((&lead, behind), members, state, rejects, None, None).0)
                })
                .collect();
            let parts = {
                let write = |deposits: Vec<Deposit>| match (cutting, &cutter) {
                    (Some(cutting), Some(cutter)) => {
                        self.cut(cutting, cutter, deposits, &targets, &collectors, state, rejects)
                    }
                    _ => Ok(()),
                };
                let cuts = cutter.as_ref().map(|cutter| CutsOf { cutter, write: &write });
                work::work(&seats, &collectors, sides, share, cuts.as_ref())
            };
            let parts = parts.and_then(|mut parts| {
                if let Some((keeping, number, name)) = keeping {
                    let names = lead.input.names().iter().cloned();
                    let lines = names.zip(collectors[0].lines()).collect();
                    let runs: Vec<(&Run, bool)> = seats.iter().map(|seat| seat.run).zip(are_kept).collect();
                    let end = keeping.close(number, name, lines, &runs, &mut parts)?;
                    state.ends.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(end);
                }
                Ok(parts)
            });
            let mut result = Ok(());
            let mut summary = Summary::default();
            let mut parts = match parts {
                Ok(parts) => parts.into_iter(),
                Err(error) => {
                    result = Err(error);
                    Vec::new().into_iter()
                }
            };
            let seats = seats.iter().zip(targets).zip(collectors.into_iter().zip(within)).enumerate();
            for (number, ((seat, target), (collector, within))) in seats {
                let parts = parts.next();
                let ended = match (&result, parts) {
                    (Ok(()), Some(parts)) => emit::emit(seat.run, &collector, parts),
                    // What ended the others is told by them.
                    _ => Err(Error::new(ErrorKind::ClosedPipe, "the pass has ended")),
                };
                let is_full = collector.is_full();
                let lookups = within.lookups(seat.run);
                state.lookups.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(lookups);
                let (ended, own) = collector.finish(ended, |summary| within.add_to(summary));
                match target {
                    _ if number == 0 => summary = own.clone(),
                    Target::Output(_) => {}
                    Target::Nothing | Target::Pipe(..) => {
                        state.views.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(own.clone());
                    }
                }
                let ended = match (ended, target) {
                    (Ok(Out::Given(writer)), Target::Output(output)) => state.put(output, own, Ok(writer)),
                    // Those that read it want no more.
                    (Err(error), Target::Pipe(..)) if error.kind() == ErrorKind::ClosedPipe && result.is_ok() => Ok(()),
                    (Err(error), _) if is_full && error.kind() == ErrorKind::ClosedPipe => Ok(()),
                    (ended, _) => ended.map(drop),
                };
                result = result.and(ended);
            }
            for reader in readers {
                let ended = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = result.and(ended);
            }
            (result, summary)
        })
    }

    /// Writes down what is known.
    #[expect(clippy::too_many_arguments, reason = "all of it is what is known")]
    fn cut<W: Write + Send + Keep>(
        &self,
        cutting: &Cutting<'_>,
        cutter: &Cutter<'_>,
        deposits: Vec<Deposit>,
        targets: &[Target<'_>],
        collectors: &[Collector<'_, Out<W>>],
        state: &State<W>,
        rejects: Option<&Rejects>,
    ) -> Result<()> {
        if let Some(rejects) = rejects {
            rejects.flush()?;
        }
        let (cuts, runs) = cutter.keep(deposits, collectors.len())?;
        let mut outputs = vec![Json::Null; self.outputs];
        let mut seats = Vec::with_capacity(collectors.len());
        for ((collector, target), (paths, runs)) in collectors.iter().zip(targets).zip(runs) {
            let (found, output) = collector.cut()?;
            if let Target::Output(number) = target {
                outputs[*number] = output;
            }
            seats.push(SeatState::new(found, paths, runs));
        }
        let mut others = state.outputs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (output, other) in outputs.iter_mut().zip(others.iter_mut()) {
            if let Some(other) = other {
                *output = other.keep()?;
            }
        }
        let summaries = state.summaries.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let is_begun = |summary: &Summary| summary.records_in > 0;
        let summaries = summaries.iter().map(|summary| is_begun(summary).then(|| CollectorState::of_summary(summary)));
        let found = PassState {
            block_size: self.settings.block_size,
            reading: cutting.number,
            before: cutting.before.iter().map(|(_, summary)| CollectorState::of_summary(summary)).collect(),
            seats,
            outputs,
            summaries: summaries.collect(),
            cuts,
            ends: state.ends.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone(),
        };
        (cutter.cuts().write)(&found)
    }

    /// The lead of those that take the rows of a pipe.
    fn piped(&self, reader: std::io::PipeReader, name: &str) -> Result<Run> {
        let settings = Settings {
            max_line: Settings::MAX_LINE,
            max_depth: u32::MAX,
            input_format: Some(InputFormat::Jsonl),
            max_errors: None,
            ..self.settings.clone()
        };
        let (options, _) = super::prepare(&mut lead_plan()?, &settings, false)?;
        // It is never compressed.
        let options = InputOptions { max_window: 0, window: Some(allotment::window(&settings)), ..options };
        let input = Input::from_reader(reader, name, options)?;
        Ok(Run::new(lead_plan()?, input, settings, true, self.shared.clone()))
    }

    /// Of a share of the memory that of a reading, and that of each of those behind its pipes.
    fn shares(&self, whole: Share, targets: &[Target<'_>]) -> (Share, Share) {
        fn is_light(members: &[Member]) -> bool {
            let light = |Member { run, followers, .. }: &Member| {
                run.plan.steps.is_empty() && !run.plan.keeps_values() && is_light(followers)
            };
            members.iter().all(light)
        }
        let piped = targets.iter().filter_map(|target| match target {
            Target::Pipe(_, members) => Some(is_light(members)),
            _ => None,
        });
        let piped: Vec<bool> = piped.collect();
        let Settings { memory_limit, block_size, .. } = self.settings;
        whole.with_pipes(piped.len(), !piped.contains(&false), memory_limit, block_size)
    }
}

impl Progressing for Pass {
    fn progress(&self) -> Progress {
        self.runs().map(Run::progress).sum()
    }

    fn records(&self) -> u64 {
        self.runs().map(Run::records).sum()
    }

    fn spilled(&self) -> crate::spill::Spilled {
        self.shared.space.spilled()
    }
}

/// Where cuts of one reading are.
struct Cutting<'a> {
    cuts: &'a Cuts<'a>,
    /// The number of the reading.
    number: usize,
    /// What happened in those before it.
    before: &'a [(String, Summary)],
    from: Option<&'a PassState>,
}

/// What a run in a pass is for.
struct Place {
    output: Option<usize>,
    view: Option<String>,
    /// Whether its rows are to know line numbers.
    counts_lines: bool,
}

/// What the runs of a pass share.
struct State<W> {
    outputs: Mutex<Vec<Option<W>>>,
    summaries: Mutex<Vec<Summary>>,
    lookups: Mutex<Vec<(String, Summary)>>,
    views: Mutex<Vec<Summary>>,
    /// What is kept of the inputs that have been read.
    ends: Mutex<Vec<ReadingEnd>>,
}

impl<W> State<W> {
    fn take(&self, output: usize) -> Result<W> {
        let mut outputs = self.outputs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        outputs.get_mut(output).and_then(Option::take).ok_or_else(internal)
    }

    fn put(&self, output: usize, summary: Summary, writer: Result<W>) -> Result<()> {
        self.summaries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[output] = summary;
        let writer = writer?;
        self.outputs.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[output] = Some(writer);
        Ok(())
    }
}

/// Where the rows of a run go.
enum Target<'p> {
    /// To those that take them as they are made, or nowhere.
    Nothing,
    Output(usize),
    /// To those that read them from a pipe of this name.
    Pipe(&'p str, &'p [Member]),
}

/// The writer of one run.
enum Out<W> {
    Nothing,
    Given(W),
    Pipe(PipeWriter),
}

impl<W: Keep> Keep for Out<W> {
    fn keep(&mut self) -> Result<Json> {
        match self {
            Out::Given(writer) => writer.keep(),
            Out::Nothing | Out::Pipe(_) => Ok(Json::Null),
        }
    }
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Out::Nothing => Ok(bytes.len()),
            Out::Given(writer) => writer.write(bytes),
            Out::Pipe(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Out::Nothing => Ok(()),
            Out::Given(writer) => writer.flush(),
            Out::Pipe(writer) => writer.flush(),
        }
    }
}

/// The runs that work together.
#[derive(Default)]
struct Seating<'p> {
    /// The part of the memory that they have, with those behind their pipes.
    share: Share,
    seats: Vec<Seat<'p>>,
    targets: Vec<Target<'p>>,
    sides: Vec<Vec<Option<Side>>>,
    within: Vec<Within>,
    /// Whether what they have is kept for a later pass.
    are_kept: Vec<bool>,
    /// Whether anything is.
    keeps: bool,
}

impl<'p> Seating<'p> {
    /// Seats members that take the rows of a seat, and those that take theirs as they are made.
    fn seat(&mut self, members: &'p [Member], follows: Option<usize>, rejects: Option<&Rejects>) -> Result<()> {
        for member in members {
            let number = self.seats.len();
            let mut within = Within::default();
            let sides = member.run.keep_sides(rejects, &mut within)?;
            let is_on_disk = sides.iter().flatten().any(Side::is_on_disk);
            let can_stream = member.run.plan.streams();
            let streams = can_stream && !is_on_disk;
            if self.keeps && is_on_disk && can_stream && !member.followers.is_empty() {
                // The records would come from the disk in another order, and at places that do not last.
                let name = member.view.as_deref().unwrap_or("a query");
                return Err(Error::new(
                    ErrorKind::Resource,
                    format!("an incremental job has to hold what {name} joins its records with in memory"),
                )
                .hint("raise --memory-limit"));
            }
            self.seats.push(Seat { run: &member.run, follows });
            self.are_kept.push(self.keeps && !member.is_anew);
            self.sides.push(sides);
            self.within.push(within);
            self.targets.push(match member.output {
                Some(output) => Target::Output(output),
                None if streams => Target::Nothing,
                None => Target::Pipe(member.view.as_deref().unwrap_or("subquery"), &member.followers),
            });
            if streams {
                self.seat(&member.followers, Some(number), rejects)?;
            }
        }
        Ok(())
    }
}

/// Has views give rows with those keys alone that are read of them, where that is known.
fn narrow_views(members: &mut [Member]) {
    for Member { run, view, output, followers, .. } in members {
        narrow_views(followers);
        if view.is_none() || output.is_some() {
            continue;
        }
        let keys: Option<Vec<_>> = followers.iter_mut().map(|follower| follower.run.plan.keys_read()).collect();
        if let Some(keys) = keys {
            run.plan.give_only(&keys.into_iter().flatten().collect(), true);
            let asked = run.plan.keys_asked();
            followers.iter_mut().for_each(|follower| follower.run.plan.asked_within.clone_from(&asked));
        }
    }
}

/// Whether a plan takes the records of one source, through queries one within the other.
fn can_follow(plan: &Plan) -> bool {
    match &plan.source {
        Source::Input => false,
        Source::Named(_) | Source::Files(_) => true,
        Source::Queries { queries, .. } => matches!(queries.as_slice(), [query] if can_follow(query)),
    }
}

/// How many pipes there are between members and their followers, at most.
fn pipes(members: &[Member]) -> usize {
    let of = |member: &Member| {
        let may_be_piped = !member.run.plan.streams() || !member.run.plan.steps.is_empty();
        usize::from(may_be_piped && !member.followers.is_empty()) + pipes(&member.followers)
    };
    members.iter().map(of).sum()
}

/// How many members hand rows on to others, which scan them.
fn scans(members: &[Member]) -> usize {
    members.iter().map(|member| usize::from(!member.followers.is_empty()) + scans(&member.followers)).sum()
}

/// The most bytes of blocks where there are cuts: who goes on from one may have less memory, and needs blocks of the same
/// size.
const MOST_CUT_BLOCK: usize = 128 << 10;

/// The least size of blocks that is chosen where the memory limit asks for small ones.
const LEAST_BLOCK: usize = 16 << 10;

fn share_memory(members: &mut [Member], sharers: usize) {
    for member in members {
        member.run.share_memory(sharers);
        share_memory(&mut member.followers, sharers);
    }
}

/// The plan of a lead: it counts the records.
fn lead_plan() -> Result<Plan> {
    crate::sql::plan("select count(*)")
}

fn internal() -> Error {
    Error::new(ErrorKind::Internal, "the parts of a pass do not fit together")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Catalog;

    const ENRICHED: &str = "select o.*, u.country, quantity * price as amount from orders o left join users u using (userId) \
                            where status = 'completed'";

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.add_source("orders");
        catalog.add_source("users");
        catalog.add_view("enriched", ENRICHED);
        catalog.add_view(
            "by_country",
            "select country, count(*) as n, sum(amount) as total from enriched group by country",
        );
        catalog
    }

    fn arguments() -> Arguments {
        let source = |file: &str| NamedSource { files: vec![file.to_owned()], ..NamedSource::default() };
        let named = [("orders", source("fixtures/orders*.jsonl")), ("users", source("fixtures/users.jsonl"))];
        Arguments::named(named.map(|(name, source)| (name.to_owned(), source)).into())
    }

    fn settings(threads: usize, block_size: usize) -> Settings {
        Settings { threads, block_size, ..Settings::default() }
    }

    /// The outputs of queries in one pass, and the names and records of what was read.
    fn together(queries: &[&str], settings: Settings) -> (Vec<String>, BTreeMap<String, u64>) {
        let (catalog, mut arguments) = (catalog(), arguments());
        let mut pass = Pass::new(settings).unwrap();
        for query in queries {
            pass.add(catalog.plan(query).unwrap(), Format::Jsonl, &mut arguments).unwrap();
        }
        pass.open(&mut arguments, false).unwrap();
        let outcome = pass.execute(queries.iter().map(|_| Vec::new()).collect(), BTreeMap::new(), None);
        let outputs = outcome.result.unwrap().into_iter().map(|bytes: Vec<u8>| String::from_utf8(bytes).unwrap());
        let read = outcome.inputs.into_iter().map(|(name, summary)| (name, summary.records_in));
        (outputs.collect(), read.collect())
    }

    /// The output of a query that is run alone.
    fn alone(query: &str, settings: Settings) -> String {
        let run = Run::prepare(catalog().plan(query).unwrap(), &mut arguments(), settings, false).unwrap();
        String::from_utf8(run.execute(Vec::new(), None).result.unwrap()).unwrap()
    }

    const QUERIES: [&str; 20] = [
        "select * from enriched",
        "select count(*) as n, sum(amount) as total, count(distinct userId) as users from enriched",
        "select status, count(*) as n from orders group by status",
        "select orderId, price from orders order by price desc limit 7",
        "select orderId, amount from enriched order by amount desc, orderId limit 5",
        "select * from by_country order by n desc",
        "select max(total) as most, count(*) as n from by_country",
        "select avg(n) as mean from (select userId, count(*) as n from enriched group by userId)",
        "select first(orderId) as a, last(orderId) as z, min(_line) as l from enriched",
        "select _line, _offset, orderId from orders where price > 900",
        "select orderId from enriched limit 3 offset 2",
        "select country, count(*) as n from users group by country",
        // What these have in common is evaluated once.
        "select date(orderDate) as d, sum(price * quantity) as s from orders group by d",
        "select date(orderDate) as d, max(price * quantity) as m from orders where status = 'completed' group by d",
        "select orderId, price * quantity + 1 as a from orders where status = 'completed'",
        "select orderId from orders where price * quantity > 3000 order by price * quantity desc, orderId limit 9",
        "select sum(cast(status as int)) as i, count(upper(status)) as n from orders",
        "select cast(status as int) as i, upper(status) as u from orders where date(orderDate) > date '2025-03-01'",
        "select date(orderDate) as d, sum(amount) as s, max(amount * 2) as m from enriched group by d",
        "select orderId, amount * 2 as twice, case when amount > 100 then date(orderDate) end as d from enriched",
    ];

    #[test]
    fn one_pass_gives_what_each_query_gives_alone() {
        for (threads, block_size) in [(1, 1 << 20), (2, 4 << 10), (8, 700)] {
            let (found, read) = together(&QUERIES, settings(threads, block_size));
            for (query, found) in QUERIES.iter().zip(found) {
                // What `_line` is of the rows of a query that is run alone are the lines of these rows.
                if query.contains("min(_line)") {
                    assert!(found.contains("\"l\":1"), "{found}");
                    continue;
                }
                assert_eq!(
                    found,
                    alone(query, settings(1, 1 << 20)),
                    "{query}, {threads} threads, blocks of {block_size}"
                );
            }
            assert_eq!(read.keys().collect::<Vec<_>>(), ["orders", "users"]);
        }
    }
}
