//! A scenario file together with the fragments that it uses.
//!
//! All texts stand one behind the other, the scenario first, and a [`Span`] is a place in this one text. So whatever
//! points into a file points into a fragment as well, and only messages need to know which file it is.
//!
//! A fragment is named relative to the file that uses it. What is not there is looked for among the built-in fragments,
//! so that `use: ["common/ticks.ron"]` works everywhere. Nothing above the project is read: above the nearest folder
//! with a `timerace.ron` or a `.git`, or, where there is none, above the folder of the scenario.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::diag::{self, Diagnostic, Style, quote, render};
use crate::library;
use crate::limits::{FILE_MAX_BYTES, FRAGMENT_DEPTH_MAX, FRAGMENTS_MAX};
use crate::load::{self, ReadError};
use crate::read;
use crate::span::Span;
use crate::syntax::{self, Args, Kind, Node};

/// A scenario with its fragments, read but not checked.
#[derive(Debug, Clone)]
pub struct Source {
    /// The scenario file for messages: the path as given, `<stdin>`, or the path of a built-in one.
    pub name: String,
    /// The text of the scenario, and behind it those of the fragments.
    pub text: String,
    parts: Vec<Part>,
    trees: Arc<Vec<Node>>,
    /// What is wrong with the notation, or with the fragments that are named.
    problems: Vec<Diagnostic>,
}

/// Where one of the files stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file for messages.
    pub name: String,
    /// Its bytes.
    pub span: Span,
    /// The line of the whole text, counted from 1, that is its first one.
    pub first_line: u32,
}

/// What kind of file a text is by the word before its first parenthesis: `Scenario`, `Fragment`, `Config`; `None` if
/// that cannot be told.
#[must_use]
pub fn kind(text: &str) -> Option<String> {
    let mut rest = text.trim_start();
    loop {
        rest = match () {
            () if rest.starts_with("//") => rest.split_once('\n')?.1.trim_start(),
            () if rest.starts_with("/*") => rest.split_once("*/")?.1.trim_start(),
            () if rest.starts_with("#!") => rest.split_once(']')?.1.trim_start(),
            () => break,
        };
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (word, rest) = rest.split_at(end);
    rest.trim_start().starts_with('(').then(|| word.to_string())
}

impl Source {
    /// Reads a file and the fragments that it uses; `-` is standard input, whose fragments are relative to the working
    /// directory. Where there is no such file, the name of a built-in scenario is that scenario.
    ///
    /// # Errors
    ///
    /// When the file itself cannot be read. A fragment that cannot is a message of [`load::check_source`].
    pub fn read(path: &Path) -> Result<Source, ReadError> {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            let read = std::io::stdin().take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes);
            read.map_err(|error| ReadError::Io { path: "<stdin>".to_string(), error })?;
            let text = load::text(bytes, "<stdin>")?;
            let shelf = Shelf::Disk(root_of(Path::new("")));
            return Ok(load_all("<stdin>", text, At::File(PathBuf::from("<stdin>")), &shelf));
        }
        if let Some(entry) = path.to_str().and_then(library::find).filter(|_| !path.exists()) {
            let at = At::BuiltIn(entry.path.to_string());
            return Ok(load_all(entry.name(), entry.source.to_string(), at, &Shelf::BuiltIn));
        }
        let text = load::read_file(path)?;
        let shelf = Shelf::Disk(root_of(path.parent().unwrap_or(Path::new(""))));
        Ok(load_all(&path.display().to_string(), text, At::File(path.to_path_buf()), &shelf))
    }

    /// A text that came from elsewhere; only built-in fragments can be used.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Source {
        load_all(name, text.to_string(), At::BuiltIn(name.to_string()), &Shelf::BuiltIn)
    }

    /// A scenario that uses a fragment: its text, for which `text` is given what to say in `use:`, is called `name` and
    /// taken as if it stood beside the fragment. Where there is no such file, the built-in fragment of this name. Also
    /// gives what it says in `use:`.
    ///
    /// # Errors
    ///
    /// When there is no such fragment, or it cannot be read.
    pub fn using(
        fragment: &Path,
        name: &str,
        text: &dyn Fn(&str) -> String,
    ) -> Result<(Source, String), ReadError> {
        let built_in = fragment.to_str().filter(|f| library::fragment(f).is_some());
        if let Some(path) = built_in.filter(|_| !fragment.exists()) {
            return Ok((Source::of(name, &text(path)), path.to_string()));
        }
        load::read_file(fragment)?;
        let uses = fragment.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = fragment.parent().unwrap_or(Path::new(""));
        let beside = folder.join(name);
        let shelf = Shelf::Disk(root_of(folder));
        let source =
            load_all(&beside.display().to_string(), text(&uses), At::File(beside.clone()), &shelf);
        Ok((source, uses))
    }

    /// A text with the texts of its fragments by name, as [`Source::fragments`] gives them.
    #[must_use]
    pub fn with_fragments(name: &str, text: &str, fragments: BTreeMap<String, String>) -> Source {
        load_all(name, text.to_string(), At::Given(name.to_string()), &Shelf::Given(fragments))
    }

    /// Another text with the same fragments.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Source {
        Source::with_fragments(&self.name, text, self.fragments())
    }

    /// The text of the scenario file alone.
    #[must_use]
    pub fn own_text(&self) -> &str {
        &self.text[self.parts[0].span.range()]
    }

    /// The fragments by name.
    #[must_use]
    pub fn fragments(&self) -> BTreeMap<String, String> {
        let one = |p: &Part| (p.name.clone(), self.text[p.span.range()].to_string());
        self.parts[1..].iter().map(one).collect()
    }

    /// All files in the order of the text; the scenario is the first.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn trees(&self) -> &[Node] {
        &self.trees
    }

    pub(crate) fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// File and line, as `file:line`, of a line of the whole text; both count from 1.
    #[must_use]
    pub fn place_of_line(&self, line: u32) -> String {
        let part = self.parts.iter().rfind(|p| p.first_line <= line).unwrap_or(&self.parts[0]);
        format!("{}:{}", part.name, line - part.first_line + 1)
    }

    /// A message with the lines of the files that it is about.
    #[must_use]
    pub fn render(&self, diag: &Diagnostic, style: Style) -> String {
        render::render_parts(diag, &self.files(), style)
    }

    /// All messages, an empty line after each, and a last line that counts them.
    #[must_use]
    pub fn render_all(&self, diags: &[Diagnostic], style: Style) -> String {
        let all: String = diags.iter().map(|d| self.render(d, style) + "\n").collect();
        all + &diag::summary(diags) + "\n"
    }

    /// A message in one line: `file:line:col: error: text`.
    #[must_use]
    pub fn short(&self, diag: &Diagnostic) -> String {
        render::short_parts(diag, &self.files())
    }

    /// A message as JSON, as [`diag::to_json`].
    #[must_use]
    pub fn to_json(&self, diag: &Diagnostic) -> serde_json::Value {
        render::to_json_parts(diag, &self.files())
    }

    fn files(&self) -> render::Files<'_> {
        let one = |p: &Part| render::File {
            name: p.name.clone(),
            start: p.span.start,
            text: &self.text[p.span.range()],
        };
        render::Files::new(self.parts.iter().map(one).collect())
    }
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// A path as it is shown, without `..` in its middle.
    File(PathBuf),
    /// A path below the library.
    BuiltIn(String),
    /// A name.
    Given(String),
}

impl At {
    fn name(&self) -> String {
        match self {
            At::File(path) => path.display().to_string(),
            At::BuiltIn(path) => format!("<built-in {path}>"),
            At::Given(name) => name.clone(),
        }
    }
}

/// Where fragments come from.
enum Shelf {
    /// Files below this folder, then the built-in ones.
    Disk(PathBuf),
    BuiltIn,
    Given(BTreeMap<String, String>),
}

/// Why there is no text: what is said, and what to do.
struct Refusal(String, Option<String>);

impl Shelf {
    fn fetch(&self, from: &At, path: &str) -> Result<(At, String), Refusal> {
        if path.is_empty() || Path::new(path).is_absolute() || path.contains('\\') {
            let help = "write it relative to this file, with `/`: \"common/ticks.ron\"";
            return Err(Refusal("this is no relative path".to_string(), Some(help.to_string())));
        }
        let near = |of: &str| joined(Path::new(of), path).display().to_string();
        // As if it were named in the folder of the library.
        let plain = || near("");
        let shipped = || match from {
            At::BuiltIn(of) => built_in(&near(of)).or_else(|_| built_in(&plain())),
            _ => built_in(&plain()),
        };
        match (self, from) {
            (Shelf::Disk(root), At::File(of)) => match on_disk(root, of, path)? {
                Some(found) => Ok(found),
                None => shipped(),
            },
            (Shelf::Given(texts), At::Given(of) | At::BuiltIn(of)) => {
                let places = [At::Given(near(of)), At::BuiltIn(near(of)), At::BuiltIn(plain())];
                let found = places.into_iter().find_map(|at| {
                    let text = texts.get(&at.name())?.clone();
                    Some((at, text))
                });
                found.map_or_else(shipped, Ok)
            }
            _ => shipped(),
        }
    }
}

fn built_in(path: &str) -> Result<(At, String), Refusal> {
    match library::fragment(path) {
        Some(text) => Ok((At::BuiltIn(path.to_string()), text.to_string())),
        None => {
            let names = library::FRAGMENTS.iter().map(|(path, _)| *path);
            let help = diag::did_you_mean(path, names);
            Err(Refusal("there is no such file, nor a built-in one".to_string(), help))
        }
    }
}

/// The file, if there is one.
fn on_disk(root: &Path, from: &Path, path: &str) -> Result<Option<(At, String)>, Refusal> {
    let outside = || {
        let help = "fragments lie in the project: below the folder with timerace.ron or .git, \
                    or beside the scenario";
        Refusal("this file is outside of the project".to_string(), Some(help.to_string()))
    };
    let shown = joined(from, path);
    let folder = from.parent().unwrap_or(Path::new(""));
    let real = real(folder);
    if !joined(&real.join("x"), path).starts_with(root) {
        return Err(outside());
    }
    if !shown.exists() {
        return Ok(None);
    }
    // A link may lead elsewhere.
    if shown.canonicalize().is_ok_and(|target| !target.starts_with(root)) {
        return Err(outside());
    }
    let text = load::read_file(&shown).map_err(|error| Refusal(error.why(), None))?;
    Ok(Some((At::File(shown), text)))
}

/// The path that a file names, without `.` and with `..` taken back where that is possible.
fn joined(from: &Path, path: &str) -> PathBuf {
    let mut out = from.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => {
                let last = out.components().next_back();
                if matches!(last, Some(Component::Normal(_))) {
                    out.pop();
                } else {
                    out.push("..");
                }
            }
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    out
}

/// A folder without links; the empty path is the working directory.
fn real(folder: &Path) -> PathBuf {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}

/// The project of a file in this folder.
fn root_of(folder: &Path) -> PathBuf {
    let folder = real(folder);
    let marked = |dir: &&Path| dir.join("timerace.ron").is_file() || dir.join(".git").exists();
    folder.ancestors().find(marked).unwrap_or(&folder).to_path_buf()
}

/// The texts so far.
struct Loading<'s> {
    shelf: &'s Shelf,
    text: String,
    parts: Vec<Part>,
    trees: Vec<Node>,
    problems: Vec<Diagnostic>,
    known: Vec<At>,
    /// The files that are being read, each used by the one before it.
    open: Vec<At>,
}

fn load_all(name: &str, text: String, at: At, shelf: &Shelf) -> Source {
    let mut loading = Loading {
        shelf,
        text: String::new(),
        parts: Vec::new(),
        trees: Vec::new(),
        problems: Vec::new(),
        known: Vec::new(),
        open: Vec::new(),
    };
    loading.file(name.to_string(), &text, at, None);
    Source {
        name: name.to_string(),
        text: loading.text,
        parts: loading.parts,
        trees: Arc::new(loading.trees),
        problems: loading.problems,
    }
}

impl Loading<'_> {
    /// Takes a file and all that it uses. `used`: where it is named.
    fn file(&mut self, name: String, text: &str, at: At, used: Option<Span>) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        let start = self.text.len();
        if (start + text.len()) as u64 > FILE_MAX_BYTES {
            let bytes = start + text.len();
            let message = format!("the file has {bytes} bytes; at most {FILE_MAX_BYTES} are read");
            let message =
                if used.is_some() { message.replace("file has", "files have") } else { message };
            let diag = Diagnostic::error("E0117", used.unwrap_or_default(), message);
            self.problems.push(diag.label("too large"));
            if used.is_none() {
                self.part(name, text);
            }
            return;
        }
        self.part(name, text);
        self.known.push(at.clone());
        self.open.push(at);
        match syntax::parse_with(text, &read::written) {
            Ok(mut tree) => {
                tree.shift(start);
                let used = used_by(&tree);
                self.trees.push(tree);
                match used {
                    Ok(paths) => {
                        paths.into_iter().for_each(|(path, span)| self.fragment(&path, span))
                    }
                    Err(diag) => self.problems.push(*diag),
                }
            }
            Err(mut diag) => {
                diag.shift(start);
                self.problems.push(diag);
            }
        }
        self.open.pop();
    }

    fn part(&mut self, name: String, text: &str) {
        let start = self.text.len();
        let first_line = self.text.matches('\n').count() as u32 + 1;
        self.text.push_str(text);
        self.parts.push(Part { name, span: Span::new(start, self.text.len()), first_line });
    }

    fn fragment(&mut self, path: &str, span: Span) {
        let from = self.open.last().cloned().unwrap_or(At::BuiltIn(String::new()));
        let (at, text) = match self.shelf.fetch(&from, path) {
            Ok(found) => found,
            Err(Refusal(why, help)) => {
                let message = format!("fragment `{}` cannot be read: {why}", quote(path));
                let diag = Diagnostic::error("E0120", span, message).label("used here");
                self.problems.push(diag.maybe_help(help));
                return;
            }
        };
        if let Some(first) = self.open.iter().position(|open| *open == at) {
            let circle: Vec<String> =
                self.open[first..].iter().chain([&at]).map(At::name).collect();
            let message = "fragments use each other in a circle";
            let diag = Diagnostic::error("E0121", span, message).label("closes the circle");
            self.problems.push(diag.note(circle.join(" -> ")));
            return;
        }
        // Used by two files, it is there once.
        if self.known.contains(&at) {
            return;
        }
        let limit = match () {
            () if self.open.len() > FRAGMENT_DEPTH_MAX => {
                format!("fragments use each other at most {FRAGMENT_DEPTH_MAX} deep")
            }
            () if self.parts.len() > FRAGMENTS_MAX => {
                format!("a scenario has at most {FRAGMENTS_MAX} fragments")
            }
            () => return self.file(at.name(), &text, at, Some(span)),
        };
        let chain: Vec<String> = self.open.iter().chain([&at]).map(At::name).collect();
        let diag = Diagnostic::error("E0121", span, limit).label("one too many");
        self.problems.push(diag.note(chain.join(" -> ")));
    }
}

/// The paths in the field `use` of a file. Everything else about the file is read later.
fn used_by(tree: &Node) -> Result<Vec<(String, Span)>, Box<Diagnostic>> {
    let Kind::Call { args: Args::Named(fields), .. } = &tree.kind else { return Ok(Vec::new()) };
    let Some((_, node)) = fields.iter().find(|(name, _)| name.node == "use") else {
        return Ok(Vec::new());
    };
    let wrong = |node: &Node, wanted: &str| {
        let message = format!("`use` must be {wanted}");
        let label = format!("this is {}", node.describe());
        Box::new(Diagnostic::error("E0109", node.span, message).label(label))
    };
    let Kind::List(items) = &node.kind else { return Err(wrong(node, "a list `[ .. ]`")) };
    let path = |item: &Node| match &item.kind {
        Kind::Text(text) => Ok((text.value.clone(), item.span)),
        _ => Err(wrong(item, "a list of paths in quotes")),
    };
    items.iter().map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_what_they_are() {
        assert_eq!(kind("// a\n/* b */ Scenario(schema: 1").as_deref(), Some("Scenario"));
        assert_eq!(kind("#![enable(x)]\nFragment (").as_deref(), Some("Fragment"));
        assert_eq!(kind("(schema: 1)").as_deref(), Some(""));
        assert_eq!(kind("// only a comment"), None);
        assert_eq!(kind("[1]"), None);
    }

    #[test]
    fn paths_are_joined_as_text() {
        let joined = |from: &str, path: &str| joined(Path::new(from), path).display().to_string();
        assert_eq!(joined("a/b.ron", "c/d.ron"), "a/c/d.ron");
        assert_eq!(joined("a/b.ron", "../d.ron"), "d.ron");
        assert_eq!(joined("b.ron", "./c/.././d.ron"), "d.ron");
        assert_eq!(joined("b.ron", "../../d.ron"), "../../d.ron");
    }

    #[test]
    fn lines_of_fragments_are_their_own() {
        let given =
            [("f.ron", "Fragment(\nschema: 1)\n")].map(|(a, b)| (a.to_string(), b.to_string()));
        let main = "Scenario(\nuse: [\"f.ron\"])";
        let source = Source::with_fragments("m.ron", main, given.into());
        assert_eq!(source.parts().len(), 2);
        assert_eq!(source.own_text(), main);
        assert_eq!(source.place_of_line(2), "m.ron:2");
        assert_eq!(source.place_of_line(3), "f.ron:1");
        assert_eq!(source.place_of_line(4), "f.ron:2");
    }
}
