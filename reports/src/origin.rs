//! Where a run came from: what a report must say so that anybody can make it again.

/// Scenario and kernel of a run, as the user named them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario file as it is to be shown, without a path above the project.
    pub file: String,
    /// The kernel: `v6.7`.
    pub kernel: String,
    /// Further arguments that the result depends on, a word each: `--with`, `0281b919e175`.
    pub options: Vec<String>,
    /// The line of the file that declares an object which exists before the start, if it is known.
    pub born_line: Option<u32>,
    /// Fragments that the scenario uses, in order: the line that is the first one of each, counted through the scenario
    /// and all fragments before it, and its name.
    pub fragments: Vec<(u32, String)>,
}

impl Origin {
    /// The file of a line that is counted through the scenario and its fragments, and the line in it.
    pub fn place(&self, line: u32) -> (&str, u32) {
        match self.fragments.iter().rfind(|f| f.0 <= line) {
            Some((first, name)) => (name, line - first + 1),
            None => (&self.file, line),
        }
    }

    /// ` (FILE:LINE)`
    pub fn at(&self, line: u32) -> String {
        let (file, line) = self.place(line);
        format!(" ({file}:{line})")
    }

    /// The same with another file.
    #[must_use]
    pub fn of_file(&self, file: &str) -> Origin {
        Origin { file: file.to_string(), ..self.clone() }
    }

    /// `timerace WORD FILE --kernel V`, with the options.
    pub fn command(&self, word: &str) -> String {
        let mut words = vec!["timerace".to_string(), word.to_string(), quoted(&self.file)];
        words.extend(["--kernel".to_string(), quoted(&self.kernel)]);
        words.extend(self.options.iter().map(|o| quoted(o)));
        words.join(" ")
    }

    /// The command that repeats a schedule, in one line.
    pub fn replay(&self, schedule: &str) -> String {
        format!("{} --schedule {}", self.command("replay"), quoted(schedule))
    }

    /// The command over two lines, the second one indented by this many spaces.
    pub fn replay_lines(&self, schedule: &str, indent: usize) -> String {
        format!("{} \\\n{:indent$}--schedule {}", self.command("replay"), "", quoted(schedule))
    }
}

/// A command as it is typed.
pub fn line(words: &[String]) -> String {
    words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it: `1x4,2!tick` needs quotes, for `!` means something to shells.
pub fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || ",.:=_-/+@%".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
