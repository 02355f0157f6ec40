//! Random numbers that are the same on every machine and in every version.
//!
//! Only integers are used: no result depends on how a platform rounds.

/// The SplitMix64 generator of Steele, Lea and Flood ("Fast splittable pseudorandom number generators", OOPSLA
/// 2014) with the constants of its reference implementation.
#[derive(Clone, Debug)]
pub struct Random(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64. It is a bijection: different words stay different.
#[inline]
pub fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Random {
    /// The generator for one item of a stream: a stream is named by a word, its items are numbered.
    #[inline]
    pub fn of(stream: u64, item: u64) -> Random {
        Random(mix(stream.wrapping_add(item.wrapping_mul(GOLDEN))))
    }

    /// The next 64 bits.
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..n` by multiplication and shift; the bias is below `n / 2^32`. `n` is at least 1.
    #[inline]
    pub fn below(&mut self, n: u32) -> u32 {
        (((self.next() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// Whether an event of this many percent happened.
    #[inline]
    pub fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of the items, of which there is at least one.
    #[inline]
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }
}

/// Picks ranks in `0..n` with a frequency near `1 / (rank + flatness)`, the law of Zipf and Mandelbrot.
///
/// The ranks are cut into segments that are about equally likely, and a pick is uniform within one segment. A rank
/// that is more likely than a segment fills several of them.
#[derive(Clone, Debug)]
pub struct Skew {
    /// First rank and number of ranks of each segment.
    segments: Vec<(u32, u32)>,
}

const SEGMENTS: u64 = 1024;

impl Skew {
    /// A law for the ranks `0..n`; `n` and `flatness` are at least 1. The larger `flatness`, the less the first
    /// ranks stand out.
    pub fn new(n: u32, flatness: u32) -> Skew {
        let weight = |rank: u32| (1u64 << 32) / (u64::from(rank) + u64::from(flatness));
        let total: u64 = (0..n).map(weight).sum();
        let mut segments = Vec::with_capacity(SEGMENTS as usize);
        let (mut start, mut before) = (0, 0);
        for segment in 1..=SEGMENTS {
            let mut end = start;
            while end < n && (before + weight(end)) * SEGMENTS <= total * segment {
                before += weight(end);
                end += 1;
            }
            segments.push((start, (end - start).max(1)));
            start = end.min(n - 1);
        }
        Skew { segments }
    }

    /// A rank.
    #[inline]
    pub fn pick(&self, random: &mut Random) -> u32 {
        let word = random.next();
        let (first, ranks) = self.segments[word as usize % self.segments.len()];
        first + (((word >> 32) * u64::from(ranks)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for the seed 1234567 of the reference implementation (prng.di.unimi.it/splitmix64.c).
    #[test]
    fn agrees_with_the_reference() {
        let mut random = Random(1_234_567);
        let outputs = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(outputs, std::array::from_fn(|_| random.next()));
    }

    #[test]
    fn below_covers_its_range() {
        let mut random = Random::of(1, 2);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn skew_reaches_every_rank_and_nothing_else() {
        for (n, flatness) in [(1, 1), (2, 1), (3, 1000), (1_000, 8), (100_000, 16)] {
            let skew = Skew::new(n, flatness);
            assert_eq!(skew.segments.len() as u64, SEGMENTS);
            let mut next = 0;
            for &(first, ranks) in &skew.segments {
                assert!(first <= next, "a gap before rank {first} of {n}");
                next = next.max(first + ranks);
            }
            assert_eq!(next, n);
        }
    }

    #[test]
    fn skew_follows_its_law() {
        let (skew, mut random) = (Skew::new(1_000, 8), Random::of(7, 7));
        let mut counts = vec![0u32; 1_000];
        let picks = 1_000_000;
        for _ in 0..picks {
            counts[skew.pick(&mut random) as usize] += 1;
        }
        let total: f64 = (0..1_000).map(|rank| 1.0 / f64::from(rank + 8)).sum();
        for (low, high) in [(0, 1), (0, 10), (10, 100), (100, 500), (500, 1_000)] {
            let expected: f64 = (low..high).map(|rank| 1.0 / f64::from(rank + 8)).sum::<f64>() / total;
            let counted = counts[low as usize..high as usize].iter().sum::<u32>();
            let share = f64::from(counted) / f64::from(picks);
            assert!((share / expected - 1.0).abs() < 0.06, "ranks {low}..{high}: {share} for {expected}");
        }
    }
}
