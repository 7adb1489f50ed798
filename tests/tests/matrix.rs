//! The program's answer to "which kernels have this race?", cell by cell against history's.

use std::path::Path;
use std::time::{Duration, Instant};

use timerace_core::Class;
use timerace_kernel::{Fix, KernelVersion};
use timerace_scenarios::library::{Entry, LIBRARY};
use timerace_tests::history::{DIFFERENCES, GAPS, HISTORY, KERNELS, Row};
use timerace_tests::search::{Answer, is_modelled, search, search_on};

/// A bug is found in at most so many schedules, a complete search has at most so many: 2 and 10 seconds on a slow machine,
/// but the same on every one.
const BUG_WITHIN: u64 = 1_000;
const COMPLETE_WITHIN: u64 = 20_000;

/// What one scenario says about a kernel.
fn letter(answer: Option<&Answer>) -> char {
    match answer {
        None => 'N',
        // An order of locks that nothing hangs on is no race.
        Some(a) if a.classes.iter().any(|c| *c != Class::LockOrder) => 'B',
        Some(a) if a.timed_out => 'T',
        Some(_) => 'F',
    }
}

/// What all scenarios of a race say together.
fn together(row: &Row, kernel: KernelVersion, letters: &[char]) -> char {
    let absent = match row.needs.strip_prefix('!') {
        Some(gone) => Fix::find(gone).is_some_and(|f| kernel.has(f)),
        None => Fix::find(row.needs).is_some_and(|f| !kernel.has(f)),
    };
    match letters {
        _ if letters.iter().all(|l| *l == 'F') && absent => 'N',
        [first, rest @ ..] if rest.iter().all(|l| l == first) => *first,
        _ if letters.contains(&'B') => 'P',
        _ if letters.contains(&'T') => 'T',
        _ => 'F',
    }
}

fn races() -> impl Iterator<Item = &'static Entry> {
    LIBRARY.iter().filter(|e| e.path.starts_with("races/"))
}

fn scenarios_of(row: &Row) -> Vec<&'static Entry> {
    races().filter(|e| e.name().starts_with(row.scenarios)).collect()
}

fn kernels() -> Vec<KernelVersion> {
    KERNELS.iter().filter_map(|k| KernelVersion::parse(k).ok()).collect()
}

/// What history says, or where the program knows better, the program.
fn expected(row: &Row, kernel: &str, history: char) -> char {
    let knows_better = DIFFERENCES.iter().find(|d| d.id == row.id && d.kernels.contains(&kernel));
    knows_better.map_or(history, |d| {
        assert_ne!(d.program, history, "{} on {kernel} is listed but no difference", row.id);
        d.program
    })
}

#[test]
fn the_program_and_history_agree_cell_by_cell() {
    let kernels = kernels();
    let mut wrong = Vec::new();
    let mut table = format!("{:<12}", "race");
    kernels.iter().for_each(|k| table += &format!("{:<6}", k.release().to_string()));
    let mut slowest = Duration::ZERO;
    for row in HISTORY {
        let entries = scenarios_of(row);
        if entries.is_empty() {
            continue;
        }
        table += &format!("\n{:<12}", row.id);
        let history = row.cells.chars().filter(|c| *c != ' ');
        assert_eq!(history.clone().count(), KERNELS.len(), "{}", row.id);
        for (kernel, said) in kernels.iter().zip(history) {
            let mut letters = Vec::new();
            for e in &entries {
                let began = Instant::now();
                let a = search(e, *kernel);
                let took = began.elapsed();
                slowest = took.max(slowest);
                if let Some(a) = &a {
                    let bug = !a.classes.is_empty();
                    assert!(a.failed.is_empty(), "{} on {kernel}: {:?}", e.name(), a.failed);
                    assert!(bug || a.complete, "{} on {kernel} is cut off", e.name());
                    let most = if bug { BUG_WITHIN } else { COMPLETE_WITHIN };
                    let n = a.schedules;
                    assert!(n <= most, "{} on {kernel}: {n} schedules", e.name());
                }
                letters.push(letter(a.as_ref()));
            }
            let name = kernel.release().to_string();
            let gap = entries.iter().any(|e| !is_modelled(e, *kernel));
            assert_eq!(gap, GAPS.contains(&(row.id, name.as_str())), "{} on {name}", row.id);
            let answer = if gap { '-' } else { together(row, *kernel, &letters) };
            let want = if gap { '-' } else { expected(row, &name, said) };
            if answer != want {
                wrong.push(format!("{} on {name}: the program {answer}, history {want}", row.id));
            }
            table += &format!("{answer:<6}");
        }
    }
    println!("slowest search {slowest:?}");
    let table: String = table.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    is_documented(&table);
    assert!(wrong.is_empty(), "{wrong:#?}\n{table}");
}

/// The table in `docs/model.md` is this one (`TIMERACE_BLESS=1` writes it), and each difference is explained there.
fn is_documented(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/model.md");
    let have = std::fs::read_to_string(&path).expect("docs/model.md is there");
    let (head, rest) = have.split_once("<!-- matrix -->\n").expect("it has the matrix");
    let (_, tail) = rest.split_once("<!-- end of the matrix -->").expect("which ends");
    let want =
        format!("{head}<!-- matrix -->\n```text\n{table}```\n<!-- end of the matrix -->{tail}");
    if std::env::var_os("TIMERACE_BLESS").is_some() {
        std::fs::write(&path, &want).expect("docs/model.md can be written");
    } else {
        assert_eq!(have, want, "docs/model.md is not up to date");
    }
    for d in DIFFERENCES {
        assert!(tail.contains(&format!("\n| {} |", d.id)), "docs/model.md explains {}", d.id);
    }
}

#[test]
fn every_race_is_in_the_table() {
    for e in races() {
        let rows = HISTORY.iter().filter(|r| e.name().starts_with(r.scenarios)).count();
        assert_eq!(rows, 1, "{} belongs to {rows} rows", e.name());
    }
}

/// A scenario that does not come into its window tests nothing: so not only where the bug is.
#[test]
fn every_race_enters_its_window_on_every_kernel() {
    for e in races() {
        for k in kernels() {
            // A search that ends at the first finding is short; only where that came before the window it goes on.
            let Some(first) = search_on(e, k, false) else { continue };
            if first.window_entered > 0 {
                continue;
            }
            let Some(a) = search_on(e, k, true) else { continue };
            assert!(a.window_entered > 0, "{} on {k}: {} schedules", e.name(), a.schedules);
        }
    }
}
