//! The table of figures, and medians.

use std::fmt;
use std::time::Duration;

/// All figures measured.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    value: String,
    limit: String,
    holds: Option<bool>,
}

impl Report {
    /// Adds a figure that must be `least` or more.
    pub fn at_least(&mut self, what: &str, value: f64, least: f64) {
        self.add(what, format!("{value:.2}"), format!("≥ {least}"), Some(value >= least));
    }

    /// Adds a figure that must be `most` or less.
    pub fn at_most(&mut self, what: &str, value: f64, most: f64, unit: &str) {
        self.add(what, format!("{value:.2}{unit}"), format!("≤ {most}{unit}"), Some(value <= most));
    }

    /// Adds a figure that is told and has no limit.
    pub fn tell(&mut self, what: &str, value: String) {
        self.add(what, value, String::new(), None);
    }

    /// Whether no limit is missed.
    pub fn all_hold(&self) -> bool {
        self.rows.iter().all(|row| row.holds != Some(false))
    }

    fn add(&mut self, what: &str, value: String, limit: String, holds: Option<bool>) {
        eprintln!("{what}: {value} {limit}");
        self.rows.push(Row { what: what.into(), value, limit, holds });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Row { what, value, limit, holds } in &self.rows {
            let verdict = match holds {
                Some(true) => "holds",
                Some(false) => "MISSED",
                None => "",
            };
            writeln!(f, "{what:62} {value:>12} {limit:>9}  {verdict}")?;
        }
        Ok(())
    }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` of all lie.
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// The median of durations, in seconds.
pub fn median_seconds(times: &[Duration]) -> f64 {
    median(times.iter().map(Duration::as_secs_f64).collect())
}

/// The median of the ratios of two sides that ran in turn.
pub fn median_ratio(above: &[Duration], below: &[Duration]) -> f64 {
    median(above.iter().zip(below).map(|(above, below)| above.as_secs_f64() / below.as_secs_f64()).collect())
}
