//! What will be needed soon is fetched into the caches of the machine that simulates. A timed run of many timers waits for
//! memory a good part of its time: reading ahead would wait too, only earlier. No result depends on it.

/// Fetches the cache line in which the value begins.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    safe_arch::prefetch_t0(value);
}

/// There is no safe way to ask other machines for it.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn prefetch<T>(_: &T) {}
