//! A small writer of SVG for diagrams that no chart library draws: lanes, arrows, brackets, tables.
//!
//! Coordinates are integers, hundredths of a pixel: the bytes are the same everywhere. Text is real text. The writer notes
//! the box of every text, so that a test can hold that nothing is cut off and nothing overlaps.

use crate::theme::{Font, MONO, Palette, SANS, Theme};
use std::fmt::Write as _;

/// Hundredths of a pixel.
pub type Units = i64;

/// One pixel.
pub const PX: Units = 100;

/// Where a text's position is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// Its left end.
    Start,
    /// Its middle.
    Middle,
    /// Its right end.
    End,
}

/// A rectangle on the canvas.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Area {
    /// Left.
    pub x: Units,
    /// Top.
    pub y: Units,
    /// Width.
    pub w: Units,
    /// Height.
    pub h: Units,
}

/// How a line is drawn.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Dash {
    /// Without a gap.
    Solid,
    /// Long strokes.
    Dashed,
    /// Short ones.
    Dotted,
}

/// A picture in the making.
#[derive(Debug)]
pub struct Canvas {
    /// Its colours.
    pub colours: &'static Palette,
    body: String,
    texts: Vec<Area>,
}

impl Canvas {
    /// An empty picture.
    pub fn new(theme: Theme) -> Canvas {
        Canvas { colours: theme.palette(), body: String::new(), texts: Vec::new() }
    }

    /// A text on the baseline `y`.
    pub fn text(
        &mut self,
        (x, y): (Units, Units),
        font: Font,
        anchor: Anchor,
        fill: &str,
        text: &str,
    ) {
        self.put_text((x, y), font, anchor, fill, text, false);
    }

    /// The same with a halo in the colour of the page, for labels that lie on lines.
    pub fn label(
        &mut self,
        (x, y): (Units, Units),
        font: Font,
        anchor: Anchor,
        fill: &str,
        text: &str,
    ) {
        self.put_text((x, y), font, anchor, fill, text, true);
    }

    fn put_text(
        &mut self,
        (x, y): (Units, Units),
        font: Font,
        anchor: Anchor,
        fill: &str,
        text: &str,
        halo: bool,
    ) {
        let text = printable(text);
        if text.trim().is_empty() {
            return;
        }
        let w = font.width(&text);
        let (left, word) = match anchor {
            Anchor::Start => (x, ""),
            Anchor::Middle => (x - w / 2, " text-anchor=\"middle\""),
            Anchor::End => (x - w, " text-anchor=\"end\""),
        };
        let size = Units::from(font.size) * PX / 10;
        self.texts.push(Area { x: left, y: y - size * 4 / 5, w, h: size });
        let family = if font.mono { MONO } else { SANS };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-family=\"{family}\" font-size=\"{}\" fill=\"{fill}\"{word}",
            num(x),
            num(y),
            num(size),
        );
        if font.weight != 400 {
            let _ = write!(self.body, " font-weight=\"{}\"", font.weight);
        }
        if halo {
            let page = self.colours.page;
            let _ = write!(
                self.body,
                " stroke=\"{page}\" stroke-width=\"3.5\" stroke-linejoin=\"round\" paint-order=\"stroke\""
            );
        }
        if font.mono {
            self.body.push_str(" xml:space=\"preserve\"");
        }
        let _ = writeln!(self.body, ">{}</text>", escaped(&text));
    }

    /// A filled rectangle with round corners of this radius, and a border if there is a colour for it.
    pub fn rect(&mut self, a: Area, radius: Units, fill: &str, border: Option<&str>) {
        let _ = write!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"",
            num(a.x),
            num(a.y),
            num(a.w),
            num(a.h)
        );
        if radius > 0 {
            let _ = write!(self.body, " rx=\"{}\"", num(radius));
        }
        if let Some(b) = border {
            let _ = write!(self.body, " stroke=\"{b}\"");
        }
        self.body.push_str("/>\n");
    }

    /// A straight line.
    pub fn line(
        &mut self,
        from: (Units, Units),
        to: (Units, Units),
        stroke: &str,
        width: Units,
        dash: Dash,
    ) {
        let d = format!("M{} {}L{} {}", num(from.0), num(from.1), num(to.0), num(to.1));
        self.path(&d, stroke, width, dash);
    }

    /// A line along `d`, which is not filled.
    pub fn path(&mut self, d: &str, stroke: &str, width: Units, dash: Dash) {
        let dash = match dash {
            Dash::Solid => "",
            Dash::Dashed => " stroke-dasharray=\"6 4\"",
            Dash::Dotted => " stroke-dasharray=\"1.5 3\"",
        };
        let _ = writeln!(
            self.body,
            "<path d=\"{d}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{}\"{dash}/>",
            num(width)
        );
    }

    /// A filled shape.
    pub fn shape(&mut self, d: &str, fill: &str) {
        let _ = writeln!(self.body, "<path d=\"{d}\" fill=\"{fill}\"/>");
    }

    /// A filled circle.
    pub fn disc(&mut self, (x, y): (Units, Units), r: Units, fill: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"/>",
            num(x),
            num(y),
            num(r)
        );
    }

    /// Strokes at 45 degrees in an area.
    pub fn hatch(&mut self, a: Area) {
        let mut d = String::new();
        let mut x = a.x - a.h + 6 * PX;
        while x < a.x + a.w {
            let (x0, x1) = (x.max(a.x), (x + a.h).min(a.x + a.w));
            let (y0, y1) = (a.y + a.h - (x0 - x), a.y + a.h - (x1 - x));
            let _ = write!(d, "M{} {}L{} {}", num(x0), num(y0), num(x1), num(y1));
            x += 6 * PX;
        }
        let stroke = self.colours.muted;
        self.path(&d, stroke, 80, Dash::Solid);
    }

    /// The head of an arrow whose tip is at `(x, y)`.
    pub fn head(&mut self, (x, y): (Units, Units), towards: Towards, fill: &str) {
        let (long, half) = (9 * PX, 4 * PX);
        let (a, b) = match towards {
            Towards::Right => ((x - long, y - half), (x - long, y + half)),
            Towards::Left => ((x + long, y - half), (x + long, y + half)),
            Towards::Down => ((x - half, y - long), (x + half, y - long)),
            Towards::Up => ((x - half, y + long), (x + half, y + long)),
        };
        let points = [(x, y), a, b].map(|(x, y)| format!("{} {}", num(x), num(y)));
        self.shape(&format!("M{}Z", points.join("L")), fill);
    }

    /// Opens a group with an identifier; [`Canvas::close`] ends it. `tip` is shown where a pointer rests on it.
    pub fn group(&mut self, id: &str, tip: Option<&str>) {
        let id = if id.is_empty() { String::new() } else { format!(" id=\"{}\"", escaped(id)) };
        let _ = writeln!(self.body, "<g{id}>");
        if let Some(tip) = tip {
            let _ = writeln!(self.body, "<title>{}</title>", escaped(&printable(tip)));
        }
    }

    /// Opens the group of a step, which a page jumps to where it is clicked.
    pub fn step_group(&mut self, step: u32, tip: &str) {
        let tip = escaped(&printable(tip));
        let _ = writeln!(self.body, "<g data-step=\"{step}\">\n<title>{tip}</title>");
    }

    /// Ends a group.
    pub fn close(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// The boxes of all texts so far.
    pub fn texts(&self) -> &[Area] {
        &self.texts
    }

    /// The file: `width` by `height` on the page, with a title and a description for those who do not see it.
    pub fn finish(self, width: Units, height: Units, title: &str, desc: &str) -> String {
        let (w, h) = (num(width), num(height));
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\">\n"
        );
        let _ = writeln!(out, "<title>{}</title>", escaped(&printable(title)));
        let _ = writeln!(out, "<desc>{}</desc>", escaped(&printable(desc)));
        let page = self.colours.page;
        let _ = writeln!(out, "<rect width=\"{w}\" height=\"{h}\" fill=\"{page}\"/>");
        out.push_str(&self.body);
        out.push_str("</svg>\n");
        out
    }
}

/// Where an arrow points.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Towards {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
}

/// Hundredths as a decimal number without needless zeros.
pub fn num(v: Units) -> String {
    let sign = if v < 0 { "-" } else { "" };
    let (whole, rest) = (v.unsigned_abs() / 100, v.unsigned_abs() % 100);
    match rest {
        0 => format!("{sign}{whole}"),
        r if r % 10 == 0 => format!("{sign}{whole}.{}", r / 10),
        r => format!("{sign}{whole}.{r:02}"),
    }
}

/// Text in which XML finds no markup.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Control characters, which XML refuses, become question marks.
fn printable(text: &str) -> String {
    let fits = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if fits(c) { c } else { '?' }).collect()
}

/// The text cut to a width, with `..` at the end.
pub fn fitted(text: &str, font: Font, width: Units) -> String {
    if font.width(text) <= width {
        return text.to_string();
    }
    let mut out = String::new();
    for c in text.chars() {
        let longer = format!("{out}{c}..");
        if font.width(&longer) > width {
            break;
        }
        out.push(c);
    }
    out.push_str("..");
    out
}

/// The text on as many lines as it needs at this width, broken at spaces.
pub fn wrapped(text: &str, font: Font, width: Units) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let joined = lines.last().map(|l| format!("{l} {word}"));
        match joined.filter(|j| font.width(j) <= width) {
            Some(joined) => {
                lines.pop();
                lines.push(joined);
            }
            None => lines.push(fitted(word, font, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_at_most_two_decimals_and_no_negative_zero() {
        for (v, text) in
            [(0, "0"), (100, "1"), (150, "1.5"), (5, "0.05"), (-5, "-0.05"), (-200, "-2")]
        {
            assert_eq!(num(v), text);
        }
    }

    #[test]
    fn long_text_is_cut_or_broken() {
        let font = Font::mono(100);
        assert_eq!(fitted("abcdef", font, 4 * 602), "ab..");
        assert_eq!(fitted("abcd", font, 4 * 602), "abcd");
        assert_eq!(wrapped("ab cd  ef", font, 5 * 602), ["ab cd", "ef"]);
        assert_eq!(wrapped("abcdefg x", font, 5 * 602), ["abc..", "x"]);
    }

    #[test]
    fn markup_and_control_characters_are_harmless() {
        assert_eq!(escaped("a < b && \"c\""), "a &lt; b &amp;&amp; &quot;c&quot;");
        assert_eq!(printable("a\u{1}b\n"), "a?b?");
    }
}
