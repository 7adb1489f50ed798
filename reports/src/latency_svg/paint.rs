//! The canvas of charts with axes: `plotters` in units of an eighth of a pixel, with the colours and fonts of all pictures.

use crate::num::{grouped, us};
use crate::theme::{MONO, SANS, Theme};
use plotters::coord::types::RangedCoordf64;
use plotters::coord::{Shift, cartesian::Cartesian2d};
use plotters::prelude::{
    Circle, DrawingArea, PathElement, Polygon, RGBColor, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, TextStyle};

/// Canvas units a pixel: coordinates are integers, and at one unit a pixel slopes become stairs.
pub const FINE: i32 = 8;

pub type Root<'b> = DrawingArea<SVGBackend<'b>, Shift>;
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The colours of a picture.
#[derive(Copy, Clone)]
pub struct Ink {
    pub page: RGBColor,
    pub ink: RGBColor,
    pub muted: RGBColor,
    pub grid: RGBColor,
    pub bug: RGBColor,
    /// Lines of the series.
    pub lines: [RGBColor; 6],
    /// Their names and numbers: small text in the orange of lines would be too pale on white.
    pub names: [RGBColor; 6],
}

impl Ink {
    pub fn of(theme: Theme) -> Ink {
        let p = theme.palette();
        let lines = [p.softirq, p.hardirq, p.ordered, p.muted, p.extra, p.ink].map(colour);
        let names = [p.softirq, p.late, p.ordered, p.muted, p.extra, p.ink].map(colour);
        Ink {
            page: colour(p.page),
            ink: colour(p.ink),
            muted: colour(p.muted),
            grid: colour(p.grid),
            bug: colour(p.bug),
            lines,
            names,
        }
    }
}

/// `#rrggbb` of a palette; what is none, such as a variable of a page, is black.
fn colour(text: &str) -> RGBColor {
    let part = |i: usize| text.get(i..i + 2).and_then(|t| u8::from_str_radix(t, 16).ok());
    RGBColor(part(1).unwrap_or(0), part(3).unwrap_or(0), part(5).unwrap_or(0))
}

/// A plot: its place in pixels, and the ends of its axes in units of [`crate::scale::ONE`].
#[derive(Copy, Clone)]
pub struct Axes {
    /// Left, right, top, bottom.
    pub at: [i32; 4],
    pub x: (i64, i64),
    pub y: (i64, i64),
}

impl Axes {
    /// The pixel of a point.
    pub fn place(&self, point: (i64, i64)) -> (i32, i32) {
        let scale = |v: i64, from: (i64, i64), to: (i32, i32)| {
            let part = (v - from.0) * i64::from(to.1 - to.0) / (from.1 - from.0).max(1);
            to.0 + part as i32
        };
        let [left, right, top, bottom] = self.at;
        (scale(point.0, self.x, (left, right)), scale(point.1, self.y, (bottom, top)))
    }

    fn area<'b>(&self, root: &Root<'b>) -> Plot<'b> {
        let px = |v: i32| v * FINE;
        root.clone().apply_coord_spec(Cartesian2d::new(
            self.x.0 as f64..self.x.1 as f64,
            self.y.0 as f64..self.y.1 as f64,
            // The second range is upside down: values grow upwards, pixels downwards.
            (px(self.at[0])..px(self.at[1]), px(self.at[3])..px(self.at[2])),
        ))
    }

    /// A line through points; its width in tenths of a pixel.
    pub fn line(
        &self,
        root: &Root<'_>,
        points: &[(i64, i64)],
        colour: RGBColor,
        tenths: u32,
    ) -> Drawn {
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x as f64, *y as f64)).collect();
        let style = colour.stroke_width(tenths * FINE as u32 / 10);
        self.area(root).draw(&PathElement::new(points, style))?;
        Ok(())
    }

    /// The area under points, with a seventh of the colour.
    pub fn fill(&self, root: &Root<'_>, points: &[(i64, i64)], colour: RGBColor) -> Drawn {
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x as f64, *y as f64)).collect();
        self.area(root).draw(&Polygon::new(points, colour.mix(0.14).filled()))?;
        Ok(())
    }
}

type Plot<'b> = DrawingArea<SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A rectangle in pixels: left, right, top, bottom.
pub fn block(root: &Root<'_>, [left, right, top, bottom]: [i32; 4], colour: RGBColor) -> Drawn {
    let corners = [(left * FINE, top * FINE), (right * FINE, bottom * FINE)];
    root.draw(&Rectangle::new(corners, colour.filled()))?;
    Ok(())
}

/// The mark of a series: each has a shape beside its colour.
pub fn mark(root: &Root<'_>, series: usize, (x, y): (i32, i32), colour: RGBColor) -> Drawn {
    let (cx, cy, r) = (x * FINE, y * FINE, 4 * FINE);
    let shape = |points: Vec<(i32, i32)>| Polygon::new(points, colour.filled());
    match series {
        0 => root.draw(&Circle::new((cx, cy), r, colour.filled()))?,
        1 => return block(root, [x - 4, x + 4, y - 4, y + 4], colour),
        2 => {
            root.draw(&shape(vec![(cx, cy - r - 8), (cx + r + 8, cy + r), (cx - r - 8, cy + r)]))?
        }
        3 => root.draw(&shape(vec![
            (cx, cy - r - 8),
            (cx + r + 8, cy),
            (cx, cy + r + 8),
            (cx - r - 8, cy),
        ]))?,
        4 => {
            root.draw(&shape(vec![(cx, cy + r + 8), (cx + r + 8, cy - r), (cx - r - 8, cy - r)]))?
        }
        _ => root.draw(&Circle::new((cx, cy), r, colour.stroke_width(14)))?,
    }
    Ok(())
}

/// A time in microseconds, without a decimal that says nothing.
pub fn tick(ns: u64) -> String {
    let text = us(ns);
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// A time with its unit, in the largest one in which it is a whole number, from milliseconds on.
pub fn with_unit(ns: u64) -> String {
    match ns {
        n if n >= 1_000_000_000 && n.is_multiple_of(1_000_000_000) => {
            format!("{} s", grouped(n / 1_000_000_000))
        }
        n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => {
            format!("{} ms", grouped(n / 1_000_000))
        }
        n => format!("{} \u{b5}s", tick(n)),
    }
}

/// The text cut so that it fits: a sans-serif letter is no wider than 0.6 of its size on the average, as a monospace one.
pub fn fit(text: &str, pixels: i32, size: i32) -> String {
    let most = (pixels * 1000 / (size * 602)).max(4) as usize;
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most - 3).chain("...".chars()).collect()
}

/// How a text looks.
#[derive(Copy, Clone)]
pub struct Face {
    family: &'static str,
    size: i32,
    style: FontStyle,
    colour: RGBColor,
    anchor: HPos,
}

impl Face {
    pub fn plain(size: i32, colour: RGBColor) -> Face {
        Face { family: SANS, size, style: FontStyle::Normal, colour, anchor: HPos::Left }
    }
    pub fn bold(size: i32, colour: RGBColor) -> Face {
        Face { style: FontStyle::Bold, ..Face::plain(size, colour) }
    }
    pub fn mono(size: i32, colour: RGBColor) -> Face {
        Face { family: MONO, ..Face::plain(size, colour) }
    }
    pub fn right(self) -> Face {
        Face { anchor: HPos::Right, ..self }
    }
    pub fn middle(self) -> Face {
        Face { anchor: HPos::Center, ..self }
    }
}

/// Text whose baseline begins (ends, is centred) at a pixel.
pub fn text(root: &Root<'_>, (x, y): (i32, i32), text: &str, face: Face) -> Drawn {
    // The SVG back end divides sizes by 1.24; [`finished`] rounds what comes back.
    let size = f64::from(face.size * FINE) * 1.24;
    let font = (face.family, size).into_font().style(face.style);
    let style = TextStyle::from(font).color(&face.colour).pos(Pos::new(face.anchor, VPos::Bottom));
    root.draw(&Text::new(text.to_string(), (x * FINE, y * FINE), style))?;
    Ok(())
}

/// Shows the large canvas at its real size, puts text on its baseline in a size of whole units, and names the picture for
/// those who do not see it.
pub fn finished(
    svg: &str,
    (width, height): (i32, i32),
    ink: &Ink,
    title: &str,
    about: &str,
) -> String {
    let size = |w: i32, h: i32| format!("width=\"{w}\" height=\"{h}\"");
    let svg = svg.replacen(&size(width * FINE, height * FINE), &size(width, height), 1);
    // Letters get an edge in the colour of the page, so that they can be read on lines.
    let RGBColor(r, g, b) = ink.page;
    let halo =
        format!(" stroke=\"#{r:02x}{g:02x}{b:02x}\" stroke-width=\"28\" paint-order=\"stroke\"");
    let svg = svg.replace(" dy=\"-0.5ex\"", &halo);
    let mut out = String::new();
    for (i, part) in svg.split("font-size=\"").enumerate() {
        let Some((number, rest)) = part.split_once('"').filter(|_| i > 0) else {
            out.push_str(part);
            continue;
        };
        let rounded = number.parse::<f64>().map_or(0, |n| n.round() as i64);
        out.push_str(&format!("font-size=\"{rounded}\"{rest}"));
    }
    let named = format!(
        " role=\"img\">\n<title>{}</title>\n<desc>{}</desc>",
        crate::svg::escaped(title),
        crate::svg::escaped(about)
    );
    out.replacen('>', &named, 1)
}
