//! Chance that can be repeated: the same seed gives the same run on every machine.

use super::moment::Ms;

/// Splitmix64: small, fast, and good enough to choose what goes wrong next.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The chance that belongs to `salt`: what else happens in the run does not change it, so that
    /// a run that is made smaller stays like the one that failed.
    pub fn of(seed: u64, salt: &[u64]) -> Self {
        let mix = |hash: u64, part: &u64| Self(hash ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next();
        Self(salt.iter().fold(Self(seed).next(), mix))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A number from `low` up to and without `high`.
    pub fn between(&mut self, low: Ms, high: Ms) -> Ms {
        low + (self.next() % (high - low).max(1) as u64) as Ms
    }

    /// Like `between`, but short ones come as often as long ones.
    pub fn stretched(&mut self, low: Ms, high: Ms) -> Ms {
        let (low, high) = (low.max(1) as f64, high.max(2) as f64);
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (low * (high / low).powf(share)) as Ms
    }

    /// Whether it happens that happens `percent` times of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
