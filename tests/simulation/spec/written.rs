//! What the operator wants, as the TOML that a person would write.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use tokend::config::{Config, Privacy, SourceText};

use super::{CONTEXTS, Kind, Spec, Token, client_of, path_of};
use crate::simulation::moment::SECOND;

impl Spec {
    /// The configuration, as a person would write it.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        let used: BTreeSet<usize> = self.tokens.iter().map(|token| token.account).collect();
        let table = |account: usize| format!("{}-{}", client_of(account), self.accounts[account].renamed);
        for (number, account) in self.accounts.iter().enumerate().filter(|(number, _)| used.contains(number)) {
            let client = client_of(number);
            let secrets: Vec<String> = (0..account.secrets).map(|n| format!("\"secret{n}\"")).collect();
            let preset = match account.kind {
                Kind::OpenPayments => "preset = \"open-payments\"",
                Kind::Shared => "preset = \"oauth2\"\nclient_auth = \"client_secret_post\"\nexclusive = true",
                Kind::Own => "preset = \"oauth2\"\nclient_auth = \"client_secret_post\"",
            };
            let url = account.url();
            writeln!(text, "[providers.{}]\n{preset}\nclient_id = \"{client}\"\ntoken_url = \"{url}\"", table(number))
                .unwrap();
            writeln!(text, "client_secret = [{}]", secrets.join(", ")).unwrap();
            if let Some((issues, per)) = account.budget {
                writeln!(text, "budget = {{ issues = {issues}, per = \"{}s\" }}", per / SECOND).unwrap();
            }
            if let Some(rate) = account.rate {
                writeln!(text, "rate = \"{rate}/m\"").unwrap();
            }
            if !account.persists {
                writeln!(text, "persist = \"off\"").unwrap();
            }
        }
        for token in &self.tokens {
            self.write_token(token, &table(token.account), &mut text);
        }
        text
    }

    fn write_token(&self, token: &Token, table: &str, text: &mut String) {
        let account = &self.accounts[token.account];
        let scopes: Vec<String> = self.scopes_of(token).map(|scope| format!("\"{scope}\"")).collect();
        let sink = |(number, json): (&usize, &bool)| {
            let format = if *json { "json" } else { "raw" };
            format!("{{ file = \"{}\", format = \"{format}\" }}", path_of(*number))
        };
        let sinks: Vec<String> = token.sinks.iter().map(sink).collect();
        writeln!(text, "[tokens.{}]\nprovider = \"{table}\"\nscopes = [{}]", token.name, scopes.join(", ")).unwrap();
        writeln!(text, "sinks = [{}]", sinks.join(", ")).unwrap();
        if account.kind == Kind::OpenPayments {
            writeln!(text, "psu_context = \"{}\"", CONTEXTS[token.context]).unwrap();
        }
        let lead = account.lead.map(|lead| format!("lead = \"{}s\"", lead / SECOND));
        let schedule = self.schedule_of(token).map(|every| match every {
            60 => "schedule = \"0 0 * * * *\"".to_owned(),
            minutes => format!("schedule = \"0 */{minutes} * * * *\""),
        });
        let refresh: Vec<String> = lead.into_iter().chain(schedule).collect();
        if !refresh.is_empty() {
            writeln!(text, "refresh = {{ {} }}", refresh.join(", ")).unwrap();
        }
        if token.hooked {
            writeln!(text, "on_change = {{ command = [\"/usr/bin/true\"] }}").unwrap();
        }
        if token.removes {
            writeln!(text, "on_expired = \"remove\"").unwrap();
        }
    }

    /// The configuration, as the real parser reads it.
    pub fn config(&self) -> Arc<Config> {
        let text = self.toml();
        let source = SourceText { path: "tokend.toml".into(), text, privacy: Privacy::Private };
        match Config::parse(&[source], &[]) {
            Ok(config) => Arc::new(config),
            Err(problems) => panic!("the simulation wrote a wrong configuration: {problems:?}\n{}", self.toml()),
        }
    }
}
