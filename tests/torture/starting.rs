//! Starts at which the state cannot be opened or made: it says so and ends, and nothing is taken for
//! damaged that is not.

use std::fs;
use std::process::Command;

use tokend::demo::standin::Vendor;

use crate::setup::{Said, Setup};
use crate::strace::can_trace;

const KEYS: &str = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";

fn setup() -> Setup {
    let setup = Setup::new();
    setup.configure(&[setup.open_payments("op", ""), setup.token("a", "op", KEYS)]);
    setup
}

/// Starts the daemon with this fault at one file of the state, and waits for its end.
fn start(setup: &Setup, file: &str, call: &str, errno: &str) -> Said {
    start_struck(setup, file, call, &format!("error={errno}:when=1+"))
}

fn start_struck(setup: &Setup, file: &str, call: &str, strike: &str) -> Said {
    let daemon = setup.command(&["run", "--once"]);
    let mut command = Command::new("strace");
    command.arg("-f").arg("-o").arg(setup.path("strace"));
    // As its whole path, and as its name in the open directory.
    command.arg("-P").arg(setup.path("state").join(file)).arg("-P").arg(file);
    command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{strike}")]);
    command.arg(daemon.get_program()).args(daemon.get_args()).current_dir(setup.dir()).env_clear();
    let output = command.output().unwrap();
    let seen = fs::read_to_string(setup.path("strace")).unwrap();
    assert!(seen.contains("(INJECTED)"), "{file} {call} {strike} did not strike");
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn nothing_was_set_aside(setup: &Setup, what: &str) {
    let names = fs::read_dir(setup.path("state")).unwrap().map(|file| file.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains("damaged")), "{what}: {names:?}");
}

#[test]
fn a_state_that_cannot_be_read_now_is_not_taken_for_damaged() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    // Killed: what it knew last is in the log beside the database.
    setup.run_ready().kill();
    for (file, call, errno) in [
        ("state.db", "openat", "EACCES"),
        ("state.db", "openat", "EIO"),
        ("state.db", "pread64", "EIO"),
        ("state.db-wal", "openat", "EACCES"),
        ("state.db-wal", "openat", "EIO"),
        ("state.db-wal", "pread64", "EIO"),
        ("state.key", "openat", "EACCES"),
        ("state.key", "openat", "EIO"),
        ("state.key", "read", "EIO"),
        ("tokend.lock", "openat", "EACCES"),
    ] {
        let what = format!("{call} of {file} with {errno}");
        let said = start(&setup, file, call, errno);
        assert_eq!(said.code, 73, "{what}: {said:?}");
        let state = setup.path("state").display().to_string();
        assert!(said.err.contains(&state), "{what}: {said:?}");
        nothing_was_set_aside(&setup, &what);
    }
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("a").generation.0, daemon.status().state_notice), (1, None));
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
}

#[test]
fn a_state_that_cannot_be_made_now_is_made_at_the_next_start() {
    if !can_trace() {
        return;
    }
    for (file, call, errno) in [
        ("state.db.new", "openat", "EACCES"),
        ("state.db.new", "pwrite64", "ENOSPC"),
        ("state.db.new", "fsync", "EIO"),
        ("state.db.new", "rename", "EIO"),
        ("state.db", "openat", "EIO"),
        ("state.db-wal", "pwrite64", "ENOSPC"),
    ] {
        let what = format!("{call} of {file} with {errno}");
        let setup = setup();
        let said = start(&setup, file, call, errno);
        assert!(said.err.contains(&setup.path("state").display().to_string()), "{what}: {said:?}");
        if file != "state.db-wal" {
            assert_eq!(said.code, 73, "{what}: {said:?}");
            assert_eq!(setup.issued(Vendor::OpenPayments), 0, "{what}: nothing is asked for");
        }
        nothing_was_set_aside(&setup, &what);
        let daemon = setup.run_ready();
        assert_eq!(daemon.status().state_notice, None, "{what}");
    }
}

#[test]
fn a_call_that_a_signal_interrupts_at_start_is_made_again() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    setup.run_ready().kill();
    for (file, call) in [
        ("tokend.lock", "openat"),
        ("state.key", "openat"),
        ("state.key", "read"),
        ("state.db", "openat"),
        ("state.db", "pread64"),
        ("state.db-wal", "openat"),
    ] {
        let what = format!("{call} of {file}");
        let said = start_struck(&setup, file, call, "error=EINTR:when=1");
        assert_eq!(said.code, 0, "{what}: {said:?}");
        nothing_was_set_aside(&setup, &what);
        assert_eq!(setup.issued(Vendor::OpenPayments), 1, "{what}: nothing is asked for again");
        setup.run_ready().kill();
    }
}
