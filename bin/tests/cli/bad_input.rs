//! Bad input: a clear message, exit code 2, no panic.

use crate::support::{Dir, library, timerace};

#[test]
fn files_that_are_no_scenarios() {
    let dir = Dir::new("bad-files");
    let missing = dir.0.join("no-such.ron").display().to_string();
    let folder = dir.0.display().to_string();
    let binary = dir.file("binary.ron", &[0xff, 0xfe, 0, 1, 2, 0x80]).display().to_string();
    let empty = dir.file("empty.ron", b"").display().to_string();
    let big = dir.0.join("big.ron");
    std::fs::File::create(&big).unwrap().set_len(100 << 20).unwrap();
    let big = big.display().to_string();
    let deep = "(".repeat(200_000);
    let deep = dir.file("deep.ron", deep.as_bytes()).display().to_string();
    let lists = format!("Scenario({}", "[".repeat(5_000));
    let lists = dir.file("lists.ron", lists.as_bytes()).display().to_string();
    let cases = [
        (&missing, "no such file"),
        (&folder, "directory"),
        (&binary, "not UTF-8"),
        (&empty, "error"),
        (&big, "at most"),
        (&deep, "nest"),
        (&lists, "nest"),
    ];
    for (path, says) in cases {
        for command in ["check", "run", "explore", "test"] {
            if command == "test" && *path == folder {
                continue; // a folder is what `test` takes; this one has broken files in it
            }
            let r = timerace(&dir, &[command, path]);
            assert_eq!(r.code, 2, "{command} {path}: {}{}", r.out, r.err);
            assert!(r.err.contains(says), "{command} {path}: {}", r.err);
            assert!(r.err.len() < 4_000, "{command} {path}: {} bytes", r.err.len());
        }
    }
}

#[test]
fn wrong_usage() {
    let dir = Dir::new("usage");
    let file = library().join("seed-example.ron").display().to_string();
    let cases: [(&[&str], &str); 9] = [
        (&["frobnicate"], "unrecognized"),
        (&["run"], "required"),
        (&["explore", &file, "--kernel", "v4.2"], "not modelled"),
        (&["explore", &file, "--kernel", "six"], "six"),
        (&["explore", &file, "--with", "nonsense"], "nonsense"),
        (&["explore", &file, "--preemptions", "many"], "many"),
        (&["run", &file, "--seeds", "9..1"], "greater"),
        (&["replay", &file, "--schedule", "9x1"], "CPUs 0 to 1"),
        (&["demo", "no-such"], "no-such"),
    ];
    for (args, says) in cases {
        let r = timerace(&dir, args);
        assert_eq!(r.code, 2, "{args:?}: {}{}", r.out, r.err);
        assert!(r.err.contains(says), "{args:?}: {}", r.err);
    }
}

#[test]
fn nothing_to_run_is_4() {
    let dir = Dir::new("nothing");
    let folder = dir.0.display().to_string();
    assert_eq!(timerace(&dir, &["test", &folder]).code, 4);
    let lib = library().display().to_string();
    assert_eq!(timerace(&dir, &["test", &lib, "-k", "no-such-name"]).code, 4);
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let dir = Dir::new("foreign");
    let out = dir.0.join("mine");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("precious.txt"), b"do not touch").unwrap();
    let file = library().join("races/r10-self-arm-free.ron").display().to_string();
    let r = timerace(&dir, &["explore", &file, "-o", "mine"]);
    assert_eq!(r.code, 2, "{}{}", r.out, r.err);
    assert_eq!(std::fs::read(out.join("precious.txt")).unwrap(), b"do not touch");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    let new = timerace(&dir, &["new", "mine/precious.txt"]);
    assert_eq!(new.code, 2);
    assert_eq!(std::fs::read(out.join("precious.txt")).unwrap(), b"do not touch");
}
