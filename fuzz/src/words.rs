//! Single words that people and servers write: durations, times, names, secrets, modes, rates.

use std::fmt::Write;
use std::time::Duration;

use tokend::config::{Config, Privacy, SourceText};
use tokend::name::Name;
use tokend::secret::Secret;
use tokend::time::{Timestamp, for_people, parse_duration};

use super::leaks::must_be_one_line;

const LONGEST_SPAN: Duration = Duration::from_hours(100 * 366 * 24);
/// Where a word can stand in a configuration.
const PLACES: &str = r#"
[daemon]
ready_timeout = @
socket_mode = @
state_dir = @
state_key = { credential = @ }
[log]
level = @
format = @
[providers.p]
preset = "oauth2"
token_url = @
client_id = @
client_secret = { env = @ }
timeout = @
ttl = @
rate = @
proxy = @
budget = { issues = 3, per = @ }
[tokens.t]
provider = "p"
scopes = [@]
refresh = { lead = @ }
on_expired = @
sinks = [{ file = @, mode = @, owner = @, group = @, format = @ }]
[tokens.s]
provider = "p"
refresh = { schedule = @, timezone = @ }
"#;

/// Whatever the word: what is read can be written and read again, what is refused is refused in
/// one line, wherever in a configuration it stands.
pub fn run(input: &[u8]) {
    let Ok(word) = std::str::from_utf8(input) else { return };
    check_duration(word);
    check_time(word);
    if let Ok(name) = Name::parse(word) {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!(name.as_str() == word && word.len() <= 64 && word.bytes().all(fits), "{word:?} is no name");
    }
    if let Ok(secret) = Secret::read(word) {
        let text = secret.expose();
        assert!(!text.is_empty() && !text.contains(char::is_control) && word.starts_with(text));
    }
    let text = PLACES.replace('@', &toml::Value::String(word.into()).to_string());
    let source = SourceText { path: "t.toml".into(), text, privacy: Privacy::Private };
    for problem in Config::parse(&[source], &[]).err().unwrap_or_default() {
        must_be_one_line(&problem.text, 4096 + 8 * word.len());
    }
}

fn check_duration(word: &str) {
    match parse_duration(word) {
        Ok(span) => {
            assert!(span <= LONGEST_SPAN, "{word:?} is {span:?}");
            assert_eq!(parse_duration(&written(span)), Ok(span), "{word:?}");
            assert!(!for_people(span).is_empty());
        }
        Err(wrong) => must_be_one_line(&wrong, 200 + 10 * word.len()),
    }
}

/// As a person would write it.
fn written(span: Duration) -> String {
    let mut rest = span.as_millis();
    let mut text = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest / millis > 0 {
            let _ = write!(text, "{}{unit}", rest / millis);
        }
        rest %= millis;
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn check_time(word: &str) {
    let Some(moment) = Timestamp::parse_rfc3339(word) else { return };
    let shown = moment.to_string();
    // Beyond the years 0 to 9999 RFC 3339 has no words.
    if shown.starts_with(|c: char| c.is_ascii_digit()) {
        let again = Timestamp::parse_rfc3339(&shown).map(Timestamp::as_secs);
        assert_eq!(again, Some(moment.as_secs()), "{word:?} is shown as {shown:?}");
    }
}
