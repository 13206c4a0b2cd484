//! `[refresh]`: durations and numbers, or the templates that become them.

use crate::preset::compile::{Compiler, Sees};
use crate::preset::language::{BudgetText, CountText, RefreshText};
use crate::preset::program::RefreshPlan;
use crate::preset::template::Text;
use crate::time::parse_duration;

impl Compiler<'_> {
    pub(crate) fn refresh(&mut self, written: RefreshText) -> RefreshPlan {
        let mut duration = |key, source: Option<String>| source.map(|source| self.duration(&["refresh", key], &source));
        RefreshPlan {
            lead: duration("lead", written.lead),
            max_lead: duration("max_lead", written.max_lead),
            ttl: duration("ttl", written.ttl),
            expected_lifetime: duration("expected_lifetime", written.expected_lifetime),
            budget: written.budget.map(|budget| self.budget(&budget)),
        }
    }

    fn budget(&mut self, written: &BudgetText) -> (Text, Text) {
        let issues = match &written.issues {
            CountText::Number(number) => Text::Fixed(number.to_string()),
            CountText::Template(source) => self.text(&["refresh", "budget", "issues"], source, Sees::Parameters),
        };
        (issues, self.duration(&["refresh", "budget", "per"], &written.per))
    }

    fn duration(&mut self, path: &[&str], source: &str) -> Text {
        let text = self.text(path, source, Sees::Parameters);
        if let Text::Fixed(text) = &text
            && let Err(wrong) = parse_duration(text)
        {
            self.problem(path, wrong);
        }
        text
    }
}
