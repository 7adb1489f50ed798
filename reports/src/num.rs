//! Numbers as people read them: groups of three, microseconds with one decimal. Integers only.

/// The number with its digits in groups of three: `10 000`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// Nanoseconds as microseconds with one decimal, rounded half up: `12.7`.
pub fn us(ns: u64) -> String {
    let tenths = ns / 100 + u64::from(ns % 100 >= 50);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

/// Nanoseconds as seconds with three decimals, rounded half up: `1.000`.
pub fn seconds(ns: u64) -> String {
    let ms = ns / 1_000_000 + u64::from(ns % 1_000_000 >= 500_000);
    format!("{}.{:03}", grouped(ms / 1000), ms % 1000)
}

/// The number with its noun in the right form: `1 switch`, `2 switches`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn rounds_half_up_and_never_overflows() {
        for (n, text) in [(0, "0.0"), (49, "0.0"), (50, "0.1"), (12_650, "12.7"), (949, "0.9")] {
            assert_eq!(us(n), text);
        }
        assert_eq!(us(u64::MAX), "18 446 744 073 709 551.6");
        assert_eq!(seconds(999_999_999), "1.000");
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(count(1, "switch", "switches"), "1 switch");
        assert_eq!(count(0, "switch", "switches"), "0 switches");
    }
}
