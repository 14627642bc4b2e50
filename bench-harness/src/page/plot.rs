//! The plots, as SVG: latency by percentile, and over time.
//!
//! Never draws a legend or a font of its own: the page names the colours, and greys that can be read on light and on dark.

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::{
    ChartBuilder, Color as _, DrawingArea, IntoDrawingArea as _, IntoLogRange as _, LineSeries,
    RGBColor, Ranged, SVGBackend, ShapeStyle, TextStyle,
};

use crate::client::Result;
use crate::compare::short;
use crate::result::Latency;

const SIZE: (u32, u32) = (900, 380);
const TEXT: RGBColor = RGBColor(128, 128, 128);

/// Told apart by those who see fewer colours too; on white and on black.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 140, 40),
];

pub(super) fn colour(series: usize) -> RGBColor {
    COLOURS[series % COLOURS.len()]
}

/// A line; its colour goes by `series`.
pub(super) struct Line {
    pub(super) series: usize,
    /// The lesser of two lines of a series.
    pub(super) faint: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// For each bucket how rare a slower sample is: (1 / (1 - p), milliseconds).
pub(super) fn by_percentile(latency: &Latency) -> Vec<(f64, f64)> {
    let total: u64 = latency.histogram.iter().map(|(_, count)| count).sum();
    let mut points = Vec::new();
    let mut below = 0;
    for (value, count) in &latency.histogram {
        let millis = *value as f64 / 1e3;
        // A bucket reaches from the samples below it to its own last one.
        points.push((total as f64 / (total - below) as f64, millis));
        below += count;
        points.push((total as f64 / (total - below).max(1) as f64, millis));
    }
    points
}

/// `x` is 1 / (1 - p): each step to the right is ten times rarer.
pub(super) fn percentiles(lines: &[Line]) -> Result<String> {
    let largest = largest(lines, |point| point.0).max(100.0);
    draw(
        lines,
        (1.0..largest).log_scale(),
        &|rarity| format!("{}%", percent(*rarity)),
        "percentile",
    )
}

pub(super) fn over_time(lines: &[Line]) -> Result<String> {
    let last = largest(lines, |point| point.0).max(1.0);
    draw(lines, 0.0..last, &|second| format!("{second:.0}"), "second")
}

/// 1000 is 99.9.
fn percent(rarity: f64) -> String {
    let digits = (rarity.log10().round() - 2.0).max(0.0) as usize;
    format!("{:.digits$}", 100.0 - 100.0 / rarity)
}

fn largest(lines: &[Line], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let points = lines.iter().flat_map(|line| &line.points);
    points.map(of).fold(0.0, f64::max)
}

fn draw<X, R>(lines: &[Line], x: X, label: &dyn Fn(&f64) -> String, name: &str) -> Result<String>
where
    X: plotters::coord::ranged1d::AsRangedCoord<CoordDescType = R, Value = f64>,
    R: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        chart(&area, lines, x, label, name).map_err(|error| format!("plot: {error}"))?;
        area.present().map_err(|error| format!("plot: {error}"))?;
    }
    // Scales with the page.
    let (width, height) = SIZE;
    Ok(svg.replacen(&format!("width=\"{width}\" height=\"{height}\" "), "", 1))
}

fn chart<X, R>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    lines: &[Line],
    x: X,
    label: &dyn Fn(&f64) -> String,
    name: &str,
) -> std::result::Result<(), Box<dyn std::error::Error>>
where
    X: plotters::coord::ranged1d::AsRangedCoord<CoordDescType = R, Value = f64>,
    R: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let millis = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|point| point.1)
    };
    let positive = || millis().filter(|millis| *millis > 0.0);
    // Whole decades, so that lines of the mesh stand apart and no plot flatters by its range.
    let least = positive().reduce(f64::min).unwrap_or(1.0).log10().floor();
    let most = positive().reduce(f64::max).unwrap_or(1.0).log10().ceil();
    let range = 10_f64.powf(least)..10_f64.powf(most.max(least + 1.0));
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x, range.log_scale())?;
    let text = TextStyle::from(("sans-serif", 13)).color(&TEXT);
    chart
        .configure_mesh()
        .light_line_style(TEXT.mix(0.0))
        .bold_line_style(TEXT.mix(0.25))
        .axis_style(TEXT)
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_desc(name)
        .y_desc("milliseconds")
        .x_label_formatter(label)
        .y_label_formatter(&|millis| short(*millis))
        .draw()?;
    for line in lines {
        let colour = colour(line.series);
        let style = ShapeStyle {
            color: if line.faint {
                colour.mix(0.65)
            } else {
                colour.mix(1.0)
            },
            filled: false,
            stroke_width: if line.faint { 1 } else { 2 },
        };
        chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_in_a_thousand_stands_at_the_999th() {
        let latency = Latency {
            histogram: vec![(100, 900), (2000, 99), (50_000, 1)],
            ..Latency::default()
        };
        let expected = [
            (1.0, 0.1),
            (10.0, 0.1),
            (10.0, 2.0),
            (1000.0, 2.0),
            (1000.0, 50.0),
            (1000.0, 50.0),
        ];
        assert_eq!(by_percentile(&latency), expected);
        assert_eq!(by_percentile(&Latency::default()), []);
    }

    #[test]
    fn a_rarity_is_named_as_a_percentile() {
        let names: Vec<String> = [1.0, 10.0, 100.0, 1e3, 1e4].map(percent).into();
        assert_eq!(names, ["0", "90", "99", "99.9", "99.99"]);
    }

    #[test]
    fn a_plot_has_a_line_for_each_and_survives_none() {
        let line = |series, points| Line {
            series,
            faint: false,
            points,
        };
        let lines = [
            line(0, vec![(1.0, 0.1), (10.0, 2.0)]),
            line(1, vec![(1.0, 0.2), (99.0, 1.0)]),
        ];
        for svg in [percentiles(&lines), over_time(&lines)] {
            let svg = svg.expect("a plot");
            for colour in ["#0072B2", "#E69F00"] {
                assert!(svg.contains(&format!("stroke=\"{colour}\"")), "{svg}");
            }
        }
        for points in [vec![], vec![(1.0, 0.0)], vec![(3.0, 5.0)]] {
            let lines = [line(0, points)];
            assert!(percentiles(&lines).is_ok() && over_time(&lines).is_ok());
        }
    }
}
