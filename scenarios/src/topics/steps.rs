//! Helpers, commands and other steps.

use super::{Group, Topic};

const fn helper(name: &'static str, text: &'static str) -> Topic {
    Topic { name, group: Group::Helper, text }
}

const fn step(name: &'static str, text: &'static str) -> Topic {
    Topic { name, group: Group::Step, text }
}

pub(super) const TOPICS: &[Topic] = &[
    helper(
        "bpf_timer_init",
        "Gives the timer of an element its struct bpf_hrtimer, with this clock. 0; EBUSY if it has one already; EPERM if \
         the map has no user reference left (neither fd nor pin); ENOMEM. In programs only.",
    ),
    helper(
        "bpf_timer_set_callback",
        "Sets the subprogram that the timer calls, and takes a reference on the program. 0; EINVAL if the timer was not \
         initialised or is gone with its element; EPERM without user references of the map. In programs only.",
    ),
    helper(
        "bpf_timer_start",
        "Arms the timer: relative to now, or with BPF_F_TIMER_ABS at that time of its clock, which begins with the run. A local \
         that got its value from bpf_ktime_get_ns can be the base: \"t + 1ms\". BPF_F_TIMER_CPU_PIN keeps it on this CPU. Both flags need a kernel that has them (`explain timer-abs`). 0; EINVAL if there is no timer or no \
         callback; ENOENT from v7.0 on if its element is being deleted. In programs only.",
    ),
    helper(
        "bpf_timer_cancel",
        "Takes the timer off its queue, drops the reference on the program, and waits until a running callback has ended. 0 if \
         it was not armed, 1 if it was; EINVAL if there is no timer; EDEADLK where it would wait for itself, from v6.10 \
         on also where the callback is cancelling a timer in turn; ENOENT from v7.0 on if its element is being deleted. In \
         programs only.",
    ),
    helper(
        "bpf_timer_cancel_async",
        "As bpf_timer_cancel, but does not wait for a running callback. Only kernels with the lock-free rewrite have it.",
    ),
    helper(
        "bpf_for_each_map_elem",
        "Calls a subprogram (of type FOR_EACH_CB) for each element of a map, in the order of the walk: `value` and `key` are \
         that element's. The number of elements that it was called for. In programs only.",
    ),
    helper(
        "bpf_wq_init",
        "Gives the work queue item of an element its state. As bpf_timer_init, without a clock.",
    ),
    helper(
        "bpf_wq_set_callback",
        "Sets the subprogram that the work runs; it may sleep. As bpf_timer_set_callback.",
    ),
    helper(
        "bpf_wq_start",
        "Queues the work; a kernel thread will run its callback. 0; EINVAL if there is none.",
    ),
    helper(
        "bpf_map_lookup_elem",
        "Looks an element up. In a program it gives a pointer that may be kept with `let`; NULL if there is none. In a task \
         it is the bpf(2) command.",
    ),
    helper(
        "bpf_map_update_elem",
        "Writes an element: BPF_ANY, BPF_NOEXIST (EEXIST if it is there), BPF_EXIST (ENOENT if not). A replaced element is \
         freed, its timer cancelled. In a task it is the bpf(2) command. Of an outer map the third argument is the inner \
         map.",
    ),
    helper(
        "bpf_map_delete_elem",
        "Deletes an element and cancels its timer; ENOENT if there is none. In a task it is the bpf(2) command.",
    ),
    helper(
        "bpf_map_lookup_and_delete_elem",
        "Looks up and deletes under one lock of the bucket. The bpf(2) command; in programs it does not exist.",
    ),
    helper(
        "bpf_ktime_get_ns",
        "The time of the monotonic clock in nanoseconds: `let(\"t\", bpf_ktime_get_ns())`, then \
         `bpf_timer_start(E, \"t + 1ms\", [BPF_F_TIMER_ABS])` expires 1 ms after it was read, whatever comes in between. The \
         machine never suspends, so CLOCK_BOOTTIME says the same. A search has no clock: there it is the time of the last \
         expiry on this CPU, from which relative starts count too. In programs only.",
    ),
    helper(
        "bpf_copy_from_user",
        "Stands for what sleeps in a sleepable program: the program gives its CPU away here, and holds no RCU lock meanwhile.",
    ),
    helper(
        "prog_run",
        "BPF_PROG_TEST_RUN: runs a program on this CPU. Of a tracing program its attach point is hit instead.",
    ),
    helper(
        "bpf_map_create",
        "Creates a map. It does not exist before; the task holds its fd: one user reference.",
    ),
    helper(
        "bpf_prog_load",
        "Loads a program: the verifier's rules are applied, and it takes references on its maps.",
    ),
    helper("bpf_link_create", "Attaches a program; the task holds the fd of the link."),
    helper(
        "bpf_obj_pin",
        "Pins what an fd stands for to a path: a reference that outlives the task.",
    ),
    helper("bpf_obj_get", "Opens what is pinned to a path; ENOENT if nothing is."),
    helper(
        "bpf_map_get_fd_by_id",
        "Opens a map by its id; ENOENT when it has no user reference any more.",
    ),
    helper(
        "bpf_iter_create",
        "Opens an iterator over a map, which holds a user reference while it is open.",
    ),
    step("pin", "Creates something and pins it in one step: `pin(bpf_link_create(\"xdp\"))`."),
    step("unlink", "Removes a pin; with the last one goes the reference."),
    step("dup", "Another fd of the same thing."),
    step(
        "close",
        "Closes an fd. With the last one of a map, its user references are gone and its timers are cancelled.",
    ),
    step(
        "signal",
        "A signal to the task itself. SIGKILL, SIGINT and the like end it and close its fds in their order.",
    ),
    step("kill", "A signal to another task; a task that sleeps wakes up."),
    step("exit", "Ends the task here: its fds are closed in their order."),
    step("unblock", "Lets a task begin that was declared with `start: blocked`."),
    step("let", "Binds what a call returns to a local name of this body."),
    step(
        "if",
        "Steps that are taken if a condition on local names holds, and others if not. It is no step itself.",
    ),
    step("repeat", "The same steps so many times."),
    step(
        "ret",
        "The call may return these codes, errno without minus; any other is a finding (WRONG_ERRNO).",
    ),
    step("may_fail", "The call may return anything."),
    step(
        "assert",
        "A condition on local names that must hold here, else there is a finding (ASSERTION).",
    ),
    step("work", "Keeps the CPU busy for so long. In a search it is a point between two steps."),
    step("sleep", "Gives the CPU away for so long."),
    step("at", "Not before this time (of timed runs; searches take any order)."),
    step(
        "clock_step",
        "Sets CLOCK_REALTIME forward or back. Timers of other clocks do not notice.",
    ),
    step(
        "suspend",
        "The machine sleeps for so long: CLOCK_BOOTTIME goes on, CLOCK_MONOTONIC stands still.",
    ),
    step("read", "READ_ONCE of a variable or a member into a local name."),
    step("write", "WRITE_ONCE."),
    step(
        "plain_read",
        "A plain read: with a write elsewhere and no order between them it is a data race.",
    ),
    step(
        "plain_write",
        "A plain write: with an access elsewhere and no order between them it is a data race.",
    ),
    step("load_acquire", "smp_load_acquire: what follows stays behind it."),
    step("store_release", "smp_store_release: what precedes stays before it."),
    step("fetch_add", "Adds and gives the old value; fully ordered."),
    step("xchg", "Exchanges and gives the old value; fully ordered."),
    step(
        "cmpxchg",
        "Writes the new value if the old one is as given, and gives the old value; fully ordered.",
    ),
    step("smp_mb", "A full barrier: with `memory: TSO` the store buffer is drained."),
    step("smp_rmb", "A read barrier. In the models of memory here reads are in order anyway."),
    step("smp_wmb", "A write barrier. In the models of memory here writes are in order anyway."),
    step(
        "lock",
        "Takes a lock. A raw_spinlock spins; a spinlock too, unless the kernel is PREEMPT_RT; a mutex sleeps.",
    ),
    step("unlock", "Releases a lock."),
    step("trylock", "Takes a lock if it is free; the local name is 1 or 0."),
    step("lock_irqsave", "Switches interrupts off, then takes the lock."),
    step("unlock_irqrestore", "Releases the lock, then switches interrupts on again."),
    step("local_irq_save", "Switches interrupts off on this CPU; it nests."),
    step("local_irq_restore", "Takes one local_irq_save back."),
    step("local_bh_disable", "Keeps softirqs off this CPU; it nests."),
    step("local_bh_enable", "Takes one local_bh_disable back; what is pending runs now."),
    step("preempt_disable", "Keeps other tasks off this CPU; it nests."),
    step("preempt_enable", "Takes one preempt_disable back."),
    step("alloc", "Allocates an object of a declared type; the local name points to it."),
    step("free", "Frees the object. Whoever uses it later has a use after free."),
    step("rcu_read_lock", "Enters an RCU read-side section."),
    step("rcu_read_unlock", "Leaves it."),
    step("call_rcu_free", "Frees the object when all RCU readers of now have left."),
    step("synchronize_rcu", "Waits until all RCU readers of now have left. It sleeps."),
    step(
        "wait_until",
        "Spins until a condition on shared variables holds, and keeps the CPU. All are read in one step.",
    ),
    step("sleep_until", "As wait_until, but gives the CPU away."),
];
