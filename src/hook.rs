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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "runs programs")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::access_token::Generation;
    use crate::job::Trouble;
    use crate::name::{Name, SlotId};
    use crate::settings::HookEvent;
    use crate::time::Timestamp;

    fn notice(event: HookEvent) -> Notice {
        let name = |text| Name::parse(text).unwrap();
        let trouble =
            Trouble { class: "refused".into(), code: Some("invalid_client".into()), reason: "no\nway".into() };
        Notice {
            event,
            token: name("accounts"),
            slot: SlotId::new(&name("bank"), "corporate"),
            generation: Generation(7),
            expires_at: Some(Timestamp::from_secs(0)),
            trouble: (event != HookEvent::Changed).then_some(trouble),
        }
    }

    fn run_for(words: &[&str], event: HookEvent, patience: Duration) -> Result<(), String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run_command(&words, &notice(event), patience))
    }

    fn script(directory: &Path, lines: &str) -> String {
        let path = directory.join("systemctl");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn shell(text: &str) -> Result<(), String> {
        run_for(&["/bin/sh", "-c", text], HookEvent::Changed, PATIENCE)
    }

    fn environment_for(event: HookEvent) -> String {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let text = format!("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort > {}", out.display());
        run_for(&["/bin/sh", "-c", &text], event, PATIENCE).unwrap();
        fs::read_to_string(out).unwrap()
    }

    #[test]
    fn a_command_is_told_what_happened_and_nothing_else() {
        let path = crate::command::PATH;
        let told = "TOKEND_EXPIRES_AT=1970-01-01T00:00:00Z\nTOKEND_GENERATION=7\n";
        let whose = "TOKEND_SLOT=bank/corporate\nTOKEND_TOKEN=accounts\n";
        let expected = format!("PATH={path}\nTOKEND_EVENT=changed\n{told}{whose}");
        assert_eq!(environment_for(HookEvent::Changed), expected);
        let why = "TOKEND_CLASS=refused\nTOKEND_CODE=invalid_client\n";
        let expected = format!("PATH={path}\n{why}TOKEND_EVENT=failing\n{told}TOKEND_REASON=no way\n{whose}");
        assert_eq!(environment_for(HookEvent::Failing), expected);
    }

    #[test]
    fn a_command_has_no_input_and_inherits_nothing_open() {
        crate::command::keep_descriptors();
        shell("test -z \"$(cat)\" && test \"$(pwd)\" = / && test \"$(ls /proc/self/fd | wc -l)\" -le 4").unwrap();
    }

    #[test]
    fn no_shell_reads_a_command() {
        let directory = tempfile::tempdir().unwrap();
        let word = format!("; touch {}/here", directory.path().display());
        run_for(&["/bin/echo", &word, "$(id)", "*"], HookEvent::Changed, PATIENCE).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_command_that_fails_is_named_with_neither_its_arguments_nor_its_words() {
        let told = shell("echo hunter2; echo hunter2 >&2; exit 3").unwrap_err();
        assert_eq!(told, "/bin/sh: it failed (exit status: 3)");
        let missing = run_for(&["/no/such", "hunter2"], HookEvent::Changed, PATIENCE).unwrap_err();
        assert!(missing.starts_with("/no/such: it cannot be started: No such file") && !missing.contains("hunter2"));
    }

    #[test]
    fn a_flood_of_words_is_thrown_away() {
        shell("head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2").unwrap();
    }

    #[test]
    fn a_command_that_takes_too_long_dies_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let started = directory.path().join("started");
        let text = format!("sh -c 'sleep 1000 & echo $! > {}; wait' & wait", started.display());
        let told = run_for(&["/bin/sh", "-c", &text], HookEvent::Changed, Duration::from_secs(1)).unwrap_err();
        assert_eq!(told, "/bin/sh: it did not end within 1 s and was killed");
        let grandchild = fs::read_to_string(&started).unwrap();
        // It may stay a zombie until somebody waits for it, but it sleeps no more.
        let state = || fs::read_to_string(format!("/proc/{}/stat", grandchild.trim())).unwrap_or_default();
        while state().contains(") S ") {
            std::thread::yield_now();
        }
    }

    fn reload_with(lines: &str) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        let systemctl = script(directory.path(), lines);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(reload(&systemctl, "api.service"))
    }

    #[test]
    fn a_unit_is_reloaded_or_restarted_if_it_runs() {
        let words = "--no-ask-password try-reload-or-restart -- api.service";
        reload_with(&format!("test \"$*\" = '{words}' && test -z \"$TOKEND_TOKEN\"")).unwrap();
    }

    #[test]
    fn a_unit_that_cannot_be_reloaded_is_named_with_the_reason_and_where_a_right_is_missing_the_other_way() {
        let told = reload_with("echo 'Job for api.service failed.' >&2; exit 1").unwrap_err();
        assert_eq!(told, "reload of api.service: Job for api.service failed.");
        let told = reload_with("echo 'Failed to reload api.service: Access denied' >&2; exit 4").unwrap_err();
        assert!(told.starts_with("reload of api.service: Failed to reload api.service: Access denied; give"), "{told}");
        assert!(told.contains("polkit") && told.contains(".path unit"), "{told}");
        assert_eq!(reload_with("exit 5").unwrap_err(), "reload of api.service: exit status: 5");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(reload("/no/such/systemctl", "api.service")).unwrap_err();
        assert!(told.contains("systemctl: it cannot be started") && told.contains(".path unit"), "{told}");
    }
}
