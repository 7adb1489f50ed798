//! What every picture must hold, read back from the file itself: it is XML, and each text is inside the picture and
//! overlaps no other.

use std::collections::BTreeSet;
use timerace_reports::theme::Font;

struct Text {
    words: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

fn number(node: &roxmltree::Node<'_, '_>, name: &str) -> f64 {
    let text = node.attribute(name).unwrap_or_else(|| panic!("no {name} in {node:?}"));
    text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
}

/// Checks a picture.
pub fn check(name: &str, svg: &str) {
    let doc = roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{name}: {e}\n{svg}"));
    let root = doc.root_element();
    let (w, h) = (number(&root, "width"), number(&root, "height"));
    assert_eq!(root.attribute("viewBox"), Some(format!("0 0 {w} {h}").as_str()), "{name}");
    for bad in ["NaN", "inf", "font-size=\"8", "font-size=\"7"] {
        assert!(!svg.contains(bad), "{name}: {bad}");
    }
    let mut ids = BTreeSet::new();
    for id in doc.descendants().filter_map(|n| n.attribute("id")) {
        assert!(ids.insert(id), "{name}: {id} twice");
    }
    let texts: Vec<Text> = doc.descendants().filter(|n| n.has_tag_name("text")).map(text).collect();
    assert!(!texts.is_empty(), "{name}: real text");
    for t in &texts {
        let inside = t.left >= 0.0 && t.right <= w && t.top >= 0.0 && t.bottom <= h;
        assert!(inside, "{name}: `{}` leaves the picture: {}..{} of {w}", t.words, t.left, t.right);
    }
    for (i, a) in texts.iter().enumerate() {
        for b in &texts[i + 1..] {
            let apart =
                a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
            assert!(apart, "{name}: `{}` lies on `{}`", a.words, b.words);
        }
    }
}

fn text(node: roxmltree::Node<'_, '_>) -> Text {
    let words = node.text().unwrap_or_default().to_string();
    let size = number(&node, "font-size");
    let weight = node.attribute("font-weight").map_or(400, |w| w.parse().unwrap());
    let mono = node.attribute("font-family").unwrap().ends_with("monospace");
    assert!(size >= 9.5, "`{words}` is too small");
    assert!([400, 600, 700].contains(&weight), "`{words}`: no such weight is embedded");
    let font = Font { mono, weight, size: (size * 10.0).round() as u32 };
    let wide = font.width(&words) as f64 / 100.0;
    let x = number(&node, "x");
    let left = match node.attribute("text-anchor") {
        Some("middle") => x - wide / 2.0,
        Some("end") => x - wide,
        _ => x,
    };
    let y = number(&node, "y");
    Text { words, left, right: left + wide, top: y - size * 0.76, bottom: y + size * 0.2 }
}
