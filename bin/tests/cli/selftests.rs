//! The kernel's own tests of timers and work queues, as scenarios: what they assert holds in every kernel that has the test.

use crate::support::{Dir, library, timerace};
use timerace_kernel::versions::{Release, releases};
use timerace_scenarios::library::LIBRARY;

/// A scenario below `library/selftests/` and the first release with that test, or with that part of it.
const SINCE: &[(&str, (u16, u16))] = &[
    ("timer-rearm-chain", (5, 15)),
    ("timer-own-cancel-and-delete", (5, 15)),
    ("timer-evict-own-element", (5, 15)),
    ("timer-replace-frees", (5, 15)),
    ("timer-destroy-while-armed", (5, 15)),
    ("timer-mim", (5, 15)),
    ("timer-crash-hash", (5, 17)),
    ("lru-bug", (6, 0)),
    ("htab-update-reenter", (6, 1)),
    ("htab-update-concurrent", (6, 1)),
    ("htab-update-free-fields", (6, 2)),
    ("timer-abs", (6, 4)),
    ("timer-pinned", (6, 7)),
    ("timer-stress", (6, 8)),
    ("timer-lockup", (6, 10)),
    ("wq", (6, 10)),
    ("free-timer", (6, 14)),
    ("free-timer-rt", (6, 14)),
    ("timer-async-cancel", (7, 0)),
    ("timer-stress-async-cancel", (7, 0)),
    ("timer-stress-nmi-race", (7, 0)),
    ("timer-stress-nmi-update", (7, 0)),
    ("timer-stress-nmi-cancel", (7, 0)),
    ("timer-deferred-calls", (7, 0)),
    ("timer-start-deadlock", (7, 0)),
    ("timer-start-delete-race", (7, 0)),
    ("rhash-timer", (7, 2)),
];

/// A stable tree has the tests of its base, and fixes that came later.
fn base(r: Release) -> (u16, u16) {
    (r.major, r.minor)
}

#[test]
fn what_the_kernels_own_tests_assert_holds_where_they_exist() {
    let dir = Dir::new("selftests");
    let folder = library().join("selftests").display().to_string();
    let all: Vec<String> = releases().iter().map(ToString::to_string).collect();
    let kernels = all.iter().flat_map(|k| ["--kernel", k.as_str()]);
    let args = ["test", &folder, "-j", "2", "--format", "json"];
    let r = timerace(&dir, &args.into_iter().chain(kernels).collect::<Vec<_>>());
    assert_eq!(r.code, 0, "{}{}", r.out, r.err);
    let result = r.json();
    let cases = result["cases"].as_array().expect("cases");
    for (name, since) in SINCE {
        for r in releases().into_iter().filter(|r| base(*r) >= *since) {
            let is = |c: &&serde_json::Value| {
                c["scenario"] == *name && c["kernel"] == r.to_string().as_str()
            };
            let case = cases.iter().find(is);
            assert!(case.is_some(), "{name} is skipped on {r}, which has the test");
        }
    }
}

#[test]
fn every_selftest_is_in_the_table() {
    for e in LIBRARY.iter().filter(|e| e.path.starts_with("selftests/")) {
        assert_eq!(SINCE.iter().filter(|s| s.0 == e.name()).count(), 1, "{}", e.name());
    }
}
