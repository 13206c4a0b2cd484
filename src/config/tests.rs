//! The configuration as a whole: what is said of wrong ones, and what right ones come to.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use super::*;
use crate::config::tests::presets::built_in;

mod difference;
mod follow;
mod merging;
mod presets;
mod slots;
mod vaults;
mod wrong;

fn source(path: &str, text: &str) -> SourceText {
    SourceText { path: path.into(), text: text.into(), privacy: Privacy::Private }
}

fn parse_all(sources: &[SourceText], environment: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::parse_with((sources, &environment), &[], built_in())
}

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    parse_all(&[source("t.toml", text)], &[])
}

/// All problems as they are printed.
fn told(outcome: Result<Config, Vec<Problem>>) -> String {
    let mut text = String::new();
    for problem in outcome.err().unwrap_or_default() {
        writeln!(text, "{problem}").unwrap();
    }
    text
}

/// A provider and a token that are right, to which one thing is added.
const GOOD: &str = r#"
[providers.op]
preset = "open-payments"
client_id = "me"
client_secret = { credential = "op" }
token_url = "https://as.example/token"

[tokens.a]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
sinks = [{ file = "/run/tokend/tokens/a" }]
"#;

#[test]
fn a_glance_says_of_the_daemon_what_stands_before_providers_and_tokens() {
    let glance = |text: &str| Config::glance(&[source("t.toml", text)], &[]).map(|daemon| daemon.state_dir);
    let state_dir = Some(Some(PathBuf::from("/state")));
    let daemon = "[daemon]\nstate_dir = \"/state\"\n";
    assert_eq!(glance(daemon), state_dir);
    assert_eq!(glance(&format!("{daemon}[tokens.a]\nwhatever = comes")), state_dir);
    assert_eq!(glance(&format!("\n[tokens.a]\n{daemon}")), Some(None), "nothing is said before");
    assert_eq!(glance(&format!("{daemon}[unknown]")), None);
    assert_eq!(glance(&format!("{daemon}not toml")), None);
    assert_eq!(glance("[daemon]\nstate_dir = \"state\""), None);
    let variable = [("TOKEND_DAEMON__STATE_DIR".to_owned(), "/state".to_owned())];
    let by_variable = Config::glance(&[source("t.toml", GOOD)], &variable).map(|daemon| daemon.state_dir);
    assert_eq!(by_variable, state_dir);
}
