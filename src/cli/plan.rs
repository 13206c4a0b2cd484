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
    lines.extend(forecast.slots.iter().flat_map(slot_lines));
    lines.extend(group_lines("PSU CONTEXT", &forecast.psu_contexts));
    lines.extend(group_lines("ENDPOINT", &forecast.endpoints));
    if !forecast.notes.is_empty() {
        lines.push(String::new());
        lines.extend(forecast.notes.iter().map(|note| format!("note: {note}")));
    }
    lines
}

fn slot_lines(slot: &SlotForecast) -> Vec<String> {
    if let Some(place) = &slot.follows {
        return vec![
            String::new(),
            format!("{}  for {}", slot.slot, slot.tokens.join(", ")),
            format!("  follows    {place}; asks no provider"),
        ];
    }
    let scope = if slot.scope.is_empty() { "no scope" } else { &slot.scope };
    let budget = slot.budget.as_ref().map(|budget| format!("; budget {budget}")).unwrap_or_default();
    let shared = if slot.tokens.len() > 1 { "shared by " } else { "for " };
    let schedule = slot.schedule.as_ref().map(|schedule| format!(", and by schedule {schedule}")).unwrap_or_default();
    vec![
        String::new(),
        format!("{}  {shared}{}", slot.slot, slot.tokens.join(", ")),
        format!("  asks       {scope}"),
        format!(
            "  lives      {}, renewed {} before the end{schedule}",
            for_people(Duration::from_secs(slot.lifetime_seconds)),
            for_people(Duration::from_secs_f64(slot.lead_seconds)),
        ),
        format!("  refreshes  {}", moments(&slot.refreshes)),
        format!("  issues     {} an hour, {} a day at most{budget}", slot.issues_per_hour, slot.issues_per_day),
    ]
}

/// `09:00:00 09:59:00 10:58:00 … (25)`
fn moments(refreshes: &[String]) -> String {
    let time = |moment: &String| moment.get(11..19).unwrap_or(moment).to_owned();
    let shown: Vec<String> = refreshes.iter().take(SHOWN).map(time).collect();
    if refreshes.len() > SHOWN { format!("{} … ({})", shown.join(" "), refreshes.len()) } else { shown.join(" ") }
}

fn group_lines(title: &str, groups: &[GroupForecast]) -> Vec<String> {
    let mut rules: Vec<&str> = groups.iter().filter_map(|group| group.rule.as_deref()).collect();
    rules.dedup();
    if groups.is_empty() {
        return Vec::new();
    }
    let mut rows = table(&[title, "SLOTS", "AN HOUR", "A DAY"]);
    for group in groups {
        let (hour, day) = (group.issues_per_hour.to_string(), group.issues_per_day.to_string());
        rows.add_row(vec![group.group.clone(), group.slots.len().to_string(), hour, day]);
    }
    let rules = rules.into_iter().map(|rule| format!("The vendor's rule: {rule}."));
    std::iter::once(String::new()).chain(lines_of(&rows)).chain(rules).collect()
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
