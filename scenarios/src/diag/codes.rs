//! All codes, each with the reason behind it and an example: `timerace explain E0103`.

mod kernel;
mod names;
mod suspicions;
mod syntax;

/// A code and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// `E0103`
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it is wrong, in one paragraph.
    pub why: &'static str,
    /// Fields of a scenario with the mistake.
    pub wrong: &'static str,
    /// The same fields without it.
    pub right: &'static str,
}

/// All codes in their order.
pub const CODES: &[CodeInfo] = &ALL;

const COUNT: usize =
    syntax::CODES.len() + names::CODES.len() + kernel::CODES.len() + suspicions::CODES.len();

const ALL: [CodeInfo; COUNT] = join();

/// The parts in one list, made by the compiler.
const fn join() -> [CodeInfo; COUNT] {
    let parts = [syntax::CODES, names::CODES, kernel::CODES, suspicions::CODES];
    let mut all = [syntax::CODES[0]; COUNT];
    let (mut part, mut next) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[next] = parts[part][index];
            next += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

/// What a code means; upper or lower case.
#[must_use]
pub fn explain(code: &str) -> Option<&'static CodeInfo> {
    CODES.iter().find(|info| info.code.eq_ignore_ascii_case(code))
}

impl CodeInfo {
    /// The explanation as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let CodeInfo { code, title, why, wrong, right } = self;
        let indent = |example: &str| {
            let lines = example.lines().map(|line| format!("    {line}\n"));
            lines.collect::<String>()
        };
        let mut text = format!("{code}: {title}\n\n{}\n", wrap(why));
        if !wrong.is_empty() {
            text += &format!("Wrong:\n\n{}\n", indent(wrong));
        }
        if !right.is_empty() {
            text += &format!("Right:\n\n{}", indent(right));
        }
        text
    }
}

/// Lines of at most 75 characters.
pub(crate) fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > 75 {
            out.push('\n');
            width = 0;
        }
        if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += word.len();
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    /// A scenario with these fields, and what they need if they do not say it themselves.
    fn scenario(fields: &str) -> String {
        let defaults = [
            ("schema:", "schema: 1,"),
            ("name:", "name: \"example\","),
            ("machine:", "machine: (cpus: 2),"),
            ("maps:", "maps: { \"timers\": ARRAY(max_entries: 2) },"),
            ("progs:", "progs: { \"cb\": (type: TIMER_CB, body: []) },"),
        ];
        let mut source = "Scenario(\n".to_string();
        for (name, text) in defaults {
            if !fields.lines().any(|line| line.starts_with(name)) {
                source += text;
                source.push('\n');
            }
        }
        source + fields + "\n)\n"
    }

    /// The codes that some kernel or none gives for a scenario.
    fn codes(source: &str) -> Vec<&'static str> {
        let checked = load::check(source, &[]);
        let mut codes: Vec<_> = checked.diagnostics.iter().map(|diag| diag.code).collect();
        if let Some(scenario) = &checked.scenario {
            for version in [(5, 15, 0), (6, 1, 0), (6, 3, 0), (6, 12, 0), (6, 19, 0), (7, 3, 0)] {
                codes.extend(load::kernel_rules(scenario, version).iter().map(|diag| diag.code));
            }
            let kernels = timerace_kernel::KernelVersion::range("v6.7..v6.9").unwrap();
            codes.extend(load::never_apply(scenario, &kernels).iter().map(|diag| diag.code));
            codes.extend(load::uncalibrated(scenario, &Default::default()).map(|diag| diag.code));
            let newest = timerace_kernel::KernelVersion::newest();
            let lowered = crate::lower::lower(scenario, source, newest);
            codes.extend(lowered.err().iter().flatten().map(|diag| diag.code));
        }
        codes
    }

    #[test]
    fn codes_are_in_order_and_explained() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for info in CODES {
            assert!(info.text().is_ascii(), "{}", info.code);
            assert!(info.why.len() > 50, "{}", info.code);
            assert!(info.text().lines().all(|line| line.len() <= 100), "{}", info.code);
        }
        assert_eq!(explain("e0103").map(|info| info.code), Some("E0103"));
        assert_eq!(explain("E9999"), None);
    }

    #[test]
    fn wrong_examples_give_their_code_and_right_ones_do_not() {
        for info in CODES {
            // These are about whole files and not about fields.
            if matches!(info.code, "E0100" | "E0105" | "E0117" | "E0121" | "E0122") {
                continue;
            }
            let wrong = scenario(info.wrong);
            let found = codes(&wrong);
            assert!(found.contains(&info.code), "{}: {found:?}\n{wrong}", info.code);
            let right = scenario(info.right);
            let checked = load::check(&right, &[]);
            let all = codes(&right);
            assert!(checked.scenario.is_some(), "{}: {:?}", info.code, checked.diagnostics);
            // What one kernel lacks the next one has.
            let kernel = matches!(info.code, "E0316" | "E0319");
            assert!(kernel || !all.contains(&info.code), "{}: {all:?}\n{right}", info.code);
        }
    }

    #[test]
    fn every_code_that_is_used_is_explained() {
        let mut used = std::collections::BTreeSet::new();
        let mut folders =
            vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.components().any(|part| part.as_os_str() == "codes") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for quoted in text.split('"').filter(|part| part.len() == 5) {
                    let digits = &quoted.as_bytes()[1..];
                    let is_code = matches!(quoted.as_bytes()[0], b'E' | b'W')
                        && digits[0] == b'0'
                        && digits.iter().all(u8::is_ascii_digit);
                    if is_code {
                        used.insert(quoted.to_string());
                    }
                }
            }
        }
        let known: std::collections::BTreeSet<String> =
            CODES.iter().map(|info| info.code.to_string()).collect();
        assert_eq!(used, known);
    }
}
