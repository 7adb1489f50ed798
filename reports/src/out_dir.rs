//! Writes the files of a result as one folder, all or nothing.
//!
//! The folder is written beside its place and then put there by renaming, so that no file is older than its
//! `result.json`, and an error half-way leaves what was there. An earlier folder is replaced only if it is a result of
//! ours and holds nothing else: what a user put there is never lost.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files that results consist of: an earlier folder may hold these, and is ours then.
const OURS: [&str; 40] = [
    "certificate.json",
    "costs.ron",
    "cover.txt",
    "happens-before.dot",
    "happens-before.png",
    "happens-before.svg",
    "hist.txt",
    "index.html",
    "latency.csv",
    "latency.hlog",
    "latency.png",
    "latency.svg",
    "lock-order.dot",
    "lock-order.png",
    "lock-order.svg",
    "matrix.png",
    "matrix.svg",
    "matrix.txt",
    "race.png",
    "race.svg",
    "race.txt",
    "report.html",
    "result.json",
    "scenario.ron",
    "schedule.ron",
    "splat.txt",
    "states.dot",
    "states.png",
    "states.svg",
    "sweep.csv",
    "sweep.png",
    "sweep.svg",
    "timeline.png",
    "timeline.svg",
    "trace.pftrace",
    "trace.shiviz",
    "trace.txt",
    "waits-for.dot",
    "waits-for.png",
    "waits-for.svg",
];

/// Of a suite: its folder, those of the scenarios, those of the kernels.
const MAX_DEPTH: usize = 3;

/// Why a folder was not written. What was there before is there still.
#[derive(Debug)]
pub enum OutError {
    /// The system refused; which path, and why.
    Io {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is something that is not a result of ours.
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        why: String,
    },
    /// A name that cannot be a file of a folder.
    Name(String),
}

impl fmt::Display for OutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutError::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            OutError::Foreign { path, why } => write!(
                f,
                "{} is not replaced: {why}; name another folder, or remove this one yourself",
                path.display()
            ),
            OutError::Name(name) => write!(f, "`{name}` cannot be the name of a file in a result"),
        }
    }
}

impl std::error::Error for OutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OutError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn io<T>(doing: &'static str, path: &Path, result: io::Result<T>) -> Result<T, OutError> {
    result.map_err(|source| OutError::Io { doing, path: path.to_path_buf(), source })
}

/// Writes the files as the folder `dir`, with its parents, in place of an earlier result.
///
/// # Errors
/// See [`OutError`].
pub fn write_dir(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<(), OutError> {
    check_names(files)?;
    let mut out = OutDir::open_for(dir, files)?;
    for (name, bytes) in files {
        out.write(name, bytes)?;
    }
    out.finish()
}

/// A result that is being written, aside. Dropped before [`OutDir::finish`], it is as if it had never been.
#[derive(Debug)]
pub struct OutDir {
    dir: PathBuf,
    new: PathBuf,
    old: PathBuf,
    was_there: bool,
    finished: bool,
}

impl OutDir {
    /// Begins a result that will be the folder `dir`, with its parents.
    ///
    /// # Errors
    /// See [`OutError`].
    pub fn open(dir: &Path) -> Result<OutDir, OutError> {
        OutDir::open_for(dir, &[])
    }

    fn open_for(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<OutDir, OutError> {
        let Some(name) = dir.file_name() else {
            let why = "it cannot be replaced as a whole".to_string();
            return Err(OutError::Foreign { path: dir.to_path_buf(), why });
        };
        let parent = match dir.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let was_there = check_place(dir, files)?;
        io("create", &parent, fs::create_dir_all(&parent))?;
        let aside = |suffix: &str| {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}.{suffix}", std::process::id()));
            parent.join(hidden)
        };
        sweep(&parent, name);
        let (new, old) = (aside("new"), aside("old"));
        io("create", &new, fs::create_dir(&new))?;
        Ok(OutDir { dir: dir.to_path_buf(), new, old, was_there, finished: false })
    }

    /// The folder that it will be.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of the result, to be written as its content comes.
    ///
    /// # Errors
    /// See [`OutError`]; a name twice is one.
    pub fn file(&mut self, name: &str) -> Result<io::BufWriter<fs::File>, OutError> {
        let path = self.new.join(name);
        if let Some(parent) = path.parent() {
            io("create", parent, fs::create_dir_all(parent))?;
        }
        Ok(io::BufWriter::new(io("create", &path, fs::File::create_new(&path))?))
    }

    /// A whole file.
    ///
    /// # Errors
    /// See [`OutError`].
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), OutError> {
        let mut file = self.file(name)?;
        let written = file.write_all(bytes).and_then(|()| file.flush());
        io("write", &self.new.join(name), written)
    }

    /// Puts the folder in place of the old one. All files must be flushed.
    ///
    /// # Errors
    /// See [`OutError`].
    pub fn finish(mut self) -> Result<(), OutError> {
        swap(&self.dir, &self.new, &self.old, self.was_there)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        if !self.finished {
            // The error before is the one to tell; of what is aside nothing is lost.
            let _ = fs::remove_dir_all(&self.new);
        }
    }
}

/// Writes one file, all or nothing: beside its place, whose folder is made if need be, and then renamed. What is no plain file (a terminal, a pipe, a
/// device) is written to as it is.
///
/// # Errors
/// See [`OutError`]; the file that was there is there still.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutError> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let why = "it is a folder".to_string();
            return Err(OutError::Foreign { path: path.to_path_buf(), why });
        }
        Ok(meta) if !meta.is_file() => {
            let mut file = io("open", path, fs::OpenOptions::new().write(true).open(path))?;
            return io("write", path, file.write_all(bytes));
        }
        _ => {}
    }
    let Some(name) = path.file_name() else {
        return Err(OutError::Name(path.display().to_string()));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    let aside = path.with_file_name(hidden);
    if let Some(folder) = path.parent() {
        io("create", folder, fs::create_dir_all(folder))?;
    }
    let put = (|| {
        let mut file = io("create", path, fs::File::create(&aside))?;
        io("write", path, file.write_all(bytes))?;
        io("create", path, fs::rename(&aside, path))
    })();
    if put.is_err() {
        let _ = fs::remove_file(&aside);
    }
    put
}

/// Names are those of files, or of files in folders of a suite: `scenario/kernel/race.svg`.
fn check_names(files: &[(String, Vec<u8>)]) -> Result<(), OutError> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    let mut seen = BTreeSet::new();
    for (name, _) in files {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() > MAX_DEPTH || !parts.into_iter().all(plain) || !seen.insert(name) {
            return Err(OutError::Name(name.clone()));
        }
    }
    Ok(())
}

/// Whether there is a folder to replace; an error if it is not ours.
fn check_place(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<bool, OutError> {
    let foreign = |why: String| Err(OutError::Foreign { path: dir.to_path_buf(), why });
    let meta = match fs::symlink_metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => io("look at", dir, other)?,
    };
    if !meta.is_dir() {
        return foreign("it is not a folder".to_string());
    }
    if io("read", dir, fs::read_dir(dir))?.next().is_none() {
        return Ok(true);
    }
    if !is_result(&dir.join("result.json")) {
        return foreign("it holds no result.json of timerace".to_string());
    }
    let ours = |n: &str| OURS.contains(&n) || files.iter().any(|(f, _)| f == n);
    match stranger(dir, "", 1, &ours)? {
        Some(n) => foreign(format!("it holds {n}, which timerace did not write")),
        None => Ok(true),
    }
}

/// The first thing in a folder that is not ours, by its path from the result. Folders in it are those of a suite: below
/// each scenario one for a kernel, with a result of its own.
fn stranger(
    dir: &Path,
    from: &str,
    depth: usize,
    ours: &dyn Fn(&str) -> bool,
) -> Result<Option<String>, OutError> {
    let mut entries = Vec::new();
    for entry in io("read", dir, fs::read_dir(dir))? {
        let entry = io("read", dir, entry)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push((name, io("look at", &entry.path(), entry.file_type())?.is_dir()));
    }
    entries.sort();
    for (name, is_dir) in entries {
        let (path, named) = (dir.join(&name), format!("{from}{name}"));
        if !is_dir {
            let known = ours(&name) && (depth == 1 || depth == MAX_DEPTH);
            if !known {
                return Ok(Some(named));
            }
            continue;
        }
        let result = depth + 1 < MAX_DEPTH || is_result(&path.join("result.json"));
        if depth >= MAX_DEPTH || !result {
            return Ok(Some(named));
        }
        if let Some(found) = stranger(&path, &format!("{named}/"), depth + 1, ours)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn is_result(path: &Path) -> bool {
    let Ok(text) = fs::read(path) else { return false };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&text) else { return false };
    let has = |key: &str| value.get(key).is_some();
    let of_scenario = has("scenario") && (has("kernel") || has("cells"));
    has("schema") && (has("cases") || of_scenario || has("costs") && has("checks"))
}

/// Puts the new folder in place of the old one. On Linux the two change places in one step, so that whoever looks, or
/// ends the program, at any moment finds one or the other.
fn swap(dir: &Path, new: &Path, old: &Path, was_there: bool) -> Result<(), OutError> {
    if !was_there {
        return io("create", dir, fs::rename(new, dir));
    }
    if exchange(new, dir) {
        return io("remove", new, fs::remove_dir_all(new));
    }
    io("move aside", dir, fs::rename(dir, old))?;
    if let Err(source) = fs::rename(new, dir) {
        io("move back", old, fs::rename(old, dir))?;
        return Err(OutError::Io { doing: "create", path: dir.to_path_buf(), source });
    }
    io("remove", old, fs::remove_dir_all(old))
}

/// Lets two folders change places; `false` where the system cannot do that.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// Removes what earlier runs left beside the folder when they were killed: folders of ours whose program is gone.
fn sweep(parent: &Path, name: &std::ffi::OsStr) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in entries.flatten() {
        let left = entry.file_name().to_string_lossy().into_owned();
        let pid = left
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(".new").or_else(|| rest.strip_suffix(".old")));
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let processes = Path::new("/proc");
        let gone = processes.join("self").exists() && !processes.join(pid.to_string()).exists();
        if gone && entry.path().is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
