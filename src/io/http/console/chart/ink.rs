//! From the SVG that plotters writes to one with classes in place of colours: the page's style sheet colours it, so that one
//! picture serves light and dark, and nothing in it is a style of its own.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// What is drawn; the class of the element. The red of its colour is its place in [`CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink(u8);

/// Lines behind the figures, the axes, words; then the series.
const CLASSES: [&str; 11] = ["grid", "axis", "words", "s1", "s2", "s3", "s4", "s5", "s6", "aim", "none"];

impl Ink {
    pub(super) const GRID: Ink = Ink(0);
    pub(super) const AXIS: Ink = Ink(1);
    pub(super) const WORDS: Ink = Ink(2);
    pub(super) const AIM: Ink = Ink(9);
    /// Not drawn.
    pub(super) const NONE: Ink = Ink(10);

    /// Of the series with this place.
    pub(super) const fn series(at: usize) -> Ink {
        Ink(3 + (at % 6) as u8)
    }

    pub(super) const fn color(self) -> RGBColor {
        RGBColor(self.0, 0, 0)
    }

    pub(super) fn class(self) -> &'static str {
        CLASSES.get(usize::from(self.0)).copied().unwrap_or("none")
    }
}

/// Attributes that a style sheet decides about.
const STYLED: [&str; 7] = ["opacity", "fill", "stroke", "stroke-width", "font-family", "font-size", "font-weight"];

/// The elements inside of the picture, with classes. Words stay as plotters escaped them.
pub(super) fn classed(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        // Between elements stand line ends; in a text its words.
        out.push_str(before.trim());
        let Some((tag, after)) = tag.split_once('>') else { break };
        rest = after;
        let inside = tag.trim_start_matches('<').trim_end_matches('/');
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        match name {
            "svg" | "/svg" => {}
            "/text" => out.push_str("</text>"),
            name => element(&mut out, name, attributes, tag.ends_with('/')),
        }
    }
    out
}

fn element(out: &mut String, name: &str, attributes: &str, is_closed: bool) {
    let pairs = || attributes.split('"').collect::<Vec<_>>();
    let pairs = pairs();
    let pairs = || pairs.chunks_exact(2).map(|pair| (pair[0].trim().trim_end_matches('='), pair[1]));
    let ink = |wanted: &str| pairs().find(|(key, _)| *key == wanted).and_then(|(_, color)| class(color));
    let (kind, class) = match (ink("stroke"), ink("fill")) {
        (Some(class), _) => ("l", class),
        (None, Some(class)) => ("f", class),
        (None, None) => ("f", "none"),
    };
    if class == "none" && is_closed {
        return;
    }
    let _ = if name == "text" { write!(out, "<text") } else { write!(out, r#"<{name} class="{kind} {class}""#) };
    for (key, value) in pairs().filter(|(key, _)| !STYLED.contains(key)) {
        let _ = write!(out, r#" {key}="{}""#, value.trim());
    }
    out.push_str(if is_closed { "/>" } else { ">" });
}

/// Of a colour as plotters writes it: `#030000`.
fn class(color: &str) -> Option<&'static str> {
    let red = u8::from_str_radix(color.strip_prefix('#')?.get(..2)?, 16).ok()?;
    Some(Ink(red).class())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_nothing_else_is_lost() {
        let svg = "<svg width=\"9\" xmlns=\"x\">\n\
            <line opacity=\"1\" stroke=\"#000000\" stroke-width=\"1\" x1=\"1\" y1=\"2\" x2=\"3\" y2=\"4\"/>\n\
            <rect x=\"1\" y=\"2\" width=\"3\" height=\"4\" opacity=\"1\" fill=\"#030000\" stroke=\"none\"/>\n\
            <polyline fill=\"none\" opacity=\"1\" stroke=\"#0A0000\" points=\"1,2 3,4 \"/>\n\
            <text x=\"1\" y=\"2\" font-size=\"9\" fill=\"#020000\">\n&lt;b&gt; a\n</text>\n</svg>\n";
        assert_eq!(
            classed(svg),
            "<line class=\"l grid\" x1=\"1\" y1=\"2\" x2=\"3\" y2=\"4\"/><rect class=\"f s1\" x=\"1\" y=\"2\" width=\"3\" \
             height=\"4\"/><text x=\"1\" y=\"2\">&lt;b&gt; a</text>"
        );
        assert_eq!(classed("no svg <"), "no svg");
    }
}
