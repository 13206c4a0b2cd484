//! Runs what `on_change` and `on_failure` name, once, and says what is wrong with it in words for a
//! person. No hook is told an access token, and nothing that a command says is kept: it may be one.

use std::time::Duration;

use crate::command::{Command, Ended, Kept};
use crate::job::Notice;
use crate::settings::Hook;

/// How long a hook may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than `systemctl` has to say, in bytes.
const LONGEST: usize = 16 * 1024;
/// How much of that is shown, in characters.
const SHOWN: usize = 200;

const SYSTEMCTL: &str = "systemctl";
/// What `systemctl` says when tokend's user has no right over a unit, or there is no systemd to ask.
const NO_RIGHT: [&str; 5] =
    ["access denied", "authentication required", "permission denied", "not permitted", "connect to"];
const OTHER_WAY: &str = "; give tokend's user the right to manage the unit (a polkit rule), or let a .path unit of \
                         root watch the token's file instead";

/// Runs `hook` and tells it `notice`.
///
/// Errors: why it failed; without its arguments and without what it said.
pub async fn run(hook: &Hook, notice: &Notice) -> Result<(), String> {
    match hook {
        Hook::ReloadUnit(unit) => reload(SYSTEMCTL, unit).await,
        Hook::Command(words) => run_command(words, notice, PATIENCE).await,
    }
}

async fn run_command(words: &[String], notice: &Notice, patience: Duration) -> Result<(), String> {
    let environment = environment(notice);
    let command = Command { words, environment: &environment, kept: Kept::Nothing, patience };
    let program = words.first().map_or("", String::as_str);
    let ended = command.run().await.map_err(|wrong| format!("{program}: {wrong}"))?;
    match ended {
        Ended::Exited(status, _) if status.success() => Ok(()),
        Ended::Exited(status, _) => Err(format!("{program}: it failed ({status})")),
        Ended::Flooded => Err(format!("{program}: it said too much")),
    }
}

/// Everything that a command is told.
fn environment(notice: &Notice) -> Vec<(&'static str, String)> {
    let mut environment = vec![
        ("TOKEND_EVENT", notice.event.to_string()),
        ("TOKEND_TOKEN", notice.token.to_string()),
        ("TOKEND_SLOT", notice.slot.to_string()),
        ("TOKEND_GENERATION", notice.generation.to_string()),
        ("TOKEND_EXPIRES_AT", notice.expires_at.map(|at| at.to_string()).unwrap_or_default()),
    ];
    if let Some(trouble) = &notice.trouble {
        environment.push(("TOKEND_CLASS", trouble.class.clone()));
        environment.push(("TOKEND_CODE", trouble.code.as_deref().map(in_one_line).unwrap_or_default()));
        environment.push(("TOKEND_REASON", in_one_line(&trouble.reason)));
    }
    environment
}

fn in_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reloads `unit` if it can be reloaded, else restarts it; one that does not run is left alone.
async fn reload(systemctl: &str, unit: &str) -> Result<(), String> {
    let words = [systemctl, "--no-ask-password", "try-reload-or-restart", "--", unit].map(String::from);
    let command = Command { words: &words, environment: &[], kept: Kept::Errors(LONGEST), patience: PATIENCE };
    let ended = match command.run().await {
        Ok(ended) => ended,
        Err(wrong) => return Err(format!("reload of {unit}: {SYSTEMCTL}: {wrong}{OTHER_WAY}")),
    };
    let (status, said) = match ended {
        Ended::Exited(status, _) if status.success() => return Ok(()),
        Ended::Exited(status, said) => (status, first_line(&said)),
        Ended::Flooded => return Err(format!("reload of {unit}: {SYSTEMCTL} said too much and was killed")),
    };
    let small = said.to_lowercase();
    let other_way = if NO_RIGHT.iter().any(|words| small.contains(words)) { OTHER_WAY } else { "" };
    let why = if said.is_empty() { status.to_string() } else { said };
    Err(format!("reload of {unit}: {why}{other_way}"))
}

/// The first line of `said` with something in it, fit to be shown.
fn first_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}
