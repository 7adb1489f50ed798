//! PNG from the same SVG, for mail and slides: drawn by `resvg` with fonts from [`crate::theme`]'s families that are part
//! of the program, so that no font of the system matters.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};
use std::sync::Arc;

/// Pixels of the file for a pixel of the picture: small text stays readable on screens of today.
pub const SCALE: u32 = 2;

const FONTS: [&[u8]; 5] = [
    include_bytes!("../fonts/Inter-Regular.otf"),
    include_bytes!("../fonts/Inter-SemiBold.otf"),
    include_bytes!("../fonts/Inter-Bold.otf"),
    include_bytes!("../fonts/DejaVuSansMono.ttf"),
    include_bytes!("../fonts/DejaVuSansMono-Bold.ttf"),
];

/// Draws pictures; the fonts are read once.
pub struct Painter {
    fonts: Arc<Database>,
}

impl Default for Painter {
    fn default() -> Painter {
        let mut fonts = Database::new();
        for f in FONTS {
            fonts.load_font_data(f.to_vec());
        }
        fonts.set_sans_serif_family("Inter");
        fonts.set_monospace_family("DejaVu Sans Mono");
        Painter { fonts: Arc::new(fonts) }
    }
}

impl Painter {
    /// The picture as a PNG file, [`SCALE`] times as large.
    ///
    /// # Errors
    /// If the text is no SVG, or the picture is empty or too large for memory.
    pub fn png(&self, svg: &str) -> Result<Vec<u8>, String> {
        let options = Options { fontdb: self.fonts.clone(), ..Options::default() };
        let tree = Tree::from_str(svg, &options).map_err(|e| e.to_string())?;
        let scale = SCALE as f32;
        let size = tree.size().to_int_size().scale_by(scale);
        let size = size.ok_or("the picture is empty or too large")?;
        let mut pixels = Pixmap::new(size.width(), size.height())
            .ok_or("the picture is empty or too large for memory")?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        pixels.encode_png().map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Font;

    fn text(font: &str, weight: u16, words: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"400\" height=\"40\">\
             <text x=\"10\" y=\"30\" font-family=\"{font}\" font-size=\"20\" font-weight=\"{weight}\">{words}</text></svg>"
        )
    }

    /// Width of the drawn words, in pixels of the picture.
    fn drawn(painter: &Painter, font: &str, weight: u16, words: &str) -> f32 {
        let options = Options { fontdb: painter.fonts.clone(), ..Options::default() };
        let tree = Tree::from_str(&text(font, weight, words), &options).expect("it is SVG");
        tree.root().bounding_box().width()
    }

    #[test]
    fn text_is_as_wide_as_the_layout_believes() {
        let painter = Painter::default();
        let words = "hrtimer_cancel(CPU1) WAITS 0123456789 =";
        for (family, mono, weight) in [
            (crate::theme::SANS, false, 400),
            (crate::theme::SANS, false, 600),
            (crate::theme::SANS, false, 700),
            (crate::theme::MONO, true, 400),
            (crate::theme::MONO, true, 700),
        ] {
            let believed = Font { mono, weight, size: 200 }.width(words) as f32 / 100.0;
            let is = drawn(&painter, family, weight, words);
            assert!(
                is <= believed + 0.1 && is > 0.9 * believed,
                "{family} {weight}: {is}, {believed}"
            );
        }
    }

    #[test]
    fn every_sign_of_pictures_has_a_glyph() {
        let painter = Painter::default();
        for sign in ["\u{b5}", "\u{2192}", "\u{2212}", "\u{d7}", "\u{b7}", "\u{2264}", "~"] {
            for family in [crate::theme::SANS, crate::theme::MONO] {
                assert!(drawn(&painter, family, 400, sign) > 1.0, "{family}: {sign}");
            }
        }
    }

    #[test]
    fn the_same_picture_gives_the_same_file_and_no_picture_an_error() {
        let (a, b) = (Painter::default(), Painter::default());
        let svg = text(crate::theme::SANS, 600, "t");
        let png = a.png(&svg).expect("a picture");
        assert_eq!(png, b.png(&svg).expect("a picture"));
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("4 bytes"));
        assert_eq!((side(16), side(20)), (400 * SCALE, 40 * SCALE));
        assert!(a.png("<svg").is_err());
    }
}
