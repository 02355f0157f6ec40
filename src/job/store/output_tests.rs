use std::collections::BTreeMap;
use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::spec::{Mode, RowFormat};
use super::*;

/// Bytes by the paths of staged files.
type Bytes = BTreeMap<String, Vec<u8>>;

/// What happens to an output.
#[derive(Clone, Debug)]
enum Act {
    Row(usize, Vec<u8>),
    /// A checkpoint.
    Position,
    /// A crash, and a new start from the last checkpoint.
    Crash,
}

const CHUNK: u64 = 64;

fn spec(partition_by: &[&str], compression: Compression, split: Split, buffer_bytes: usize) -> OutputSpec {
    OutputSpec {
        mode: Mode::Append,
        partition_by: partition_by.iter().map(|&column| column.to_owned()).collect(),
        compression,
        split,
        buffer_bytes,
        ..OutputSpec::new("out", "out")
    }
}

fn open(spec: &OutputSpec, staging: &Path, position: Option<&Position>) -> Output {
    let mut output = match position {
        None => {
            std::fs::remove_dir_all(staging).unwrap();
            std::fs::create_dir(staging).unwrap();
            Output::new(spec.clone(), staging).unwrap()
        }
        Some(position) => Output::resume(spec.clone(), staging, position).unwrap(),
    };
    output.chunk = output.chunk.min(CHUNK);
    output
}

fn finish(output: Output, staging: &Path) -> Bytes {
    let rows = output.rows();
    let (_, total, files) = output.finish().unwrap();
    assert_eq!(rows, total);
    assert_eq!(files.iter().map(|file| file.written.rows).sum::<u64>(), rows);
    let mut bytes = Bytes::new();
    for file in files {
        let read = std::fs::read(staging.join(&file.staged)).unwrap();
        let mut again = Written::nothing();
        again.add(&read);
        assert_eq!((again.bytes, again.checksum()), (file.written.bytes, file.written.checksum()));
        assert_eq!(file.staged, joined(&file.partition, &file.name));
        bytes.insert(file.staged, read);
    }
    bytes
}

fn partition_name(spec: &OutputSpec, number: usize) -> String {
    if spec.partition_by.is_empty() { String::new() } else { format!("p={number}") }
}

/// All rows, one by one or all at once, without interruption.
fn straight(spec: &OutputSpec, acts: &[Act], at_once: bool) -> Bytes {
    let folder = tempfile::tempdir().unwrap();
    let mut output = open(&OutputSpec { buffer_bytes: 1 << 20, ..spec.clone() }, folder.path(), None);
    let mut all = Vec::new();
    for act in acts {
        let Act::Row(partition, row) = act else { continue };
        match at_once {
            true => all.extend_from_slice(row),
            false => output.write_to(&partition_name(spec, *partition), row).unwrap(),
        }
    }
    if at_once {
        output.write_rows(&all).unwrap();
    }
    finish(output, folder.path())
}

/// The rows, with checkpoints and crashes. Rows of one partition between them go in calls of several.
fn disturbed(spec: &OutputSpec, acts: &[Act]) -> Bytes {
    let folder = tempfile::tempdir().unwrap();
    let mut acts = acts.to_vec();
    let mut output = open(spec, folder.path(), None);
    // The checkpoint, and the act after it.
    let mut checkpoint: Option<(String, usize)> = None;
    let mut next = 0;
    while next < acts.len() {
        match acts[next].clone() {
            Act::Row(partition, row) if spec.partition_by.is_empty() && partition % 2 == 0 => {
                let mut rows = row;
                while let Some(Act::Row(_, row)) = acts.get(next + 1) {
                    rows.extend_from_slice(row);
                    next += 1;
                }
                output.write_rows(&rows).unwrap();
            }
            Act::Row(partition, row) => {
                let mut rows = row;
                while let Some(Act::Row(_, row)) =
                    acts.get(next + 1).filter(|act| matches!(act, Act::Row(other, _) if *other == partition))
                {
                    rows.extend_from_slice(row);
                    next += 1;
                }
                output.write_to(&partition_name(spec, partition), &rows).unwrap();
            }
            Act::Position => {
                let position = serde_json::to_string(&output.position().unwrap()).unwrap();
                checkpoint = Some((position, next + 1));
            }
            Act::Crash => {
                // It crashes once.
                acts.remove(next);
                drop(output);
                let (position, at) = match &checkpoint {
                    Some((position, at)) => (Some(serde_json::from_str(position).unwrap()), *at),
                    None => (None, 0),
                };
                output = open(spec, folder.path(), position.as_ref());
                next = at;
                continue;
            }
        }
        next += 1;
    }
    finish(output, folder.path())
}

/// What the files should hold, unpacked, told the slow way.
fn model(spec: &OutputSpec, acts: &[Act]) -> Bytes {
    let mut rows: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
    for act in acts {
        if let Act::Row(partition, row) = act {
            let partition = if spec.partition_by.is_empty() { 0 } else { *partition };
            rows.entry(partition).or_default().push(row);
        }
    }
    let mut files = Bytes::new();
    for (partition, rows) in rows {
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        for row in rows {
            match chunks.last_mut() {
                Some(chunk) if (chunk.len() + row.len()) as u64 <= CHUNK => chunk.extend_from_slice(row),
                _ => chunks.push(row.to_vec()),
            }
        }
        let Split::Files(count) = spec.split else { panic!("the model knows Files") };
        for (number, chunk) in chunks.into_iter().enumerate() {
            let name = format!("{:05}.{}", number % count as usize, spec.extension());
            let name = joined(&partition_name(spec, partition), &name);
            files.entry(name).or_insert_with(|| spec.header.clone()).extend_from_slice(&chunk);
        }
    }
    files
}

/// All ways of compression.
const ALL: [Compression; 6] =
    [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Bzip2, Compression::Xz];

fn unpack(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    let mut rest = bytes;
    match compression {
        Compression::None => return bytes.to_vec(),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap(),
        Compression::Zstd => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut unpacked).unwrap(),
        Compression::Bzip2 => bzip2::read::MultiBzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap(),
        Compression::Xz => liblzma::read::XzDecoder::new_multi_decoder(bytes).read_to_end(&mut unpacked).unwrap(),
        Compression::Lz4 => {
            while !rest.is_empty() {
                lz4_flex::frame::FrameDecoder::new(&mut rest).read_to_end(&mut unpacked).unwrap();
            }
            0
        }
    };
    unpacked
}

fn rows_of(format: RowFormat) -> BoxedStrategy<Vec<u8>> {
    let plain = (0usize..150, any::<u8>()).prop_map(|(len, byte)| {
        let mut row = vec![b'a' + byte % 26; if len > 100 { len * 3 } else { len }];
        row.push(b'\n');
        row
    });
    let quoted = (0usize..40, 0usize..20).prop_map(|(a, b)| {
        [b"\"".to_vec(), vec![b'\n'; a % 5], vec![b'x'; a], b"\"\"\n".to_vec(), vec![b'y'; b], b"\",1\n".to_vec()]
            .concat()
    });
    match format.has_quotes() {
        true => prop_oneof![plain, quoted].boxed(),
        false => plain.boxed(),
    }
}

fn specs() -> impl Strategy<Value = OutputSpec> {
    let compression = prop::sample::select(ALL.to_vec());
    let split = prop_oneof![
        (1u32..4).prop_map(Split::Files),
        (1u64..2000).prop_map(Split::MaxBytes),
        Just(Split::MaxBytes(200))
    ];
    let format = prop_oneof![Just(RowFormat::Jsonl), Just(RowFormat::Csv)];
    let buffer = prop_oneof![Just(0usize), Just(1), 50usize..3000, Just(1 << 20)];
    (compression, split, format, buffer, any::<bool>(), any::<bool>()).prop_map(
        |(compression, split, format, buffer, has_partitions, has_header)| OutputSpec {
            format,
            header: if has_header { b"a,b\n".to_vec() } else { Vec::new() },
            ..spec(if has_partitions { &["p"] } else { &[] }, compression, split, buffer)
        },
    )
}

fn acts(format: RowFormat) -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        12 => (0usize..25, rows_of(format)).prop_map(|(partition, row)| Act::Row(partition * partition / 25, row)),
        1 => Just(Act::Position),
        1 => Just(Act::Crash),
    ];
    vec(act, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_crashes_cuts_and_buffers_change_no_byte(
        (spec, acts) in specs().prop_flat_map(|spec| (Just(spec.clone()), acts(spec.format))),
    ) {
        let expected = straight(&spec, &acts, false);
        prop_assert_eq!(&disturbed(&spec, &acts), &expected);
        if spec.partition_by.is_empty() {
            prop_assert_eq!(&straight(&spec, &acts, true), &expected);
        }
        if let Split::MaxBytes(max) = spec.split {
            for bytes in expected.values() {
                // Files are no longer than they may be, except for one row or one chunk.
                let rows = unpack(spec.compression, bytes);
                let is_one = super::rows::count(&rows[spec.header.len()..], spec.format) == 1;
                let most = if spec.compression == Compression::None { max } else { max.max(200) };
                prop_assert!(bytes.len() as u64 <= most || is_one, "{} > {max}", bytes.len());
            }
        } else {
            let unpacked: Bytes =
                expected.into_iter().map(|(name, bytes)| (name, unpack(spec.compression, &bytes))).collect();
            prop_assert_eq!(unpacked, model(&spec, &acts));
        }
    }
}

#[test]
fn outputs_go_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<Output>();
    is_send::<super::super::LooseFile>();
    is_send::<super::super::Transaction<'_>>();
}

#[test]
fn thousands_of_partitions_with_little_memory() {
    for compression in [Compression::None, Compression::Zstd] {
        let spec = spec(&["p"], compression, Split::Files(1), 10_000);
        let folder = tempfile::tempdir().unwrap();
        let mut output = open(&spec, folder.path(), None);
        for number in 0..3000 {
            output.write_to(&format!("p={}", number % 1000), b"{\"number\":1,\"text\":\"abc\"}\n").unwrap();
            assert!(output.buffered <= 10_000 + 64);
        }
        assert!((1000 * 200..1000 * 800).contains(&output.memory()), "{}", output.memory());
        let files = finish(output, folder.path());
        assert_eq!(files.len(), 1000);
        for bytes in files.values() {
            assert_eq!(unpack(compression, bytes).len(), 3 * 26);
        }
    }
}

#[test]
fn real_chunks_of_a_mebibyte() {
    let folder = tempfile::tempdir().unwrap();
    let rows = b"{\"a\":1234567}\n".repeat(400_000);
    for compression in ALL {
        std::fs::remove_dir_all(folder.path()).unwrap();
        std::fs::create_dir(folder.path()).unwrap();
        let spec = spec(&[], compression, Split::Files(2), 64 << 20);
        let mut output = Output::new(spec.clone(), folder.path()).unwrap();
        output.write_rows(&rows).unwrap();
        let files = finish(output, folder.path());
        let lens: Vec<usize> = files.values().map(|bytes| unpack(compression, bytes).len()).collect();
        assert_eq!(lens.iter().sum::<usize>(), rows.len());
        assert_eq!(
            lens[0],
            3 * ((1 << 20) - (1 << 20) % 14),
            "three full chunks of 1 MiB, the other file has the rest"
        );
    }
}

#[test]
fn too_many_partitions_name_the_column_that_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let spec = OutputSpec { max_partitions: 10, ..spec(&["a", "id"], Compression::None, Split::Files(1), 100) };
    let mut output = open(&spec, folder.path(), None);
    for number in 0..10 {
        output.write_to(&format!("a={}/id={number}", number % 2), b"1\n").unwrap();
    }
    let error = output.write_to("a=1/id=10", b"1\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output);
    assert!(error.message().contains("more than 10 partitions: the column id alone has 10"), "{error}");
    assert!(error.advice().unwrap().contains("leave id out"));
    // What failed once gives nothing any more.
    assert!(output.write_to("a=0/id=0", b"1\n").is_err());
    assert!(output.position().is_err());
    assert!(output.finish().is_err());
}

#[test]
fn partitions_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&["p"], Compression::None, Split::Files(1), 100);
    for path in ["", "..", "p=..", "/p=1", "p=1/x", "p=1/../..", "q=1"] {
        let mut output = open(&spec, folder.path(), None);
        assert_eq!(output.write_to(path, b"1\n").unwrap_err().kind(), ErrorKind::Internal, "{path}");
    }
    let mut output = open(&spec, folder.path(), None);
    assert_eq!(output.write_to("p=1", b"1").unwrap_err().kind(), ErrorKind::Internal);
    let mut output = open(&spec, folder.path(), None);
    assert_eq!(output.write_rows(b"1\n").unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn what_a_position_needs_stays_until_the_second_one_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&[], Compression::Zstd, Split::Files(1), 1 << 20);
    let mut output = open(&spec, folder.path(), None);
    let tails =
        || disk::names(folder.path()).unwrap().iter().filter(|name| name.to_string_lossy().ends_with("tail")).count();
    let row = [b'x'; 39].iter().chain(b"\n").copied().collect::<Vec<u8>>();
    let mut positions = Vec::new();
    for round in 0..10 {
        output.write_rows(&row).unwrap();
        positions.push(output.position().unwrap());
        assert!(tails() <= 3, "{round}: {}", tails());
    }
    // The later one first, as going on from the earlier one cuts off what came after it.
    for position in positions[8..].iter().rev() {
        let mut again = Output::resume(spec.clone(), folder.path(), position).unwrap();
        assert_eq!(again.position().unwrap(), *position);
    }
}

#[test]
fn what_is_not_there_any_more_is_not_resumed_from() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&["p"], Compression::Gzip, Split::Files(1), 1 << 20);
    let mut output = open(&spec, folder.path(), None);
    for row in [&[b'x'; 60][..], &[b'y'; 60]] {
        output.write_to("p=1", &[row, b"\n"].concat()).unwrap();
    }
    let position = output.position().unwrap();
    let resume = |position: &Position| Output::resume(spec.clone(), folder.path(), position);
    assert!(resume(&position).is_ok());
    let text = serde_json::to_string(&position).unwrap();
    for (from, to) in [
        ("\"p=1\"", "\"../p=1\""),
        ("\"file\":0", "\"file\":7"),
        ("\"chunk\":61", "\"chunk\":60"),
        ("\"buffer_usage\":", "\"buffer_usage\":10"),
        ("\"compression\":\"gz\"", "\"compression\":\"zst\""),
    ] {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let error = resume(&serde_json::from_str(&wrong).unwrap()).err().unwrap();
        assert_eq!(error.advice(), Some("start the run over"), "{from}: {error}");
    }
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("p=1/00000.jsonl.gz")).unwrap();
    file.set_len(3).unwrap();
    assert!(resume(&position).err().unwrap().to_string().contains("has less"));
    std::fs::remove_dir_all(folder.path().join("p=1")).unwrap();
    assert!(resume(&position).err().unwrap().to_string().contains("is gone"));
}
