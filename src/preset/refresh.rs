//! When a slot of a preset refreshes, given the provider's parameters.

use crate::preset::program::RefreshPlan;
use crate::preset::template::{Templates, Text, Variables};
use crate::preset::{Budget, RefreshRules};
use crate::time::parse_duration;

pub(crate) fn rules(plan: &RefreshPlan, templates: &Templates, variables: &Variables) -> Result<RefreshRules, String> {
    let render = |text: &Text| templates.render(text, variables);
    let duration = |text: &Option<Text>| {
        let text = text.as_ref().map(render).transpose()?.filter(|text| !text.is_empty());
        text.map(|text| parse_duration(&text)).transpose()
    };
    let budget = |(issues, per): &(Text, Text)| {
        let issues = render(issues)?;
        let issues = issues.parse().map_err(|_| format!("refresh.budget.issues: {issues:?} is not a number"))?;
        Ok::<_, String>(Budget { issues, per: parse_duration(&render(per)?)? })
    };
    Ok(RefreshRules {
        lead: duration(&plan.lead)?,
        max_lead: duration(&plan.max_lead)?,
        ttl: duration(&plan.ttl)?,
        expected_lifetime: duration(&plan.expected_lifetime)?,
        budget: plan.budget.as_ref().map(budget).transpose()?,
    })
}
