//! The kernel functions whose calls a run of the model has, by name: what an expectation can name besides programs and tasks.

/// In the order of the alphabet, of all versions together. What a call of the kernel does in a step of another function, a
/// look-up for instance, has no call here.
pub const FUNCTIONS: &[&str] = &[
    "array_map_update_elem",
    "bpf_async_cancel_and_free",
    "bpf_async_cb_rcu_free",
    "bpf_async_cb_rcu_tasks_trace_free",
    "bpf_async_irq_worker",
    "bpf_async_schedule_op",
    "bpf_async_update_prog_callback",
    "bpf_copy_from_user",
    "bpf_fd_array_map_update_elem",
    "bpf_fd_htab_map_update_elem",
    "bpf_for_each_map_elem",
    "bpf_iter_create",
    "bpf_ktime_get_ns",
    "bpf_link_create",
    "bpf_link_free",
    "bpf_lru_pop_free",
    "bpf_map_do_batch",
    "bpf_map_free_deferred",
    "bpf_map_get_fd_by_id",
    "bpf_map_put",
    "bpf_map_put_uref",
    "bpf_mem_alloc_destroy",
    "bpf_obj_get",
    "bpf_obj_pin",
    "bpf_prog_free_deferred",
    "bpf_prog_load",
    "bpf_prog_put",
    "bpf_prog_test_run",
    "bpf_timer_cancel",
    "bpf_timer_cancel_and_free",
    "bpf_timer_cancel_async",
    "bpf_timer_cb",
    "bpf_timer_delete_work",
    "bpf_timer_init",
    "bpf_timer_set_callback",
    "bpf_timer_start",
    "bpf_wq_cancel_and_free",
    "bpf_wq_delete_work",
    "bpf_wq_init",
    "bpf_wq_set_callback",
    "bpf_wq_start",
    "bpf_wq_work",
    "call_rcu_tasks_trace",
    "cancel_work_sync",
    "close",
    "do_exit",
    "drop_prog_refcnt",
    "fd_array_map_delete_elem",
    "fentry/bpf_obj_free_fields",
    "fentry/lookup_elem_raw",
    "free_all",
    "hrtimer_cancel",
    "hrtimer_cancel_wait_running",
    "hrtimer_run_softirq",
    "hrtimer_start",
    "hrtimer_try_to_cancel",
    "hrtimers_cpu_dying",
    "hrtimers_dead_cpu",
    "htab_elem_free_rcu",
    "htab_lru_map_delete_elem",
    "htab_lru_map_delete_node",
    "htab_lru_map_lookup_and_delete_elem",
    "htab_lru_map_update_elem",
    "htab_lru_push_free",
    "htab_map_delete_elem",
    "htab_map_lookup_and_delete_elem",
    "htab_map_update_elem",
    "irq_work_single",
    "kfree",
    "kfree_nolock",
    "kfree_rcu",
    "map_create",
    "map_delete_elem",
    "map_get_next_key",
    "map_lookup_and_delete_elem",
    "map_lookup_elem",
    "map_release_uref",
    "map_update_elem",
    "maybe_wait_bpf_programs",
    "memcg_memory_event",
    "rhtab_map_delete_elem",
    "rhtab_map_lookup_and_delete_elem",
    "rhtab_map_update_elem",
    "trace_hrtimer_cancel",
    "trace_hrtimer_expire_entry",
    "trace_hrtimer_expire_exit",
    "trace_hrtimer_start",
    "unlink",
];

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => sources(&path, out),
                false if path.ends_with("functions.rs") => {}
                false => out.push(path),
            }
        }
    }

    /// All string literals of the crate, and those that a call is entered with directly.
    fn literals() -> (Vec<String>, Vec<String>) {
        let (mut files, mut all, mut entered) = (Vec::new(), Vec::new(), Vec::new());
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(file).expect("a source file");
            all.extend(text.split('"').skip(1).map(str::to_string));
            for call in ["enter(", "enter_leaf(", "enter_with("] {
                let names =
                    text.split(call).skip(1).filter_map(|t| t.trim_start().strip_prefix('"'));
                entered.extend(names.filter_map(|t| Some(t.split_once('"')?.0.to_string())));
            }
        }
        (all, entered)
    }

    #[test]
    fn the_list_is_that_of_the_model() {
        let (all, entered) = literals();
        assert!(entered.len() > 60);
        for name in entered {
            assert!(FUNCTIONS.contains(&name.as_str()), "{name} is not listed");
        }
        for name in FUNCTIONS {
            assert!(all.iter().any(|t| t == name), "no call is {name}");
        }
        assert!(FUNCTIONS.is_sorted());
    }
}
