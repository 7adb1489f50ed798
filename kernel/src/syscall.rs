//! System calls of tasks: bpf(2), close, dup, unlink, kill (kernel/bpf/syscall.c, inode.c).

use crate::arg::Arg;
use crate::errno::{EBADF, EEXIST, EINVAL, ENOENT, ENOTSUPP};
use crate::kernel::{Kernel, Role};
use crate::process::{File, Process};
use crate::world::{Call, ElemRef, FdRef, KeyRef, MapRef, Operand, ProgKind};
use timerace_core::step::{Gate, Site};
use timerace_core::{Cx, site};

/// What a system call gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub ret: i64,
    pub data: Vec<i64>,
    /// The task was killed by it.
    pub killed: bool,
}

impl Outcome {
    fn of(ret: i64) -> Outcome {
        Outcome { ret, ..Outcome::default() }
    }
}

/// How long a task polls for the end of a map or program.
const EXISTS_TIMEOUT_NS: u64 = 400_000_000;

impl Kernel {
    /// Performs a call in a task.
    pub(crate) async fn syscall(&self, cx: Cx<'_>, p: &mut Process, call: &Call) -> Outcome {
        match call {
            Call::MapLookup(_)
            | Call::MapUpdate { .. }
            | Call::MapDelete(_)
            | Call::MapLookupAndDelete(_)
            | Call::MapUpdateBatch(..)
            | Call::MapDeleteBatch(..)
            | Call::MapLookupBatch(_)
            | Call::MapLookupAndDeleteBatch(_)
            | Call::MapKeys(_) => self.map_syscall(cx, p, call).await,
            Call::ProgRun(prog) => Outcome::of(self.bpf_prog_test_run(cx, p, prog.index()).await),
            Call::Kill(task, signal) => {
                let own = self.roles[cx.id().index()];
                let me = matches!(own, Role::Task { task: t, .. } if t == task.index());
                let killed = me && crate::process::is_deadly(*signal);
                if !me && let Some(v) = self.tasks[task.index()].signalled {
                    let label = site!("kill({})", Syscall).with(Arg::Task(task.index()).word());
                    cx.write(label, v, true).await;
                }
                Outcome { killed, ..Outcome::default() }
            }
            Call::ProgExistsById(g) => {
                let v = self.progs[g.index()].obj.refcnt();
                self.exists(cx, site!("bpf_prog_get_fd_by_id()", Syscall), v).await
            }
            Call::MapExistsById(m) => {
                let v = self.maps[m.index()].obj.refcnt();
                self.exists(cx, site!("bpf_map_get_fd_by_id()", Syscall), v).await
            }
            Call::Pin(inner, path) => {
                let fd = self.fd_syscall(cx, p, inner).await;
                match usize::try_from(fd - crate::process::FIRST_FD) {
                    Ok(at) => match p.file(at) {
                        Some(file) => {
                            let ret = self.pin(cx, file, path.index()).await;
                            Outcome::of(if ret < 0 { ret } else { fd })
                        }
                        None => Outcome::of(EBADF),
                    },
                    Err(_) => Outcome::of(fd),
                }
            }
            _ => Outcome::of(self.fd_syscall(cx, p, call).await),
        }
    }

    async fn exists(&self, cx: Cx<'_>, site: &'static Site, v: timerace_core::Var<i64>) -> Outcome {
        let end = cx.now().plus(EXISTS_TIMEOUT_NS);
        loop {
            // Only the count is asked, whether or not the object is still allocated.
            let there = cx.step(site).reads(v.obj()).run(move |m| m.peek(v.obj()) as i64 > 0).await;
            if !there || !self.timed || cx.now() >= end {
                return Outcome::of(i64::from(there));
            }
            let until = cx.done_at().plus(crate::process::POLL_NS);
            cx.step(site!("sleep", Free)).asleep().gate(Gate::At(until)).run(|_| ()).await;
        }
    }

    /// Calls about file descriptors and what is behind them.
    async fn fd_syscall(&self, cx: Cx<'_>, p: &mut Process, call: &Call) -> i64 {
        match call {
            Call::MapCreate(m) => match self.bpf_map_create(cx, m.index()).await {
                0 => p.open(File::Map(m.index())),
                error => error,
            },
            Call::ProgLoad(g) => match self.bpf_prog_load(cx, g.index()).await {
                0 => p.open(File::Prog(g.index())),
                error => error,
            },
            Call::MapGetFdById(m) => {
                if !self.bpf_map_get_by_id(cx, m.index()).await {
                    return ENOENT;
                }
                p.open(File::Map(m.index()))
            }
            Call::IterCreate(m) => {
                self.bpf_iter_create(cx, m.index()).await;
                p.open(File::Iter(m.index()))
            }
            // Through the program's descriptor: without one there is nothing to attach.
            Call::LinkCreate(g)
                if self.progs[g.index()].loaded_by_task && p.fd(&FdRef::Prog(*g)).is_none() =>
            {
                EBADF
            }
            Call::LinkCreate(g) => match self.bpf_link_create(cx, g.index()).await {
                0 => p.open(File::Link(g.index())),
                error => error,
            },
            Call::ObjPin(fd, path) => match p.fd(fd).and_then(|fd| p.file(fd)) {
                Some(file) => self.pin(cx, file, path.index()).await,
                None => EBADF,
            },
            Call::ObjGet(path) => match self.obj_get(cx, path.index()).await {
                Some(file) => p.open(file),
                None => ENOENT,
            },
            Call::Unlink(path) => self.unlink(cx, path.index()).await,
            Call::Dup(fd) => {
                let fd = p.fd(fd);
                fd.and_then(|fd| p.dup(fd)).unwrap_or(EBADF)
            }
            Call::Close(fd) => self.close(cx, p, fd).await,
            _ => EINVAL,
        }
    }

    /// Whether the task has the capabilities that loading a program of this type needs.
    pub(crate) fn may_load(&self, cx: Cx<'_>, kind: ProgKind) -> bool {
        let Role::Task { task, .. } = self.roles[cx.id().index()] else { return true };
        let t = &self.tasks[task];
        // `is_net_admin_prog_type()`
        let net = matches!(kind, ProgKind::Xdp | ProgKind::Tc | ProgKind::Netfilter);
        t.cap_bpf && (t.cap_net_admin || !net)
    }

    async fn close(&self, cx: Cx<'_>, p: &mut Process, fd: &FdRef) -> i64 {
        let Some(last) = p.fd(fd).and_then(|fd| p.take(fd)) else { return EBADF };
        let Some(file) = last else { return 0 };
        let f = cx.enter("close");
        let label = site!("close({})", Syscall).with(file_arg(file));
        let section = self.enter_kernel(cx, label).await;
        self.fput(cx, file).await;
        self.leave_kernel(cx, section).await;
        f.ret(0)
    }

    /// The last reference to an open file goes.
    pub(crate) async fn fput(&self, cx: Cx<'_>, file: File) {
        match file {
            File::Map(m) => self.bpf_map_put_with_uref(cx, m).await,
            File::Prog(g) => self.bpf_prog_put(cx, g).await,
            File::Iter(m) if self.flags.iter_holds_uref => {
                self.bpf_map_put_with_uref(cx, m).await;
            }
            File::Iter(m) => self.bpf_map_put(cx, m).await,
            File::Link(g) => self.bpf_link_put(cx, g).await,
        }
    }

    /// `BPF_OBJ_PIN`: the path holds references of its own.
    async fn pin(&self, cx: Cx<'_>, file: File, path: usize) -> i64 {
        let f = cx.enter("bpf_obj_pin");
        let label = site!("bpf(BPF_OBJ_PIN, {})", Syscall).with(Arg::Path(path).word());
        let section = self.enter_kernel(cx, label).await;
        match file {
            File::Map(m) => self.bpf_map_inc_with_uref(cx, m).await,
            File::Prog(g) => {
                self.bpf_prog_inc_not_zero(cx, g).await;
            }
            File::Link(g) => self.bpf_link_inc(cx, g).await,
            // A file of an iterator is not one of bpffs.
            File::Iter(_) => {
                self.leave_kernel(cx, section).await;
                return f.ret(EINVAL);
            }
        }
        let v = self.paths[path];
        let word = file_word(file);
        let free = cx.cmpxchg(site!("vfs_mkobj(dentry)", Atomic), v, 0, word).await == 0;
        if !free {
            self.fput(cx, file).await;
        }
        self.leave_kernel(cx, section).await;
        f.ret(if free { 0 } else { EEXIST })
    }

    /// `BPF_OBJ_GET`
    async fn obj_get(&self, cx: Cx<'_>, path: usize) -> Option<File> {
        let _f = cx.enter("bpf_obj_get");
        let label = site!("bpf(BPF_OBJ_GET, {})", Syscall).with(Arg::Path(path).word());
        let section = self.enter_kernel(cx, label).await;
        let file = self.bpf_obj_do_get(cx, path).await;
        self.leave_kernel(cx, section).await;
        file
    }

    /// `bpf_obj_do_get()`: look the path up, then a reference of its own. The look-up holds the inode, and the inode what is
    /// pinned; so the reference is taken in a step that sees the path still there, and an `unlink()` in between is one that
    /// came before.
    async fn bpf_obj_do_get(&self, cx: Cx<'_>, path: usize) -> Option<File> {
        let v = self.paths[path];
        loop {
            let word = cx.read(site!("inode = d_backing_inode(path.dentry)", Memory), v).await;
            let file = file_of(word)?;
            let map = match file {
                File::Map(m) | File::Iter(m) => Some(self.maps[m].obj),
                File::Prog(_) | File::Link(_) => None,
            };
            let count = match file {
                File::Map(m) | File::Iter(m) => Some(self.maps[m].obj.refcnt()),
                File::Prog(g) => Some(self.progs[g].obj.refcnt()),
                File::Link(g) => self.links[g],
            };
            let mut step = cx.step(site!("bpf_any_get(raw, type)", Atomic)).reads(v.obj());
            step = count.iter().fold(step, |s, c| s.writes(c.obj()));
            if let Some(o) = map {
                step = step.writes(o.usercnt().obj()).writes(o.released().obj());
            }
            let got = step.run(move |m| {
                if m.load(v) != word {
                    return false;
                }
                if let Some(count) = count {
                    m.update(count, |n: i64| n + 1);
                }
                if let Some(o) = map {
                    m.update(o.usercnt(), |n: i64| n + 1);
                    m.store(o.released(), 0);
                }
                true
            });
            if got.await {
                return Some(file);
            }
        }
    }

    /// `unlink()` of a pin: its references go.
    async fn unlink(&self, cx: Cx<'_>, path: usize) -> i64 {
        let f = cx.enter("unlink");
        let label = site!("unlink({})", Syscall).with(Arg::Path(path).word());
        let section = self.enter_kernel(cx, label).await;
        let was = cx.xchg(site!("d_delete(dentry)", Atomic), self.paths[path], 0).await;
        let file = file_of(was);
        if let Some(file) = file {
            self.fput(cx, file).await;
        }
        self.leave_kernel(cx, section).await;
        f.ret(if file.is_some() { 0 } else { ENOENT })
    }

    /// `BPF_PROG_TEST_RUN`, through an open descriptor of the program.
    async fn bpf_prog_test_run(&self, cx: Cx<'_>, p: &Process, prog: usize) -> i64 {
        let f = cx.enter_with("bpf_prog_test_run", Arg::Prog(prog).word());
        let label = site!("bpf_prog_test_run({})", Syscall).with(Arg::Prog(prog).word());
        let section = self.enter_kernel(cx, label).await;
        let counted = self.progs[prog].loaded_by_task;
        let closed = p.has_closed(File::Prog(prog));
        if closed || counted && !self.bpf_prog_inc_not_zero(cx, prog).await {
            self.leave_kernel(cx, section).await;
            return f.ret(EBADF);
        }
        self.run_in_sections(cx, prog).await;
        if counted {
            self.bpf_prog_put(cx, prog).await;
        }
        self.leave_kernel(cx, section).await;
        f.ret(0)
    }

    async fn map_syscall(&self, cx: Cx<'_>, p: &mut Process, call: &Call) -> Outcome {
        let (label, name): (&'static Site, _) = match call {
            Call::MapLookup(_) => (site!("bpf(BPF_MAP_LOOKUP_ELEM)", Syscall), "map_lookup_elem"),
            Call::MapUpdate { .. } => {
                (site!("bpf(BPF_MAP_UPDATE_ELEM)", Syscall), "map_update_elem")
            }
            Call::MapDelete(_) => (site!("bpf(BPF_MAP_DELETE_ELEM)", Syscall), "map_delete_elem"),
            Call::MapLookupAndDelete(_) => {
                (site!("bpf(BPF_MAP_LOOKUP_AND_DELETE)", Syscall), "map_lookup_and_delete_elem")
            }
            Call::MapKeys(_) => (site!("bpf(BPF_MAP_GET_NEXT_KEY)", Syscall), "map_get_next_key"),
            _ => (site!("bpf(BPF_MAP_*_BATCH)", Syscall), "bpf_map_do_batch"),
        };
        let f = cx.enter(name);
        let section = self.enter_kernel(cx, label).await;
        if map_of(call).is_some_and(|m| p.has_closed(File::Map(m))) {
            self.leave_kernel(cx, section).await;
            return Outcome::of(f.ret(EBADF));
        }
        // bpf_disable_instrumentation() keeps only kprobe programs away; rcu_read_lock() spans the operation.
        self.rcu_read_lock(cx).await;
        let done = self.map_operation(cx, p, call).await;
        self.rcu_read_unlock(cx).await;
        self.leave_kernel(cx, section).await;
        // The task sleeps here: it is in no section of its CPU.
        if self.waits_for_programs(call) && done.ret == 0 {
            self.maybe_wait_bpf_programs(cx).await;
        }
        f.ret(done.ret);
        done
    }

    /// Whether the call is an update or a delete of an outer map's slot by bpf(2).
    pub(crate) fn waits_for_programs(&self, call: &Call) -> bool {
        let (Call::MapUpdate { elem: e, .. } | Call::MapDelete(e)) = call else { return false };
        matches!(e.map, MapRef::Map(m) if self.maps[m.index()].kind.is_outer())
    }

    /// `maybe_wait_bpf_programs()`: programs that may still use the old inner map are waited for, all but sleepable ones, so
    /// that user space knows. The reference on the old map is dropped before.
    async fn maybe_wait_bpf_programs(&self, cx: Cx<'_>) {
        let _f = cx.enter_leaf("maybe_wait_bpf_programs");
        self.synchronize_rcu(cx).await;
    }

    async fn map_operation(&self, cx: Cx<'_>, p: &mut Process, call: &Call) -> Outcome {
        match call {
            Call::MapLookup(e) => {
                let Some((map, key)) = self.task_elem(p, e) else { return Outcome::of(EBADF) };
                if self.maps[map].kind.is_outer() {
                    let found = self.outer_lookup(cx, map, key).await;
                    return Outcome::of(if found.is_some() { 0 } else { ENOENT });
                }
                self.lookup_value(cx, map, key).await
            }
            Call::MapUpdate { elem, flag, value } => {
                let Some((map, key)) = self.task_elem(p, elem) else { return Outcome::of(EBADF) };
                if self.maps[map].kind.is_outer() {
                    let inner = inner_map(p, value.as_ref());
                    let done = self.outer_update(cx, map, key, inner, flag.bits()).await;
                    return Outcome::of(done);
                }
                let v = value.as_ref().map(|v| p.act.operand(v));
                Outcome::of(self.map_update(cx, map, key, *flag, v).await)
            }
            Call::MapDelete(e) => {
                let Some((map, key)) = self.task_elem(p, e) else { return Outcome::of(EBADF) };
                Outcome::of(self.map_delete(cx, map, key).await)
            }
            Call::MapLookupAndDelete(e) => {
                let Some((map, key)) = self.task_elem(p, e) else { return Outcome::of(EBADF) };
                self.map_lookup_and_delete(cx, map, key).await
            }
            Call::MapUpdateBatch(MapRef::Map(m), items, flag) => {
                for (n, (key, v)) in items.iter().enumerate() {
                    let ret =
                        self.map_update(cx, m.index(), *key as u64, *flag, Some(*v as u64)).await;
                    if ret != 0 {
                        return Outcome { ret, data: vec![n as i64], killed: false };
                    }
                }
                Outcome { ret: 0, data: vec![items.len() as i64], killed: false }
            }
            Call::MapDeleteBatch(MapRef::Map(m), _)
            | Call::MapLookupAndDeleteBatch(MapRef::Map(m))
                if self.maps[m.index()].kind.is_array() =>
            {
                Outcome::of(ENOTSUPP)
            }
            Call::MapDeleteBatch(MapRef::Map(m), keys) => {
                for (n, key) in keys.iter().enumerate() {
                    let ret = self.map_delete(cx, m.index(), *key as u64).await;
                    if ret != 0 {
                        return Outcome { ret, data: vec![n as i64], killed: false };
                    }
                }
                Outcome { ret: 0, data: vec![keys.len() as i64], killed: false }
            }
            Call::MapKeys(MapRef::Map(m)) => {
                Outcome { data: self.map_keys(cx, m.index()).await, ..Outcome::default() }
            }
            Call::MapLookupBatch(MapRef::Map(m)) => self.lookup_batch(cx, m.index(), false).await,
            Call::MapLookupAndDeleteBatch(MapRef::Map(m)) => {
                self.lookup_batch(cx, m.index(), true).await
            }
            _ => Outcome::of(EINVAL),
        }
    }

    /// All elements in one call. On a hash map it ends with -ENOENT, because nothing is left; on an array the count asked
    /// for, which is all, is reached first.
    async fn lookup_batch(&self, cx: Cx<'_>, map: usize, delete: bool) -> Outcome {
        let keys = self.map_keys(cx, map).await;
        for key in &keys {
            if delete {
                self.map_lookup_and_delete(cx, map, *key as u64).await;
            }
        }
        let ret = if self.maps[map].kind.is_array() { 0 } else { ENOENT };
        Outcome { ret, data: vec![keys.len() as i64], killed: false }
    }

    async fn lookup_value(&self, cx: Cx<'_>, map: usize, key: u64) -> Outcome {
        let Some(e) = self.map_lookup_sys(cx, map, key).await else { return Outcome::of(ENOENT) };
        let Some(f) = self.maps[map].first_integer else { return Outcome::of(0) };
        let v = cx.read(site!("copy_map_value(value, ptr)", Memory), e.member(f)).await;
        Outcome { ret: 0, data: vec![v as i64], killed: false }
    }

    fn task_elem(&self, p: &Process, e: &ElemRef) -> Option<(usize, u64)> {
        let MapRef::Map(m) = e.map else { return None };
        let key = match e.key {
            KeyRef::Int(n) => n as u64,
            KeyRef::Local(l) => p.act.locals[crate::compile::local(l)],
            KeyRef::Itself => return None,
        };
        Some((m.index(), key))
    }
}

/// The inner map that an update of a slot is given, by descriptor: -EBADF for one that is not open, -EINVAL for one of
/// something else.
fn inner_map(p: &Process, value: Option<&Operand>) -> Result<usize, i64> {
    match value {
        Some(Operand::Local(l)) => match p.fd(&FdRef::Local(*l)).and_then(|fd| p.file(fd)) {
            Some(File::Map(m)) => Ok(m),
            Some(_) => Err(EINVAL),
            None => Err(EBADF),
        },
        Some(Operand::Map(MapRef::Map(m))) if !p.has_closed(File::Map(m.index())) => Ok(m.index()),
        _ => Err(EBADF),
    }
}

/// The map that a command of bpf(2) is about.
fn map_of(call: &Call) -> Option<usize> {
    let (Call::MapLookup(ElemRef { map, .. })
    | Call::MapUpdate { elem: ElemRef { map, .. }, .. }
    | Call::MapDelete(ElemRef { map, .. })
    | Call::MapLookupAndDelete(ElemRef { map, .. })
    | Call::MapUpdateBatch(map, ..)
    | Call::MapDeleteBatch(map, _)
    | Call::MapLookupBatch(map)
    | Call::MapLookupAndDeleteBatch(map)
    | Call::MapKeys(map)) = call
    else {
        return None;
    };
    match map {
        MapRef::Map(m) => Some(m.index()),
        MapRef::Slot(..) => None,
    }
}

const FILE_MAP: u64 = 1 << 32;
const FILE_PROG: u64 = 2 << 32;
const FILE_LINK: u64 = 3 << 32;

fn file_word(file: File) -> u64 {
    match file {
        File::Map(m) | File::Iter(m) => FILE_MAP | m as u64,
        File::Prog(g) => FILE_PROG | g as u64,
        File::Link(g) => FILE_LINK | g as u64,
    }
}

fn file_of(word: u64) -> Option<File> {
    let index = (word & (FILE_MAP - 1)) as usize;
    match word & !(FILE_MAP - 1) {
        FILE_MAP => Some(File::Map(index)),
        FILE_PROG => Some(File::Prog(index)),
        FILE_LINK => Some(File::Link(index)),
        _ => None,
    }
}

fn file_arg(file: File) -> u64 {
    match file {
        File::Map(m) | File::Iter(m) => Arg::Map(m).word(),
        File::Prog(g) | File::Link(g) => Arg::Prog(g).word(),
    }
}
