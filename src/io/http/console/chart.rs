//! Charts: SVG made by plotters on the server, with classes in place of colours, once for wide screens and once for phones;
//! beneath each picture its figures as a table, which is the form for those who do not see it.

mod ink;
mod reliability;

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped, html};
use plotters::prelude::*;

use super::view::View;
use ink::{Ink, classed};
pub(super) use reliability::{Dot, reliability};

/// Width and height of the pictures: for wide screens and for phones.
const SIZES: [((u32, u32), &str); 2] = [((960, 270), "wide"), ((360, 230), "narrow")];
const SPARK: (u32, u32) = (120, 28);

/// How the figures of a chart are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One upon the other.
    StackedArea,
    /// One upon the other.
    StackedBars,
    Lines,
    /// Lines with their points.
    Points,
}

/// What the figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    /// 0 to 1, shown in percent.
    Share,
}

/// One row of figures.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub name: String,
    pub values: Vec<f64>,
}

/// One chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub title: String,
    pub kind: Kind,
    pub unit: Unit,
    /// What the first column of the table is.
    pub what: String,
    /// Names of the places on the x axis; every series has as many values.
    pub names: Vec<String>,
    pub series: Vec<Series>,
    /// A line that the others are compared with: one value a place.
    pub aim: Option<Series>,
}

impl Chart {
    /// The picture with its legend and its table.
    pub(super) fn figure(&self, view: &View) -> Markup {
        html! {
            figure.chart {
                figcaption { (self.title) }
                @if self.series.len() + usize::from(self.aim.is_some()) > 1 {
                    p.legend aria-hidden="true" {
                        @for (at, series) in self.series.iter().enumerate() {
                            span class={ "k " (Ink::series(at).class()) } { (series.name) }
                        }
                        @if let Some(aim) = &self.aim { span.k.aim { (aim.name) } }
                    }
                }
                @for (size, class) in SIZES { (self.svg(view, size, class)) }
                (self.table(view))
            }
        }
    }

    fn svg(&self, view: &View, size: (u32, u32), class: &str) -> Markup {
        let mut out = String::new();
        let _ = write!(out, r#"<svg class="plot {class}" viewBox="0 0 {} {}" role="img" aria-label=""#, size.0, size.1);
        let _ = Escaper::new(&mut out).write_str(&self.title);
        out.push_str(r#"">"#);
        let mut body = String::new();
        // What the library could not draw is not drawn; the table stands beneath in any case.
        if self.draw(view, &mut body, size).is_ok() {
            out.push_str(&body);
        }
        out.push_str("</svg>");
        PreEscaped(out)
    }

    fn draw(&self, view: &View, out: &mut String, size: (u32, u32)) -> Result<(), Box<dyn std::error::Error>> {
        let places = self.names.len();
        if places == 0 {
            return Ok(());
        }
        let bars = self.kind == Kind::StackedBars;
        let (from, to) = if bars || places == 1 { (-0.5, places as f64 - 0.5) } else { (0.0, (places - 1) as f64) };
        let top = self.top();
        let mut hits = Vec::with_capacity(places);
        let mut drawn = String::new();
        {
            let root = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
            let mut chart = ChartBuilder::on(&root)
                .margin_top(8)
                .margin_right(10)
                .x_label_area_size(24)
                .y_label_area_size(46)
                .build_cartesian_2d(from..to, 0.0..top)?;
            // As many names as stand beside each other without touching.
            let widest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
            let room = usize::try_from(size.0).unwrap_or(1) / (widest * 6 + 10).max(80);
            let words = ("sans-serif", 12).into_font().color(&Ink::WORDS.color());
            let name = |x: &f64| {
                let is_place = (x - x.round()).abs() < 1e-6 && *x >= 0.0;
                is_place.then(|| self.names.get(x.round() as usize).cloned()).flatten().unwrap_or_default()
            };
            let figure = |y: &f64| match self.unit {
                Unit::Share => view.lang.share(*y),
                Unit::Count if (y - y.round()).abs() < 1e-6 => view.lang.figure(y.round() as u64),
                Unit::Count => String::new(),
            };
            chart
                .configure_mesh()
                .disable_x_mesh()
                .bold_line_style(Ink::GRID.color())
                .light_line_style(Ink::NONE.color())
                .axis_style(Ink::AXIS.color())
                .label_style(words)
                .x_labels(room.min(places).max(2))
                .y_labels(5)
                .x_label_formatter(&name)
                .y_label_formatter(&figure)
                .draw()?;
            let mut base = vec![0.0; places];
            for (at, series) in self.series.iter().enumerate() {
                let ink = Ink::series(at).color();
                let values: Vec<f64> = (0..places).map(|i| series.values.get(i).copied().unwrap_or(0.0)).collect();
                match self.kind {
                    Kind::StackedArea | Kind::StackedBars => {
                        let above: Vec<f64> = base.iter().zip(&values).map(|(base, value)| base + value).collect();
                        if bars || places == 1 {
                            let bar = |i: usize| {
                                Rectangle::new([(i as f64 - 0.36, above[i]), (i as f64 + 0.36, base[i])], ink.filled())
                            };
                            chart.draw_series((0..places).filter(|i| values[*i] > 0.0).map(bar))?;
                        } else {
                            let upper = above.iter().enumerate().map(|(i, y)| (i as f64, *y));
                            let lower = base.iter().enumerate().rev().map(|(i, y)| (i as f64, *y));
                            let area: Vec<(f64, f64)> = upper.chain(lower).collect();
                            chart.draw_series([Polygon::new(area, ink.filled())])?;
                        }
                        base = above;
                    }
                    Kind::Lines | Kind::Points => {
                        let points =
                            || values.iter().enumerate().map(|(i, y)| (i as f64, *y)).filter(|(_, y)| y.is_finite());
                        chart.draw_series(LineSeries::new(points(), ink.stroke_width(2)))?;
                        if self.kind == Kind::Points {
                            chart.draw_series(points().map(|point| Circle::new(point, 4, ink.filled())))?;
                        }
                    }
                }
            }
            if let Some(aim) = &self.aim {
                let points = aim.values.iter().take(places).enumerate().map(|(i, y)| (i as f64, *y));
                chart.draw_series(LineSeries::new(points, Ink::AIM.color().stroke_width(1)))?;
            }
            let x = |place: f64| chart.backend_coord(&(place.clamp(from, to), 0.0)).0;
            for i in 0..places {
                hits.push((x(i as f64 - 0.5), x(i as f64 + 0.5)));
            }
            root.present()?;
        }
        out.push_str(&classed(&drawn));
        for (i, (left, right)) in hits.into_iter().enumerate() {
            let _ = write!(
                out,
                r#"<rect class="hit" x="{left}" y="8" width="{}" height="{}"><title>"#,
                (right - left).max(1),
                size.1.saturating_sub(32)
            );
            let _ = Escaper::new(out).write_str(&self.said(view, i));
            out.push_str("</title></rect>");
        }
        Ok(())
    }

    /// The place in words.
    fn said(&self, view: &View, at: usize) -> String {
        let mut text = self.names.get(at).cloned().unwrap_or_default();
        for series in &self.series {
            let value = series.values.get(at).copied().unwrap_or(f64::NAN);
            let _ = write!(text, "\n{}: {}", series.name, self.value(view, value));
        }
        text
    }

    fn value(&self, view: &View, value: f64) -> String {
        match self.unit {
            _ if !value.is_finite() => "–".to_owned(),
            Unit::Share => view.lang.share(value),
            Unit::Count => view.lang.decimal(value, usize::from((value - value.round()).abs() > 1e-6)),
        }
    }

    /// The upper end of the y axis: a round figure above everything.
    fn top(&self) -> f64 {
        if self.unit == Unit::Share {
            return 1.0;
        }
        let finite = |values: &[f64], i: usize| values.get(i).copied().filter(|y| y.is_finite()).unwrap_or(0.0);
        let stacked = matches!(self.kind, Kind::StackedArea | Kind::StackedBars);
        let most = (0..self.names.len()).map(|i| {
            let own = self.series.iter().map(|series| finite(&series.values, i));
            let own = if stacked { own.sum() } else { own.fold(0.0, f64::max) };
            own.max(self.aim.as_ref().map_or(0.0, |aim| finite(&aim.values, i)))
        });
        let most = most.fold(0.0, f64::max);
        if most <= 4.0 {
            return 4.0;
        }
        let step = 10f64.powf(most.log10().floor());
        [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
            .into_iter()
            .map(|times| times * step)
            .find(|top| *top >= most)
            .unwrap_or(most)
    }

    fn table(&self, view: &View) -> Markup {
        html! {
            details.figures {
                summary { (view.t("chart-figures")) }
                div.scroll tabindex="0" role="region" aria-label=(self.title) {
                    table {
                        caption.visually-hidden { (self.title) }
                        thead { tr {
                            th scope="col" { (self.what) }
                            @for series in self.series.iter().chain(&self.aim) { th.num scope="col" { (series.name) } }
                        } }
                        tbody {
                            @for (i, name) in self.names.iter().enumerate() {
                                tr {
                                    th scope="row" { (name) }
                                    @for series in self.series.iter().chain(&self.aim) {
                                        td.num { (self.value(view, series.values.get(i).copied().unwrap_or(f64::NAN))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A small line without axes, for a tile whose figure stands beside it.
pub(super) fn spark(values: &[f64]) -> Markup {
    let mut out = format!(r#"<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true">"#, SPARK.0, SPARK.1);
    let mut body = String::new();
    let most = values.iter().copied().filter(|value| value.is_finite()).fold(1.0, f64::max);
    let mut draw = || -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(&mut body, SPARK).into_drawing_area();
        let mut chart =
            ChartBuilder::on(&root).margin(2).build_cartesian_2d(0.0..(values.len().max(2) - 1) as f64, 0.0..most)?;
        let points = || values.iter().enumerate().map(|(i, y)| (i as f64, *y));
        let area = points().chain([((values.len() - 1) as f64, 0.0), (0.0, 0.0)]).collect::<Vec<_>>();
        chart.draw_series([Polygon::new(area, Ink::series(0).color().filled())])?;
        chart.draw_series(LineSeries::new(points(), Ink::series(0).color().stroke_width(1)))?;
        root.present()?;
        Ok(())
    };
    if values.len() > 1 && draw().is_ok() {
        out.push_str(&classed(&body));
    }
    out.push_str("</svg>");
    PreEscaped(out)
}
