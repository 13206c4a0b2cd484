//! Shares that look random and are not: the same name and number always give the same share, so
//! that schedules are spread out and yet survive a restart.

/// A share in `0.0..1.0` that depends on `name` and `number` alone.
#[must_use]
pub fn share(name: &str, number: u64) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes().chain(number.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_spread_evenly_and_never_reach_one() {
        let shares: Vec<f64> = (0..10_000).map(|n| share("openpayments/corporate", n)).collect();
        for tenth in 0..10_u32 {
            let (low, high) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
            let inside = shares.iter().filter(|s| (low..high).contains(s)).count();
            assert!((900..1100).contains(&inside), "{inside} of 10000 in {low}..{high}");
        }
        assert!(shares.iter().all(|s| (0.0..1.0).contains(s)));
    }

    #[test]
    fn the_same_name_and_number_give_the_same_share() {
        assert_eq!(share("a", 1).to_bits(), share("a", 1).to_bits());
        assert_ne!(share("a", 1).to_bits(), share("b", 1).to_bits());
    }
}
