//! Nanoseconds per value for the exact accumulators: `cargo bench --bench agg`.
//!
//! The items of the throughput are values added, or groups finished.
//!
//! | benchmark | the kernel that it is about |
//! | --- | --- |
//! | `plain_f64` | the inexact sum, the floor that the exact ones are compared with |
//! | `sum_add_float`, `sum_add_int` | the exact sum, a value at a time |
//! | `sum_add_floats`, `sum_add_ints` | the exact sum of a column, as queries with one group take it |
//! | `sum_add_float_to_groups` | the exact sum of values that come in any order of groups |
//! | `sum_merge`, `sum_total`, `sum_mean`, `sum_encode_decode` | what is done once for each group |
//! | `moments_…` | exact variance: adding, and finishing |
//! | `median` | the quantiles of values that were collected |

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use foldl::agg::ExactSum;
use foldl::agg::Moments;
use foldl::agg::Quantiles;

const VALUES: usize = 100_000;

fn main() {
    divan::main();
}

/// What the values are like.
#[derive(Clone, Copy, Debug)]
enum Data {
    /// Whole cents up to 100,000.
    Money,
    /// Uniform in [0, 1).
    Uniform,
    /// All exponents from 2^-500 to 2^500.
    WideExponents,
}

const DATA: [Data; 3] = [Data::Money, Data::Uniform, Data::WideExponents];

fn floats(data: Data, count: usize) -> Vec<f64> {
    randoms().take(count).map(|random| float(data, random)).collect()
}

fn float(data: Data, random: u64) -> f64 {
    match data {
        Data::Money => (random % 10_000_000) as f64 / 100.0,
        Data::Uniform => (random >> 11) as f64 * 2f64.powi(-53),
        Data::WideExponents => {
            let field = 1023 - 500 + random % 1000;
            f64::from_bits(field << 52 | random >> 12)
        }
    }
}

/// SplitMix64.
fn randoms() -> impl Iterator<Item = u64> {
    (1u64..).map(|index| {
        let state = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}

fn sum_of(values: &[f64]) -> ExactSum {
    let mut sum = ExactSum::default();
    values.iter().for_each(|&x| sum.add_float(x));
    sum
}

fn moments_of(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    values.iter().for_each(|&x| moments.add_float(x));
    moments
}

/// The inexact sum, to compare with.
#[divan::bench]
fn plain_f64(bencher: Bencher) {
    let values = floats(Data::Money, VALUES);
    bencher.counter(ItemsCount::new(VALUES)).bench(|| black_box(&values).iter().fold(0.0, |sum, x| sum + x));
}

#[divan::bench(args = DATA)]
fn sum_add_float(bencher: Bencher, data: Data) {
    let values = floats(data, VALUES);
    bencher.counter(ItemsCount::new(VALUES)).bench(|| sum_of(black_box(&values)));
}

#[divan::bench(args = DATA)]
fn sum_add_floats(bencher: Bencher, data: Data) {
    let values = floats(data, VALUES);
    bencher.counter(ItemsCount::new(VALUES)).bench(|| {
        let mut sum = ExactSum::default();
        sum.add_floats(black_box(&values));
        sum
    });
}

/// Values spread over 1000 groups.
#[divan::bench(args = DATA)]
fn sum_add_float_to_groups(bencher: Bencher, data: Data) {
    let values = floats(data, VALUES);
    let groups: Vec<usize> = randoms().skip(VALUES).take(VALUES).map(|random| random as usize % 1000).collect();
    let mut sums = vec![ExactSum::default(); 1000];
    bencher.counter(ItemsCount::new(VALUES)).bench_local(|| {
        for (&x, &group) in values.iter().zip(&groups) {
            sums[group].add_float(x);
        }
    });
}

#[divan::bench]
fn sum_add_int(bencher: Bencher) {
    let values: Vec<i64> = randoms().take(VALUES).map(|random| random as i64).collect();
    bencher.counter(ItemsCount::new(VALUES)).bench(|| {
        let mut sum = ExactSum::default();
        black_box(&values).iter().for_each(|&x| sum.add_int(x));
        sum
    });
}

#[divan::bench]
fn sum_add_ints(bencher: Bencher) {
    let values: Vec<i64> = randoms().take(VALUES).map(|random| random as i64).collect();
    bencher.counter(ItemsCount::new(VALUES)).bench(|| {
        let mut sum = ExactSum::default();
        sum.add_ints(black_box(&values));
        sum
    });
}

/// One group of 1000 values each time.
#[divan::bench(args = DATA)]
fn sum_merge(bencher: Bencher, data: Data) {
    let (mut sum, other) = (sum_of(&floats(data, 1000)), sum_of(&floats(data, 2000)[1000..]));
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| sum.merge(black_box(&other)));
}

#[divan::bench(args = DATA)]
fn sum_total(bencher: Bencher, data: Data) {
    let sum = sum_of(&floats(data, 1000));
    bencher.counter(ItemsCount::new(1usize)).bench(|| black_box(&sum).total());
}

#[divan::bench(args = DATA)]
fn sum_mean(bencher: Bencher, data: Data) {
    let sum = sum_of(&floats(data, 1000));
    bencher.counter(ItemsCount::new(1usize)).bench(|| black_box(&sum).mean(black_box(1000)));
}

#[divan::bench(args = DATA)]
fn sum_encode_decode(bencher: Bencher, data: Data) {
    let sum = sum_of(&floats(data, 1000));
    let mut bytes = Vec::new();
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        bytes.clear();
        black_box(&sum).encode(&mut bytes);
        ExactSum::decode(&mut &bytes[..])
    });
}

#[divan::bench(args = DATA)]
fn moments_add_float(bencher: Bencher, data: Data) {
    let values = floats(data, VALUES);
    bencher.counter(ItemsCount::new(VALUES)).bench(|| moments_of(black_box(&values)));
}

/// Groups of 100 values: most of them in the small form.
#[divan::bench(args = DATA)]
fn moments_add_float_to_small_groups(bencher: Bencher, data: Data) {
    let values = floats(data, VALUES);
    bencher
        .counter(ItemsCount::new(VALUES))
        .bench(|| black_box(&values).chunks(100).map(|group| moments_of(group).heap_size()).sum::<usize>());
}

#[divan::bench]
fn moments_add_int(bencher: Bencher) {
    let values: Vec<i64> = randoms().take(VALUES).map(|random| random as i64 >> 32).collect();
    bencher.counter(ItemsCount::new(VALUES)).bench(|| {
        let mut moments = Moments::default();
        black_box(&values).iter().for_each(|&x| moments.add_int(x));
        moments
    });
}

#[divan::bench(args = DATA)]
fn moments_stddev(bencher: Bencher, data: Data) {
    let moments = moments_of(&floats(data, 1000));
    bencher.counter(ItemsCount::new(1usize)).bench(|| black_box(&moments).stddev_samp());
}

#[divan::bench(args = DATA)]
fn median(bencher: Bencher, data: Data) {
    let values = floats(data, VALUES);
    bencher
        .counter(ItemsCount::new(VALUES))
        .with_inputs(|| {
            let mut quantiles = Quantiles::default();
            values.iter().for_each(|&x| quantiles.add_float(x));
            quantiles
        })
        .bench_values(|mut quantiles| quantiles.median());
}
