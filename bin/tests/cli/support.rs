//! Runs the built program in a folder of its own.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of built-in scenarios.
pub fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/library")
}

/// A fresh folder for one test; gone when dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Dir {
        let at = std::env::temp_dir().join(format!("timerace-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&at);
        std::fs::create_dir_all(&at).unwrap();
        Dir(at)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let at = self.0.join(name);
        std::fs::write(&at, bytes).unwrap();
        at
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A text that people look at, kept as a file. `TIMERACE_BLESS=1 cargo test` writes it anew; look at the diff.
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("TIMERACE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{} differs; TIMERACE_BLESS=1 accepts", path.display());
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

/// The program, in a folder, without any setting of the caller's environment.
pub fn program(dir: &Dir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timerace"));
    command.current_dir(&dir.0);
    for name in ["TIMERACE_KERNEL", "TIMERACE_COLOR", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "CI"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs `timerace ARGS` in a folder.
pub fn timerace(dir: &Dir, args: &[&str]) -> Ran {
    timerace_with(dir, args, &[])
}

/// The same with settings of the environment.
pub fn timerace_with(dir: &Dir, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let ran = program(dir).args(args).envs(env.iter().copied()).output().unwrap();
    let Output { status, stdout, stderr } = ran;
    let err = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!err.contains("internal error"), "{args:?}: {err}");
    Ran {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err,
    }
}

/// All files below a folder, with their bytes.
pub fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(dir: &Path, base: &Path, out: &mut Vec<(String, Vec<u8>)>) {
        for e in std::fs::read_dir(dir).unwrap() {
            let path = e.unwrap().path();
            if path.is_dir() {
                walk(&path, base, out);
            } else {
                let name = path.strip_prefix(base).unwrap().display().to_string();
                out.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(dir, dir, &mut out);
    out.sort();
    out
}
