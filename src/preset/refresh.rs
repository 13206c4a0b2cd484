//! When a slot of a preset refreshes, given the provider's parameters.

use std::time::Duration;

use crate::preset::RefreshRules;
use crate::preset::program::RefreshPlan;
use crate::preset::template::{Templates, Text, Variables};
use crate::settings::Budget;
use crate::time::parse_duration;

pub(crate) fn rules(plan: &RefreshPlan, templates: &Templates, variables: &Variables) -> Result<RefreshRules, String> {
    let duration =
        |text: &Option<Text>| text.as_ref().map(|text| read_duration(text, templates, variables)).transpose();
    let budget = plan.budget.as_ref().map(|(issues, per)| {
        let issues = templates.render(issues, variables)?;
        let issues = issues.trim().parse().map_err(|_| format!("refresh.budget.issues: {issues:?} is not a number"))?;
        Ok::<_, String>(Budget { issues, per: read_duration(per, templates, variables)? })
    });
    Ok(RefreshRules {
        lead: duration(&plan.lead)?,
        max_lead: duration(&plan.max_lead)?,
        ttl: duration(&plan.ttl)?,
        expected_lifetime: duration(&plan.expected_lifetime)?,
        budget: budget.transpose()?,
    })
}

fn read_duration(text: &Text, templates: &Templates, variables: &Variables) -> Result<Duration, String> {
    parse_duration(templates.render(text, variables)?.trim())
}
