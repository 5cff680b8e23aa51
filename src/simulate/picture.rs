//! The report as a picture: SVG that needs nothing else.

use plotters::prelude::*;

use super::{Report, Run};

const SIZE: (u32, u32) = (1_100, 520);
/// Colours that are told apart by people who see red and green alike (Okabe and Ito), ours first.
const COLOURS: [RGBColor; 9] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(150, 150, 150),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(110, 60, 20),
];

/// Right at the source against the monthly cost of numbers, and said against true confidence of the first policy; of the
/// first world where there are several.
///
/// # Errors
/// What the drawing library says.
pub fn picture(report: &Report) -> Result<String, String> {
    let mut svg = String::new();
    draw(report, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(report: &Report, svg: &mut String) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(640);
    accuracy(report, &left)?;
    reliability(report, &right)?;
    root.present()?;
    Ok(())
}

fn first_world(report: &Report) -> impl Iterator<Item = &Run> {
    let world = |run: &Run| (run.visits_per_day, run.spam);
    report.runs.iter().filter(move |run| report.runs.first().is_some_and(|first| world(first) == world(run)))
}

fn policies(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for run in first_world(report) {
        if !names.contains(&run.policy.as_str()) {
            names.push(&run.policy);
        }
    }
    names
}

fn accuracy<B: DrawingBackend>(report: &Report, area: &DrawingArea<B, plotters::coord::Shift>) -> Drawn
where
    B::ErrorType: 'static,
{
    let costs = first_world(report).map(|run| run.cost.max(0.01));
    let (least, most) = costs.fold((f64::MAX, 0.02f64), |(least, most), cost| (least.min(cost), most.max(cost)));
    // By powers of two, which is how sizes are swept.
    let (low, high) = (least.log2().floor(), most.log2().ceil());
    let mut chart = ChartBuilder::on(area)
        .caption("Calls with the right source", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(low..high.max(low + 1.0) + 0.05, 0f64..100f64)?;
    chart
        .configure_mesh()
        .max_light_lines(1)
        .x_labels((high - low) as usize + 2)
        .x_label_formatter(&|power| format!("{:.0}", power.exp2()))
        .y_label_formatter(&|share| format!("{share:.0}"))
        .x_desc("cost of all numbers a month")
        .y_desc("% of calls")
        .label_style(("sans-serif", 14))
        .draw()?;
    for (index, policy) in policies(report).into_iter().enumerate() {
        let style = COLOURS[index % COLOURS.len()].stroke_width(if index == 0 { 3 } else { 2 });
        let of = first_world(report).filter(|run| run.policy == policy);
        let point = |run: &Run| (run.cost.max(0.01).log2(), 100.0 * run.score.right.source);
        let mut points: Vec<(f64, f64)> = of.map(point).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, style.filled())))?;
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(policy)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

/// Of the policies that say how sure they are.
fn reliability<B: DrawingBackend>(report: &Report, area: &DrawingArea<B, plotters::coord::Shift>) -> Drawn
where
    B::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .caption("Said and true confidence", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0f64..100f64, 0f64..100f64)?;
    chart
        .configure_mesh()
        .max_light_lines(1)
        .x_label_formatter(&|share| format!("{share:.0}"))
        .y_label_formatter(&|share| format!("{share:.0}"))
        .x_desc("said, %")
        .y_desc("right, %")
        .label_style(("sans-serif", 14))
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (100.0, 100.0)], BLACK.mix(0.4)))?;
    let Some(first) = report.runs.first() else { return Ok(()) };
    for (index, run) in first_world(report).filter(|run| run.policy == first.policy).enumerate() {
        let style = COLOURS[index % COLOURS.len()].stroke_width(2);
        let bins = run.score.reliability.iter().filter(|bin| bin.calls >= 20);
        let points: Vec<(f64, f64)> = bins.map(|bin| (100.0 * bin.confidence, 100.0 * bin.right)).collect();
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, style.filled())))?;
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(format!("{}, {} numbers", run.policy, run.numbers))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
