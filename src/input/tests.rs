#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::codec::Codec;
use super::*;

const CODECS: [Codec; 5] = [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz, Codec::Lz4];

/// What a worker saw of one block.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    file: u32,
    index: u64,
    last: bool,
    offset: u64,
    first_line: Option<u64>,
    bytes: Vec<u8>,
    overlong: Option<(u64, Vec<u8>)>,
}

impl Seen {
    fn of(block: &Block) -> Seen {
        Seen {
            file: block.file,
            index: block.index,
            last: block.last,
            offset: block.offset,
            first_line: block.first_line,
            bytes: block.bytes().to_vec(),
            overlong: block.overlong().map(|line| (line.offset, line.prefix.to_vec())),
        }
    }
}

/// Reads everything with some workers. Blocks are retired as an ordered consumer would do it: each when all blocks
/// before it are there. Gives the blocks in order, and the first error.
fn read_all(input: &Input, workers: usize) -> (Vec<Seen>, Option<Error>) {
    struct Consumer {
        held: Vec<Seen>,
        done: Vec<Seen>,
        file: u32,
        index: u64,
    }
    let consumer = Mutex::new(Consumer { held: Vec::new(), done: Vec::new(), file: 0, index: 0 });
    let error = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut block = Block::new();
                loop {
                    match input.next(&mut block) {
                        Ok(false) => break,
                        Err(failure) => *error.lock().unwrap() = Some(failure),
                        Ok(true) => {
                            let mut consumer = consumer.lock().unwrap();
                            consumer.held.push(Seen::of(&block));
                            while let Some(at) = consumer
                                .held
                                .iter()
                                .position(|seen| seen.file == consumer.file && seen.index == consumer.index)
                            {
                                let seen = consumer.held.swap_remove(at);
                                input.retire(seen.file);
                                consumer.index += 1;
                                if seen.last {
                                    consumer.file += 1;
                                    consumer.index = 0;
                                }
                                consumer.done.push(seen);
                            }
                        }
                    }
                }
            });
        }
    });
    let consumer = consumer.into_inner().unwrap();
    let error = error.into_inner().unwrap();
    assert!(error.is_some() || consumer.held.is_empty(), "indexes are not dense");
    (consumer.done, error)
}

/// One line: its offset, and its bytes with the newline or, if it is too long, its prefix.
type Line = (u64, std::result::Result<Vec<u8>, Vec<u8>>);

/// The lines of a file, found in the most obvious way.
fn naive_lines(content: &[u8], max_line: usize) -> Vec<Line> {
    let start = if content.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut offset = start as u64;
    let mut lines = Vec::new();
    for line in content[start..].split_inclusive(|&byte| byte == b'\n') {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let seen = if body.len() > max_line { Err(body[..max_line].to_vec()) } else { Ok(line.to_vec()) };
        lines.push((offset, seen));
        offset += line.len() as u64;
    }
    lines
}

/// The lines of one file's blocks, after checking what each block says of itself.
fn lines_of(blocks: &[Seen], count_lines: bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, seen) in blocks.iter().enumerate() {
        assert_eq!(seen.index, index as u64);
        assert_eq!(seen.last, index + 1 == blocks.len());
        assert_eq!(seen.first_line, count_lines.then_some(lines.len() as u64));
        let mut offset = seen.offset;
        for line in seen.bytes.split_inclusive(|&byte| byte == b'\n') {
            lines.push((offset, Ok(line.to_vec())));
            offset += line.len() as u64;
        }
        if let Some((at, prefix)) = &seen.overlong {
            assert_eq!(*at, offset);
            lines.push((*at, Err(prefix.clone())));
        }
    }
    lines
}

fn encode(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(
                lz4_flex::frame::FrameInfo::new().content_checksum(true),
                Vec::new(),
            );
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// A reader of short reads that is interrupted now and then.
struct Stutter {
    bytes: Vec<u8>,
    at: usize,
    state: u32,
}

impl Read for Stutter {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let dice = (self.state >> 24) as usize;
        if dice.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = (1 + dice % 7).min(into.len()).min(self.bytes.len() - self.at);
        into[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => prop::collection::vec(b'a'..=b'z', 0..12),
        2 => prop::collection::vec(b'a'..=b'z', 0..80),
        1 => prop::collection::vec(b'a'..=b'z', 0..700),
    ];
    let lines = prop::collection::vec((line, any::<bool>()), 0..25);
    (lines, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(lines, newline, bom)| {
        let mut bytes = if bom { BOM_BYTES.to_vec() } else { Vec::new() };
        for (line, cr) in lines {
            bytes.extend(line);
            bytes.extend(if cr { &b"\r\n"[..] } else { b"\n" });
        }
        if !newline && bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        bytes
    })
}

const BOM_BYTES: [u8; 3] = [0xef, 0xbb, 0xbf];

fn options() -> impl Strategy<Value = InputOptions> {
    (1usize..300, prop_oneof![8usize..40, 8usize..800], any::<bool>(), prop::option::of(1usize..5), 1usize..4).prop_map(
        |(block_size, max_line, count_lines, window, decoders)| InputOptions {
            block_size,
            max_line,
            count_lines,
            window,
            decoders,
            ..InputOptions::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn files_give_their_lines(
        files in prop::collection::vec((content(), 0usize..9, 0usize..1000), 1..5),
        options in options(),
        workers in 1usize..5,
    ) {
        let dir = TempDir::new().unwrap();
        let mut sources = Vec::new();
        let mut size = 0;
        for (i, (content, kind, split)) in files.iter().enumerate() {
            let path = dir.path().join(i.to_string());
            let stored = match CODECS.get(*kind) {
                None => content.clone(),
                Some(&codec) => {
                    let (left, right) = content.split_at(*split.min(&content.len()));
                    [encode(codec, left), encode(codec, right)].concat()
                }
            };
            size += stored.len() as u64;
            std::fs::write(&path, stored).unwrap();
            sources.push(Source::File(path));
        }
        let input = Input::open(sources, options.clone()).unwrap();
        let (seen, error) = read_all(&input, workers);
        prop_assert!(error.is_none(), "{:?}", error);
        for (i, (content, ..)) in files.iter().enumerate() {
            let blocks: Vec<Seen> = seen.iter().filter(|seen| seen.file == i as u32).cloned().collect();
            prop_assert_eq!(lines_of(&blocks, options.count_lines), naive_lines(content, options.max_line));
        }
        let content: u64 = files.iter().map(|(content, ..)| content.len() as u64).sum();
        prop_assert_eq!(input.progress(), Progress { bytes: size, total: Some(size), decompressed: content });
    }

    #[test]
    fn readers_give_their_lines(
        content in content(),
        kind in 0usize..9,
        seed in any::<u32>(),
        options in options(),
        workers in 1usize..5,
    ) {
        let stored = CODECS.get(kind).map_or_else(|| content.clone(), |&codec| encode(codec, &content));
        let size = stored.len() as u64;
        let reader = Stutter { bytes: stored, at: 0, state: seed };
        let input = Input::from_reader(reader, "stutter", options.clone()).unwrap();
        let (seen, error) = read_all(&input, workers);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(lines_of(&seen, options.count_lines), naive_lines(&content, options.max_line));
        prop_assert_eq!(input.progress(), Progress { bytes: size, total: None, decompressed: content.len() as u64 });
    }
}

/// Lines that compress badly.
fn noise(lines: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut bytes = Vec::new();
    for _ in 0..lines {
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(bytes, "{:x}", state >> 16).unwrap();
        }
        bytes.push(b'\n');
    }
    bytes
}

fn read_bytes(stored: Vec<u8>) -> (Vec<u8>, Option<Error>) {
    let options = InputOptions { block_size: 1000, ..InputOptions::default() };
    let input = Input::from_reader(io::Cursor::new(stored), "x", options).unwrap();
    let (seen, error) = read_all(&input, 2);
    (seen.into_iter().flat_map(|seen| seen.bytes).collect(), error)
}

#[test]
fn truncated_data_is_an_error() {
    let content = noise(3000);
    for codec in CODECS {
        let stored = encode(codec, &content);
        let early = (6..40).chain([stored.len() / 2]).chain(stored.len() - 20..stored.len());
        for len in early {
            let (bytes, error) = read_bytes(stored[..len].to_vec());
            let error = error.unwrap_or_else(|| panic!("{codec:?} cut to {len} of {} bytes", stored.len()));
            assert_eq!(error.kind(), ErrorKind::Input);
            assert_eq!(error.message(), "the compressed data ends early", "{codec:?} {len}");
            assert_eq!(error.place(), Some(&Place::File("x".into())));
            assert!(content.starts_with(&bytes) && (bytes.is_empty() || bytes.ends_with(b"\n")));
            assert!(len < stored.len() / 2 || codec != Codec::Gzip || !bytes.is_empty(), "{codec:?} {len}");
        }
        // The second member is cut.
        let twice = [&stored[..], &stored[..stored.len() / 3]].concat();
        let (bytes, error) = read_bytes(twice);
        assert!(error.is_some() && bytes.starts_with(&content), "{codec:?}");
    }
}

#[test]
fn corrupt_data_is_an_error() {
    let content = noise(3000);
    for codec in CODECS {
        let mut stored = encode(codec, &content);
        let middle = stored.len() / 2;
        stored[middle..middle + 8].fill(0x55);
        let (_, error) = read_bytes(stored);
        let message = error.map(|error| error.message().to_string());
        assert_eq!(message.as_deref(), Some("the compressed data is corrupt"), "{codec:?}");
        let garbage = [encode(codec, &content), b"garbage".to_vec()].concat();
        let (bytes, error) = read_bytes(garbage);
        assert!(error.is_some() && bytes == content, "{codec:?} with garbage after it");
    }
}

#[test]
fn gzip_may_be_padded_with_zeros() {
    let padded = [encode(Codec::Gzip, b"a\nb\n"), vec![0; 1000]].concat();
    let (bytes, error) = read_bytes(padded);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(bytes, b"a\nb\n");
}

#[test]
fn zstd_may_begin_with_a_skippable_frame() {
    let frame = [&b"\x53\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd::encode_all(&b"a\n"[..], 1).unwrap()].concat();
    let (bytes, error) = read_bytes(frame);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(bytes, b"a\n");
}

#[test]
fn zstd_windows_have_a_limit() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(&noise(1000)).unwrap();
    let (_, error) = read_bytes(encoder.finish().unwrap());
    assert!(error.unwrap().message().contains("128 MiB"));
}

#[test]
fn short_inputs() {
    for content in ["", "\n", "1", "1\n", "12345", "BZ", "\u{feff}", "\u{feff}1\n"] {
        let (bytes, error) = read_bytes(content.as_bytes().to_vec());
        assert!(error.is_none());
        assert_eq!(bytes, content.trim_start_matches('\u{feff}').as_bytes());
    }
}

#[test]
fn lines_of_a_silent_pipe_go_on_at_once() {
    let (reader, mut writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
    let input = Input::open(vec![Source::File(path)], InputOptions::default()).unwrap();
    let mut block = Block::new();
    for line in ["{}\n", "1\n2\n", "three\n"] {
        writer.write_all(line.as_bytes()).unwrap();
        writer.write_all(b"half").unwrap();
        assert!(input.next(&mut block).unwrap());
        assert!(block.bytes().ends_with(line.as_bytes()));
        assert!(block.eager && !block.last);
        assert_eq!(input.progress().total, None);
    }
    drop(writer);
    assert!(input.next(&mut block).unwrap());
    assert!(block.last && block.bytes() == b"half");
    assert!(!input.next(&mut block).unwrap());
}

#[test]
fn stop_wakes_those_who_wait() {
    let (reader, writer) = io::pipe().unwrap();
    let input = Input::from_reader(reader, "pipe", InputOptions::default()).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| input.next(&mut Block::new()).unwrap());
        thread::sleep(Duration::from_millis(20));
        input.stop();
        assert!(!waiting.join().unwrap());
    });
    assert!(!input.next(&mut Block::new()).unwrap());
    drop(writer);
}

#[test]
fn a_full_window_waits_for_retirement() {
    let options = InputOptions { block_size: 8, window: Some(2), ..InputOptions::default() };
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, noise(10)).unwrap();
    let input = Input::open(vec![Source::File(path)], options).unwrap();
    let mut block = Block::new();
    assert!(input.next(&mut block).unwrap());
    assert!(input.next(&mut block).unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| input.next(&mut Block::new()).unwrap());
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        input.retire(0);
        assert!(waiting.join().unwrap());
    });
}

/// A queued long line of a later file must not keep the front from growing its own.
#[test]
fn long_lines_of_many_streams_do_not_block_each_other() {
    for workers in 1..4 {
        let dir = TempDir::new().unwrap();
        let line = [vec![b'x'; 5000], b"\n".to_vec()].concat().repeat(20);
        let sources = (0..12)
            .map(|i| {
                let path = dir.path().join(i.to_string());
                let stored = if i % 3 == 0 { line.clone() } else { encode(Codec::Zstd, &line) };
                std::fs::write(&path, stored).unwrap();
                Source::File(path)
            })
            .collect();
        let options = InputOptions { block_size: 64, window: Some(1), decoders: 3, ..InputOptions::default() };
        let input = Input::open(sources, options).unwrap();
        let (seen, error) = read_all(&input, workers);
        assert!(error.is_none());
        assert_eq!(seen.iter().map(|seen| seen.bytes.len()).sum::<usize>(), 12 * line.len());
    }
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, noise(100)).unwrap();
    let options = InputOptions { block_size: 1000, ..InputOptions::default() };
    let input = Input::open(vec![Source::File(path.clone())], options).unwrap();
    let mut block = Block::new();
    assert!(input.next(&mut block).unwrap());
    File::options().write(true).open(&path).unwrap().set_len(1500).unwrap();
    let error = loop {
        match input.next(&mut block) {
            Ok(more) => assert!(more),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Input);
    assert_eq!(error.place(), Some(&Place::File(path)));
    assert!(error.message().contains("shorter"));
    assert!(!input.next(&mut block).unwrap());
}

#[test]
fn the_last_line_of_a_growing_file_is_read_to_its_end() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, "one\ntwo").unwrap();
    let options = InputOptions { block_size: 4, window: Some(1), ..InputOptions::default() };
    let input = Input::open(vec![Source::File(path.clone())], options).unwrap();
    let mut block = Block::new();
    assert!(input.next(&mut block).unwrap());
    input.retire(0);
    File::options().write(true).open(&path).unwrap().write_all_at(b"one\ntwo and a half\nthree\n", 0).unwrap();
    let mut rest = block.bytes().to_vec();
    // A chunk that had been read before the file grew keeps what it saw.
    let early = rest.len() > 4;
    while input.next(&mut block).unwrap() {
        rest.extend(block.bytes());
        input.retire(0);
    }
    assert_eq!(rest, if early { &b"one\ntwo"[..] } else { b"one\ntwo and a half\n" });
}

#[test]
fn good_lines_come_before_an_error() {
    let dir = TempDir::new().unwrap();
    let content = noise(2000);
    let mut sources = Vec::new();
    for name in ["a", "b", "missing"] {
        let path = dir.path().join(name);
        std::fs::write(&path, &content).unwrap();
        sources.push(Source::File(path));
    }
    let options = InputOptions { block_size: 1000, ..InputOptions::default() };
    let input = Input::open(sources, options).unwrap();
    std::fs::remove_file(dir.path().join("missing")).unwrap();
    let (seen, error) = read_all(&input, 3);
    assert_eq!(error.unwrap().place(), Some(&Place::File(dir.path().join("missing"))));
    assert_eq!(seen.iter().map(|seen| seen.bytes.len()).sum::<usize>(), 2 * content.len());
}

#[test]
fn thousands_of_small_files() {
    let dir = TempDir::new().unwrap();
    for i in 0..3000 {
        std::fs::write(dir.path().join(format!("{i:04}.jsonl")), format!("{i}\n")).unwrap();
    }
    let sources = expand(&[dir.path().join("*.jsonl").display().to_string()]).unwrap();
    assert_eq!(sources.len(), 3000);
    let start = Instant::now();
    for window in [None, Some(8)] {
        let input = Input::open(sources.clone(), InputOptions { window, ..InputOptions::default() }).unwrap();
        let (seen, error) = read_all(&input, 2);
        assert!(error.is_none());
        assert!(seen.iter().enumerate().all(|(i, seen)| seen.bytes == format!("{i}\n").into_bytes()));
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn expand_names_what_is_wrong() {
    let dir = TempDir::new().unwrap();
    for name in ["b.jsonl", "a.jsonl", "odd[1].jsonl", ".hidden.jsonl"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    std::fs::create_dir(dir.path().join("sub.jsonl")).unwrap();
    let arg = |name: &str| dir.path().join(name).display().to_string();
    let names = |args: &[String]| {
        expand(args).map(|sources| {
            let name = |source: &Source| match source {
                Source::Stdin => "-".to_string(),
                Source::File(path) => path.file_name().unwrap().to_str().unwrap().to_string(),
            };
            sources.iter().map(name).collect::<Vec<_>>()
        })
    };
    assert_eq!(names(&[arg("*.jsonl"), "-".into()]).unwrap(), ["a.jsonl", "b.jsonl", "odd[1].jsonl", "-"]);
    assert_eq!(names(&[arg("odd[1].jsonl")]).unwrap(), ["odd[1].jsonl"]);
    for wrong in ["*.csv", "none.jsonl", "[", "sub.jsonl"] {
        let error = names(&[arg(wrong)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert_eq!(error.place(), Some(&Place::File(arg(wrong).into())));
    }
    assert!(names(&[arg("sub.jsonl")]).unwrap_err().advice().is_some());
}
