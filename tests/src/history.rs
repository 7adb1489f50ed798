//! Which kernels have which race, as history has it: from the fixes, the advisories and the source.
//!
//! B: the bug is there. F: it is not, or no more. N: what it needs does not exist in that kernel. P: part of the ways into
//! it is closed. T: a stall of a quarter of a second instead of a deadlock.

/// The kernels of the table.
pub const KERNELS: [&str; 11] =
    ["v5.15", "v6.1", "v6.6", "v6.8", "v6.10", "v6.11", "v6.12", "v6.13", "v6.15", "v6.18", "v7.0"];

/// A race, or a variant of one.
#[derive(Copy, Clone, Debug)]
pub struct Row {
    /// Its name in the table.
    pub id: &'static str,
    /// Beginnings of the names of its scenarios: all built-in races that begin so belong to it.
    pub scenarios: &'static str,
    /// Without this fix or feature the race cannot exist: N. After a `!`: nor with it.
    pub needs: &'static str,
    /// By kernel.
    pub cells: &'static str,
}

const fn row(
    id: &'static str,
    scenarios: &'static str,
    needs: &'static str,
    cells: &'static str,
) -> Row {
    Row { id, scenarios, needs, cells }
}

/// The table. Races that no scenario can show are not in it: `docs/races.md` says why.
pub const HISTORY: &[Row] = &[
    row("R01", "r01-", "", "B F F F F F F F F F F"),
    row("R02", "r02-", "", "B F F F F F F F F F F"),
    row("R03", "r03-", "", "B P P P P P P P P P F"),
    row("R04", "r04-", "", "B F F F F F F F F F F"),
    row("R05", "r05-", "bpf-mem-alloc", "N B F F F F F F F F F"),
    row("R06", "r06-", "", "B B B F F F F F F F F"),
    row("R07", "r07-", "", "B B B F F F F F F F F"),
    row("R08", "r08-", "", "B B B F F F F F F F F"),
    row("R09", "r09-", "", "B B B B F F F F F F F"),
    row("R10", "r10-", "", "B B B B F F F F F F F"),
    row("R11", "r11-", "", "B B B B F F F F F F F"),
    row("R12", "r12-", "!rt-refused", "B B B B B B B B F N N"),
    row("R13 replace", "r13-bucket-wait-replace", "", "B B B B B B B B T T F"),
    row("R13 delete", "r13-bucket-wait-delete", "", "B B B B B B B F F F F"),
    row("R13 lookup", "r13-bucket-wait-lookup", "", "B B B B B B B B F F F"),
    row("R14", "r14-", "", "B B B B B B B B B B F"),
    row("R15", "r15-", "", "B B B B B B B B B F F"),
    row("R17", "r17-", "", "F B B B B B B B B B F"),
    row("R18", "r18-", "lock-free", "N N N N N N N N N N F"),
    row("R19", "r19-", "lock-free", "N N N N N N N N N N F"),
    row("R20", "r20-", "lock-free", "N N N N N N N N N N F"),
    row("R21", "r21-", "lock-free", "N N N N N N N N N N F"),
    row("R22", "r22-", "", "B B B B B B B B B B F"),
    row("R23", "r23-", "", "B F F F F F F F F F F"),
    row("R24", "r24-", "", "F F F B B B B B F F F"),
    row("R25", "r25-", "bpf-wq", "N N N N B B B B B B F"),
    row("R26", "r26-", "", "B B B B B B B B B B F"),
    row("R27", "r27-", "", "B B B B B B B B B B B"),
    row("R28", "r28-", "", "B B B B B B B F F F F"),
    row("R29", "r29-", "bpf-wq", "N N N N F F F F F F F"),
    row("R30", "r30-", "", "B B B B B B B B B B F"),
    row("D3", "d3-", "", "B B B F F F F F F F F"),
    row("D4", "d4-", "", "B B B F F F F F F F F"),
    row("D5", "d5-", "", "F F F F F F F F F F F"),
    row("D5d", "d5d-", "", "B B B B F F F F F F F"),
    row("D6", "d6-", "lock-free", "N N N N N N N N N N F"),
    row("H1", "h1-", "!rt-refused", "B B B B B B B B B N N"),
    row("H2", "h2-", "bpf-mem-alloc", "N B B B B B B B B B B"),
    row("H3", "h3-", "", "N N N N B B B B T T F"),
    row("H4", "h4-", "mem-alloc-dtor", "N N N N N N N N N N B"),
    row("H5", "h5-", "lock-free", "N N N N N N N N N N B"),
    row("H6", "h6-", "lock-free", "N N N N N N N N N N B"),
    row("H7", "h7-", "cancel-async", "N N N N N N N N N N F"),
    row("H8", "h8-", "lock-free", "N N N N N N N N N N B"),
    row("H9", "h9-", "lock-free", "N N N N N N N N N N B"),
    row("H11", "h11-", "bpf-wq", "N N N N B B B B B B B"),
    row("H12", "h12-", "", "B B B B B B B B B B B"),
];

/// Rows and kernels for which the model does not have what the scenario uses; `-` in the table.
pub const GAPS: &[(&str, &str)] = &[];

/// A cell in which the program says something else, and the program is right. `docs/model.md` has the reasons.
#[derive(Copy, Clone, Debug)]
pub struct Difference {
    /// The row.
    pub id: &'static str,
    /// The kernels.
    pub kernels: &'static [&'static str],
    /// What the program says.
    pub program: char,
}

/// The kernels in which a timer has a lock.
const LOCKED: &[&str] =
    &["v5.15", "v6.1", "v6.6", "v6.8", "v6.10", "v6.11", "v6.12", "v6.13", "v6.15", "v6.18"];

/// The kernels with bpf_mem_alloc and without its destructor.
const NO_DTOR: &[&str] =
    &["v6.1", "v6.6", "v6.8", "v6.10", "v6.11", "v6.12", "v6.13", "v6.15", "v6.18"];

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    // A tracepoint program that starts the timer runs into R03 before there is a lock-free timer.
    Difference { id: "R18", kernels: LOCKED, program: 'B' },
    Difference { id: "R19", kernels: LOCKED, program: 'B' },
    Difference { id: "H8", kernels: LOCKED, program: 'B' },
    // Timers with a lock put the program in an NMI as well.
    Difference { id: "H9", kernels: LOCKED, program: 'B' },
    // Fresh elements with garbage in them: R01.
    Difference { id: "H2", kernels: &["v5.15"], program: 'B' },
    // What H4 needs is R17 as long as nobody looks at the timer.
    Difference { id: "H4", kernels: NO_DTOR, program: 'B' },
    // Three CPUs wait for each other before the check of v6.10, too.
    Difference { id: "H3", kernels: &["v5.15", "v6.1", "v6.6", "v6.8"], program: 'B' },
];
