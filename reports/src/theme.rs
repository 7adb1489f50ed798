//! Colours and fonts of all pictures, for light and dark pages.
//!
//! Every role has a second cue beside its colour (a lane, a shape, a word): nothing is said by colour alone. The fills of
//! the four kinds of context can be told apart by colour-blind readers too, which a test of this module measures.

/// On which page a picture stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// White.
    #[default]
    Light,
    /// Nearly black.
    Dark,
    /// The colours are variables of the page that the picture is part of: `var(--ink)`.
    Page,
}

/// A colour for each role, as SVG and CSS take it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Palette {
    /// The page itself, and halos of labels.
    pub page: &'static str,
    /// Text.
    pub ink: &'static str,
    /// Text of second rank. On the page at least 4.5:1.
    pub muted: &'static str,
    /// Lines that only guide the eye.
    pub grid: &'static str,
    /// A box that is not the page: values, buttons.
    pub panel: &'static str,
    /// Its border.
    pub edge: &'static str,
    /// The line that a stepper is at.
    pub current: &'static str,
    /// The bug: text and lines.
    pub bug: &'static str,
    /// The bug: area.
    pub bug_fill: &'static str,
    /// Ordered, passed.
    pub ordered: &'static str,
    /// Lateness.
    pub late: &'static str,
    /// What is found where it is expected: area.
    pub late_fill: &'static str,
    /// Fill of hard interrupts; never text.
    pub hardirq: &'static str,
    /// Fill of softirqs.
    pub softirq: &'static str,
    /// Fill of callbacks of timers.
    pub callback: &'static str,
    /// Fill of tasks.
    pub task: &'static str,
    /// Fill of what spins or is blocked, under a hatch.
    pub blocked: &'static str,
    /// A line of a chart that has more of them than there are roles.
    pub extra: &'static str,
    /// Text on the fills of hard interrupts and softirqs.
    pub on_irq: &'static str,
    /// Text on the fill of callbacks.
    pub on_callback: &'static str,
}

const LIGHT: Palette = Palette {
    page: "#ffffff",
    ink: "#1b1f24",
    muted: "#5b6670",
    grid: "#e6e9ec",
    panel: "#f3f5f7",
    edge: "#cfd6dd",
    current: "#e3f0fa",
    bug: "#b3001b",
    bug_fill: "#ffe3e3",
    ordered: "#00684a",
    late: "#a15c00",
    late_fill: "#fff1d6",
    hardirq: "#d55e00",
    softirq: "#0072b2",
    callback: "#f4ca00",
    task: "#cfe3d6",
    blocked: "#dfe3e8",
    extra: "#8e3a78",
    on_irq: "#ffffff",
    on_callback: "#1b1f24",
};

const DARK: Palette = Palette {
    page: "#0f1318",
    ink: "#e8ecf1",
    muted: "#97a3af",
    grid: "#232a33",
    panel: "#171c23",
    edge: "#39424d",
    current: "#12263a",
    bug: "#ff6b74",
    bug_fill: "#3a1418",
    ordered: "#4fd1a1",
    late: "#f0b429",
    late_fill: "#3a2c10",
    hardirq: "#e8702a",
    softirq: "#56b4e9",
    callback: "#fff09a",
    task: "#28493a",
    blocked: "#39424d",
    extra: "#d9a0d0",
    on_irq: "#0f1318",
    on_callback: "#1b1f24",
};

/// Variables of the page, by the names of [`css`].
const PAGE: Palette = Palette {
    page: "var(--page)",
    ink: "var(--ink)",
    muted: "var(--muted)",
    grid: "var(--grid)",
    panel: "var(--panel)",
    edge: "var(--edge)",
    current: "var(--current)",
    bug: "var(--bug)",
    bug_fill: "var(--bug-fill)",
    ordered: "var(--ordered)",
    late: "var(--late)",
    late_fill: "var(--late-fill)",
    hardirq: "var(--hardirq)",
    softirq: "var(--softirq)",
    callback: "var(--callback)",
    task: "var(--task)",
    blocked: "var(--blocked)",
    extra: "var(--extra)",
    on_irq: "var(--on-irq)",
    on_callback: "var(--on-callback)",
};

impl Theme {
    /// Its colours.
    pub fn palette(self) -> &'static Palette {
        match self {
            Theme::Light => &LIGHT,
            Theme::Dark => &DARK,
            Theme::Page => &PAGE,
        }
    }
}

impl Palette {
    fn roles(&self) -> [(&'static str, &'static str); 20] {
        [
            (PAGE.page, self.page),
            (PAGE.ink, self.ink),
            (PAGE.muted, self.muted),
            (PAGE.grid, self.grid),
            (PAGE.panel, self.panel),
            (PAGE.edge, self.edge),
            (PAGE.current, self.current),
            (PAGE.bug, self.bug),
            (PAGE.bug_fill, self.bug_fill),
            (PAGE.ordered, self.ordered),
            (PAGE.late, self.late),
            (PAGE.late_fill, self.late_fill),
            (PAGE.hardirq, self.hardirq),
            (PAGE.softirq, self.softirq),
            (PAGE.callback, self.callback),
            (PAGE.task, self.task),
            (PAGE.blocked, self.blocked),
            (PAGE.extra, self.extra),
            (PAGE.on_irq, self.on_irq),
            (PAGE.on_callback, self.on_callback),
        ]
    }
}

/// The declarations that give [`Theme::Page`] its colours: `--ink:#1b1f24;..`.
pub fn css(theme: Theme) -> String {
    let name = |v: &'static str| v.trim_start_matches("var(").trim_end_matches(')');
    let roles = theme.palette().roles();
    roles.iter().map(|(variable, colour)| format!("{}:{colour};", name(variable))).collect()
}

/// Five shades of one red for maps, from nothing to the worst, each with the colour of text on it. The cells say their
/// number too.
pub fn shades(theme: Theme) -> [(&'static str, &'static str); 5] {
    let (dark, light) = ("#1b1f24", "#ffffff");
    match theme {
        Theme::Dark => [
            ("#1b2129", light),
            ("#64212a", light),
            ("#8f2833", light),
            ("#c44049", light),
            ("#ff8188", dark),
        ],
        _ => [
            ("#f1f3f5", dark),
            ("#fbd5d3", dark),
            ("#f09d97", dark),
            ("#cc3f3c", light),
            ("#8f0d1e", light),
        ],
    }
}

/// Labels.
pub const SANS: &str = "Inter, Helvetica, Arial, sans-serif";
/// Code and numbers. Code is never set in [`SANS`]: its ligatures turn `->` into an arrow.
pub const MONO: &str = "DejaVu Sans Mono, monospace";

/// Advance of every character of [`MONO`], in thousandths of the size.
const MONO_WIDTH: u32 = 602;

/// Advances of the printable characters of ASCII in Inter Regular, in thousandths of the size.
#[rustfmt::skip]
const REGULAR: [u16; 95] = [
    281, 278, 403, 631, 638, 812, 639, 222, 362, 362, 500, 659, 280, 460, 276, 357, 625, 464, 605, 636, 642, 608, 624,
    571, 616, 624, 276, 280, 659, 659, 659, 507, 936, 676, 651, 727, 719, 598, 587, 743, 740, 264, 543, 652, 562, 889,
    753, 761, 635, 761, 639, 638, 642, 741, 676, 949, 642, 665, 625, 362, 357, 362, 469, 452, 497, 564, 621, 558, 621,
    582, 361, 609, 591, 237, 237, 544, 237, 869, 585, 597, 609, 609, 372, 523, 364, 581, 557, 812, 540, 557, 541, 362,
    327, 362, 659,
];

/// The same of Inter Bold.
#[rustfmt::skip]
const BOLD: [u16; 95] = [
    232, 325, 392, 650, 655, 859, 674, 209, 409, 409, 565, 680, 303, 469, 298, 390, 688, 489, 630, 659, 678, 645, 660,
    595, 661, 660, 298, 303, 680, 680, 680, 562, 1031, 748, 661, 752, 727, 613, 585, 761, 746, 281, 570, 690, 567, 915,
    735, 782, 648, 783, 656, 655, 668, 729, 748, 1036, 714, 724, 667, 409, 390, 409, 488, 477, 497, 580, 635, 587, 635,
    598, 386, 633, 624, 272, 272, 582, 272, 912, 622, 614, 632, 632, 409, 562, 388, 622, 586, 850, 574, 586, 572, 409,
    374, 409, 680,
];

/// A font at a size.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Font {
    /// [`MONO`] instead of [`SANS`].
    pub mono: bool,
    /// 400, 600 or 700: the weights that are embedded.
    pub weight: u16,
    /// In tenths of a pixel.
    pub size: u32,
}

impl Font {
    /// [`SANS`], regular.
    pub const fn sans(size: u32) -> Font {
        Font { mono: false, weight: 400, size }
    }

    /// [`MONO`], regular.
    pub const fn mono(size: u32) -> Font {
        Font { mono: true, weight: 400, size }
    }

    /// In this weight.
    pub const fn weight(self, weight: u16) -> Font {
        Font { weight, ..self }
    }

    /// Width of a text in hundredths of a pixel: exact for code, at least the true one for labels.
    pub fn width(self, text: &str) -> i64 {
        let thousandths: u64 = text.chars().map(|c| u64::from(self.advance(c))).sum();
        (thousandths * u64::from(self.size)).div_ceil(100) as i64
    }

    fn advance(self, c: char) -> u32 {
        if self.mono {
            return MONO_WIDTH;
        }
        let table = if self.weight > 400 { &BOLD } else { &REGULAR };
        let ascii = (c as u32).checked_sub(32).and_then(|i| table.get(i as usize));
        ascii.map_or(1050, |w| u32::from(*w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = [f64; 3];

    fn linear(colour: &str) -> Rgb {
        let part = |i: usize| {
            let v = f64::from(u8::from_str_radix(&colour[i..i + 2], 16).expect("#rrggbb")) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        [part(1), part(3), part(5)]
    }

    /// What dichromats see: Machado, Oliveira and Fernandes 2009, severity 1.
    const SIGHT: [(&str, [Rgb; 3]); 4] = [
        ("full", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protan",
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
        ),
        (
            "deutan",
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
        ),
        (
            "tritan",
            [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ],
        ),
    ];

    fn seen(m: &[Rgb; 3], c: Rgb) -> Rgb {
        m.map(|row| (row[0] * c[0] + row[1] * c[1] + row[2] * c[2]).clamp(0.0, 1.0))
    }

    fn lab([r, g, b]: Rgb) -> Rgb {
        let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
        let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
        let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |c: &str| {
            let [r, g, b] = linear(c);
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let (a, b) = (luminance(a), luminance(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn kinds_of_context_differ_for_colour_blind_readers() {
        for theme in [Theme::Light, Theme::Dark] {
            let p = theme.palette();
            let kinds = [p.hardirq, p.softirq, p.callback, p.task];
            for (sight, m) in &SIGHT {
                for (i, a) in kinds.iter().enumerate() {
                    for b in &kinds[i + 1..] {
                        let (x, y) = (lab(seen(m, linear(a))), lab(seen(m, linear(b))));
                        let sum: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
                        assert!(sum.sqrt() >= 30.0, "{theme:?} {sight} {a} {b}: {}", sum.sqrt());
                    }
                }
            }
        }
    }

    #[test]
    fn text_can_be_read_on_its_ground() {
        for theme in [Theme::Light, Theme::Dark] {
            let p = theme.palette();
            for (text, ground) in [
                (p.ink, p.page),
                (p.muted, p.page),
                (p.bug, p.page),
                (p.ordered, p.page),
                (p.late, p.page),
                (p.extra, p.page),
                (p.ink, p.panel),
                (p.muted, p.panel),
                (p.ink, p.current),
                (p.ink, p.bug_fill),
                (p.ink, p.late_fill),
                (p.bug, p.bug_fill),
                (p.muted, p.bug_fill),
                (p.on_irq, p.softirq),
                (p.on_callback, p.callback),
                (p.ink, p.task),
                (p.ink, p.blocked),
            ] {
                assert!(contrast(text, ground) >= 4.5, "{theme:?}: {text} on {ground}");
            }
            // Large or bold text on a fill.
            assert!(contrast(p.on_irq, p.hardirq) >= 3.0, "{theme:?}");
        }
    }

    #[test]
    fn shades_go_one_way_and_numbers_can_be_read_on_them() {
        for theme in [Theme::Light, Theme::Dark] {
            let all = shades(theme);
            for (fill, ink) in all {
                assert!(contrast(fill, ink) >= 4.5, "{theme:?}: {ink} on {fill}");
            }
            for (_, m) in &SIGHT {
                let seen: Vec<f64> = all.iter().map(|s| lab(seen(m, linear(s.0)))[0]).collect();
                let far = seen.windows(2).all(|w| (w[0] - w[1]).abs() >= 5.0);
                let down =
                    seen.windows(2).all(|w| w[0] > w[1]) || seen.windows(2).all(|w| w[0] < w[1]);
                assert!(far && down, "{theme:?}: {seen:?}");
            }
        }
    }

    #[test]
    fn the_page_has_a_variable_for_every_colour() {
        let light = css(Theme::Light);
        for (variable, _) in PAGE.roles() {
            let name = variable.trim_start_matches("var(").trim_end_matches(')');
            assert!(light.contains(&format!("{name}:#")), "{name}");
        }
        assert!(light.contains("--bug-fill:#ffe3e3;"));
    }

    #[test]
    fn widths_of_text() {
        assert_eq!(Font::mono(125).width("t->x"), 4 * 602 * 125 / 100);
        assert_eq!(Font::sans(100).width("iW"), 237 + 949);
        assert!(Font::sans(100).weight(700).width("CPU1") > Font::sans(100).width("CPU1"));
    }
}
