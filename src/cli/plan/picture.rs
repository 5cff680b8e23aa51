//! A plan as a picture: share of visits without a number of their own against the number of numbers.

use plotters::prelude::*;

use crate::core::sizing::blocking;
use crate::core::sizing::plan::{Plan, Question};

const SIZE: (u32, u32) = (900, 560);
const ON_PAGE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const WITH_HOLD: RGBColor = RGBColor(0xd9, 0x82, 0x1b);
const TARGET: RGBColor = RGBColor(0x60, 0x60, 0x60);
/// Points of a curve.
const POINTS: usize = 400;

/// The picture as SVG.
///
/// # Errors
/// What the drawing library says; nothing that a plan can be is known to make it fail.
pub(super) fn svg(question: &Question, plan: &Plan) -> Result<String, String> {
    let mut svg = String::new();
    draw(&mut svg, question, plan).map_err(|error| format!("the picture cannot be drawn: {error}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, question: &Question, plan: &Plan) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let last = plan.sizes.last().map_or(10, |size| size.numbers + 1).max(2);
    let mut chart = ChartBuilder::on(&root)
        .caption("Visits without a number of their own", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last as f64, 0.0..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("numbers")
        .y_desc("% of visits")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    let step = last.div_ceil(POINTS).max(1);
    let z = question.demand.peakedness;
    for (name, load, color) in [
        ("shared with somebody on the page", plan.on_page, ON_PAGE),
        ("reused within the hold", plan.with_hold, WITH_HOLD),
    ] {
        let points = (0..=last).step_by(step).map(|n| (n as f64, blocking(n, load, z) * 100.0));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    let target = question.target * 100.0;
    chart
        .draw_series(LineSeries::new([(0.0, target), (last as f64, target)], TARGET.stroke_width(1)))?
        .label("target")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], TARGET.stroke_width(1)));
    for (numbers, load, color) in
        [(plan.numbers, plan.on_page, ON_PAGE), (plan.numbers_with_hold, plan.with_hold, WITH_HOLD)]
    {
        let at = (numbers as f64, blocking(numbers, load, z) * 100.0);
        chart.draw_series([Circle::new(at, 4, color.filled())])?;
        let words = Text::new(numbers.to_string(), (at.0, at.1 + 4.0), ("sans-serif", 15).into_font().color(&color));
        chart.draw_series([words])?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(TARGET)
        .draw()?;
    root.present()?;
    Ok(())
}
