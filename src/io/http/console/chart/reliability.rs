//! The reliability diagram: how sure an attribution was against how often it was right.

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped, html};
use plotters::prelude::*;

use super::super::view::View;
use super::ink::{Ink, classed};

/// As wide as a column of the page, and for phones.
const SIZES: [((u32, u32), &str); 2] = [((500, 370), "wide"), ((360, 330), "narrow")];
/// Radius of the smallest and the largest point.
const RADIUS: (f64, f64) = (4.0, 11.0);

/// Calls of one tenth of confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Dot {
    /// Mean confidence, 0 to 1.
    pub x: f64,
    /// Share that was right, 0 to 1.
    pub y: f64,
    /// How many they are: 1 for the most.
    pub weight: f64,
}

/// The diagram with the line on which confidence means what it says; texts: title, the points, the line.
pub(in super::super) fn reliability(view: &View, [title, points, line]: [&str; 3], dots: &[Dot]) -> Markup {
    html! {
        figure.chart {
            figcaption { (title) }
            p.legend aria-hidden="true" { span.k.s1 { (points) } span.k.aim { (line) } }
            @for (size, class) in SIZES { (picture(view, [title, points], dots, size, class)) }
        }
    }
}

fn picture(view: &View, [title, points]: [&str; 2], dots: &[Dot], size: (u32, u32), class: &str) -> Markup {
    let mut out = String::new();
    let _ = write!(out, r#"<svg class="plot {class}" viewBox="0 0 {} {}" role="img" aria-label=""#, size.0, size.1);
    let _ = Escaper::new(&mut out).write_str(title);
    out.push_str(r#"">"#);
    let mut body = String::new();
    // What the library could not draw is not drawn; the table stands beside in any case.
    if draw(view, points, dots, &mut body, size).is_ok() {
        out.push_str(&classed(&body));
    }
    out.push_str("</svg>");
    PreEscaped(out)
}

fn draw(
    view: &View,
    points: &str,
    dots: &[Dot],
    out: &mut String,
    size: (u32, u32),
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(out, size).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin_top(12)
        .margin_right(26)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    let words = ("sans-serif", 12).into_font().color(&Ink::WORDS.color());
    let percent = |share: &f64| view.lang.share(*share);
    chart
        .configure_mesh()
        .bold_line_style(Ink::GRID.color())
        .light_line_style(Ink::NONE.color())
        .axis_style(Ink::AXIS.color())
        .label_style(words.clone())
        .axis_desc_style(words)
        .x_desc(view.t("column-confidence"))
        .y_desc(points)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&percent)
        .y_label_formatter(&percent)
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], Ink::AIM.color().stroke_width(1)))?;
    let ink = Ink::series(0).color();
    chart.draw_series(LineSeries::new(dots.iter().map(|dot| (dot.x, dot.y)), ink.stroke_width(2)))?;
    let radius = |dot: &Dot| (RADIUS.0 + (RADIUS.1 - RADIUS.0) * dot.weight.clamp(0.0, 1.0).sqrt()).round() as i32;
    chart.draw_series(dots.iter().map(|dot| Circle::new((dot.x, dot.y), radius(dot), ink.filled())))?;
    root.present()?;
    Ok(())
}
