//! Mixing of words into digests. Bijective per word, so that no input bit is lost (a weak mixer loses states).

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection of 64-bit words.
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Appends `word` to the rolling digest `h`.
pub fn roll(h: u64, word: u64) -> u64 {
    mix(h.rotate_left(5) ^ mix(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_bits_and_order_matter() {
        assert_ne!(mix(0), mix(1));
        assert_ne!(roll(roll(0, 1), 2), roll(roll(0, 2), 1));
        assert_ne!(roll(0, 0), roll(roll(0, 0), 0));
    }
}
