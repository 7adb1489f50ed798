//! Whose step comes first.

const NEVER: u64 = u64::MAX;

/// A tree of matches between lanes: its root is the lane whose step comes first, the lower number among equals.
#[derive(Debug)]
pub(super) struct Matches {
    /// The winner of each match, see [`entry`]; the root has index 1, leaves are in the second half.
    winners: Vec<u128>,
}

/// A lane with its time in the upper half, so that one comparison decides a match.
#[inline]
fn entry(at: u64, lane: usize) -> u128 {
    u128::from(at) << 64 | lane as u128
}

#[inline]
fn time(entry: u128) -> u64 {
    (entry >> 64) as u64
}

impl Matches {
    /// All lanes wait for ever.
    pub fn new(lanes: usize) -> Matches {
        let leaves = lanes.next_power_of_two().max(2);
        let mut winners = vec![entry(NEVER, 0); 2 * leaves];
        winners[leaves..].iter_mut().enumerate().for_each(|(i, w)| *w = entry(NEVER, i));
        // All lanes are equal at first: the lower number wins.
        (1..leaves).rev().for_each(|n| winners[n] = winners[2 * n]);
        Matches { winners }
    }

    /// When the first step comes, and on which lane.
    #[inline]
    pub fn first(&self) -> (u64, usize) {
        (time(self.winners[1]), self.winners[1] as u64 as usize)
    }

    /// When the first step of the other lanes comes.
    #[inline]
    pub fn others(&self, lane: usize) -> u64 {
        let (mut n, mut first) = (self.winners.len() / 2 + lane, NEVER);
        while n > 1 {
            first = first.min(time(self.winners[n ^ 1]));
            n /= 2;
        }
        first
    }

    /// A lane's next step comes at `at`: its matches are played again.
    #[inline]
    pub fn play(&mut self, lane: usize, at: u64) {
        let mut n = self.winners.len() / 2 + lane;
        let mut winner = entry(at, lane);
        self.winners[n] = winner;
        while n > 1 {
            winner = winner.min(self.winners[n ^ 1]);
            n /= 2;
            self.winners[n] = winner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_matches_is_always_the_first() {
        for n in 1..=70usize {
            let mut times = vec![NEVER; n];
            let mut m = Matches::new(n);
            let mut x = 7u64;
            for _ in 0..300 {
                x = crate::mix::mix(x);
                let lane = (x % n as u64) as usize;
                times[lane] = if x & 64 == 0 { NEVER } else { x >> 60 };
                m.play(lane, times[lane]);
                let best = (0..n).min_by_key(|l| (times[*l], *l)).unwrap_or(0);
                assert_eq!(m.first().0, times[best], "{n} lanes");
                assert!(times[best] == NEVER || m.first().1 == best, "{n} lanes");
                let others = (0..n).filter(|l| *l != lane).map(|l| times[l]).min();
                assert_eq!(m.others(lane), others.unwrap_or(NEVER), "{n} lanes");
            }
        }
    }
}
