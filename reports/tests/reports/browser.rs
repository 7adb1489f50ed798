//! Pages in a headless browser that reaches no network.

use std::path::Path;
use std::process::Command;

/// The page after its script ran; `page` may name a place in it. `None`: there is no browser, and none is asked for.
pub fn open(dir: &Path, page: &str) -> Option<String> {
    let browser = ["chromium", "chromium-browser", "google-chrome"];
    let exists = |b: &&str| Command::new(b).arg("--version").output().is_ok();
    let Some(browser) = browser.into_iter().find(exists) else {
        assert!(std::env::var_os("TIMERACE_NEEDS_BROWSER").is_none(), "there is no chromium");
        eprintln!("skipped: there is no chromium");
        return None;
    };
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", dir.join("browser").display()))
        .args(["--dump-dom", &format!("file://{}/{page}", dir.display())])
        .output()
        .unwrap();
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}
