//! `tokend plan`: what would be asked when, beside the vendor's rule. Pure but for the clock.

use std::path::Path;
use std::time::Duration;

use crate::cli::run::protect;
use crate::clock;
use crate::display::{lines_of, print, print_json, table};
use crate::fatal::Fatal;
use crate::forecast::{Forecast, GroupForecast, SlotForecast, forecast};
use crate::loading::load;
use crate::time::for_people;

/// How many moments a row shows.
const SHOWN: usize = 3;

pub(crate) fn plan(config_path: &Path, span: Duration, json: bool) -> Result<u8, Fatal> {
    protect();
    let config = load(config_path)?;
    let forecast = forecast(&config, clock::now(), span);
    if json {
        print_json(&forecast)?;
    } else {
        print(&format!("{}\n", for_a_person(&forecast).join("\n")))?;
    }
    Ok(0)
}

fn for_a_person(forecast: &Forecast) -> Vec<String> {
    let mut lines = vec![format!("From {} to {}, starting with nothing held:", forecast.from, forecast.until)];
    let mut slots =
        table(&["SLOT", "TOKENS", "SCOPE", "LIFETIME", "LEAD", "REFRESHES", "PER HOUR", "PER DAY", "BUDGET"]);
    for slot in &forecast.slots {
        slots.add_row(slot_row(slot));
    }
    lines.push(String::new());
    lines.extend(lines_of(&slots));
    lines.extend(group_lines("PSU CONTEXT", &forecast.psu_contexts));
    lines.extend(group_lines("ENDPOINT", &forecast.endpoints));
    if !forecast.notes.is_empty() {
        lines.push(String::new());
        lines.extend(forecast.notes.iter().map(|note| format!("note: {note}")));
    }
    lines
}

fn slot_row(slot: &SlotForecast) -> Vec<String> {
    vec![
        slot.slot.clone(),
        slot.tokens.join(" "),
        if slot.scope.is_empty() { "-".into() } else { slot.scope.clone() },
        for_people(Duration::from_secs(slot.lifetime_seconds)),
        for_people(Duration::from_secs_f64(slot.lead_seconds)),
        moments(&slot.refreshes),
        slot.issues_per_hour.to_string(),
        slot.issues_per_day.to_string(),
        slot.budget.clone().unwrap_or_else(|| "-".into()),
    ]
}

/// `09:00:00 09:59:00 10:58:00 … (25)`
fn moments(refreshes: &[String]) -> String {
    let time = |moment: &String| moment.get(11..19).unwrap_or(moment).to_owned();
    let shown: Vec<String> = refreshes.iter().take(SHOWN).map(time).collect();
    if refreshes.len() > SHOWN { format!("{} … ({})", shown.join(" "), refreshes.len()) } else { shown.join(" ") }
}

fn group_lines(title: &str, groups: &[GroupForecast]) -> Vec<String> {
    if groups.is_empty() {
        return Vec::new();
    }
    let mut rows = table(&[title, "SLOTS", "PER HOUR", "PER DAY", "THE VENDOR'S RULE"]);
    for group in groups {
        let rule = group.rule.clone().unwrap_or_else(|| "-".into());
        let (hour, day) = (group.issues_per_hour.to_string(), group.issues_per_day.to_string());
        rows.add_row(vec![group.group.clone(), group.slots.len().to_string(), hour, day, rule]);
    }
    std::iter::once(String::new()).chain(lines_of(&rows)).collect()
}

#[cfg(test)]
mod tests {
    use crate::time::Timestamp;

    use super::*;

    #[test]
    fn a_row_shows_the_first_moments_and_how_many_there_are() {
        let at = |n: i64| Timestamp::from_secs(n * 3600).to_string();
        assert_eq!(moments(&[at(0), at(1)]), "00:00:00 01:00:00");
        assert_eq!(moments(&[at(0), at(1), at(2), at(3)]), "00:00:00 01:00:00 02:00:00 … (4)");
    }
}
