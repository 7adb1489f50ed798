//! The random numbers of one CPU, made many at a time.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng, TryRng};
use std::convert::Infallible;

/// How many are made at once.
const READY: usize = 64;

/// A stream of a seeded generator: the same numbers as the generator itself gives one by one.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    rng: ChaCha8Rng,
    ready: [u64; READY],
    next: usize,
}

impl Draws {
    /// The stream with this number of the generator with this seed.
    pub fn new(seed: u64, stream: u64) -> Draws {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Draws { rng, ready: [0; READY], next: READY }
    }

    /// Whether the next number must be made first.
    #[inline(always)]
    pub fn are_used_up(&self) -> bool {
        self.next >= READY
    }

    /// Makes the next numbers; only where the others are used up.
    #[cold]
    #[inline(never)]
    pub fn refill(&mut self) {
        let mut bytes = [0; 8 * READY];
        self.rng.fill_bytes(&mut bytes);
        for (word, bytes) in self.ready.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.next = 0;
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    #[inline(always)]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        if self.next >= READY {
            self.refill();
        }
        let word = self.ready[self.next];
        self.next += 1;
        Ok(word)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for part in dst.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_as_one_by_one() {
        let mut one = ChaCha8Rng::seed_from_u64(5);
        one.set_stream(3);
        let mut many = Draws::new(5, 3);
        for n in 0..1_000 {
            assert_eq!(many.next_u64(), one.next_u64(), "number {n}");
        }
    }
}
