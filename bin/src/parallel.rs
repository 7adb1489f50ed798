//! Independent work on several threads; results in the order of the items, whatever the number of threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `f` to every item. The result does not depend on `jobs`.
pub fn map<T: Sync, R: Send>(items: &[T], jobs: u16, f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(i) else { return };
            let r = f(item);
            results.lock().expect("no thread panics while it holds the lock").push((i, r));
        }
    };
    let threads = usize::from(jobs).min(items.len());
    if threads <= 1 {
        work();
    } else {
        std::thread::scope(|s| {
            for _ in 0..threads {
                s.spawn(work);
            }
        });
    }
    let mut all = results.into_inner().expect("no thread panics while it holds the lock");
    all.sort_by_key(|r| r.0);
    all.into_iter().map(|r| r.1).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let expected: Vec<u64> = items.iter().map(|i| i * i).collect();
        for jobs in [1, 2, 7] {
            assert_eq!(super::map(&items, jobs, |i| i * i), expected);
        }
    }
}
