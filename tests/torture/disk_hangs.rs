//! A disk that answers nobody: a file system of its own for the state, frozen while the daemon writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokend::demo::standin::Vendor;

use crate::apart::{is_apart, run_apart};
use crate::setup::{Setup, wait_until};

/// A file system in a file, thawed and gone when this is dropped.
struct Freezer(PathBuf);

impl Freezer {
    /// Errors: why none can be had here.
    fn mount(image: &Path, at: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&at).unwrap();
        fs::File::create(image).unwrap().set_len(16 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&at))?;
        Ok(Self(at))
    }

    fn freeze(&self) -> Result<(), String> {
        run(Command::new("fsfreeze").arg("--freeze").arg(&self.0))
    }

    fn thaw(&self) -> Result<(), String> {
        run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.0))
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // What waits for it cannot even be killed.
        let _ = self.thaw();
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

const NAME: &str = "disk_hangs::a_disk_that_hangs_costs_no_token_and_everything_is_saved_when_it_answers";

#[test]
fn a_disk_that_hangs_costs_no_token_and_everything_is_saved_when_it_answers() {
    if !is_apart() {
        return run_apart(NAME);
    }
    let setup = Setup::new();
    let freezer = match Freezer::mount(&setup.path("image"), setup.path("state")) {
        Ok(freezer) => freezer,
        // Few machines that run tests have loop devices to give away.
        Err(why) => return println!("skipped: no file system that can be frozen: {why}"),
    };
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    setup.configure(&[
        setup.open_payments("op", "budget = { issues = 100, per = \"1h\" }"),
        setup.token("a", "op", keys),
    ]);
    let daemon = setup.run_ready();
    let first = setup.read("tokens/a").unwrap();
    freezer.freeze().unwrap();
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200, "from memory, after a few seconds");
    wait_until("the new token is delivered", || setup.read("tokens/a").is_some_and(|now| now != first));
    let error = daemon.status().state_error.unwrap();
    let place = setup.path("state").display().to_string();
    assert!(error.reason.starts_with(&format!("{place}: its disk has not answered")), "{error:?}");
    assert_eq!(daemon.get("/readyz").status, 200);
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200, "and another one");
    freezer.thaw().unwrap();
    wait_until("the state is written again", || daemon.status().state_writable);
    assert_eq!(setup.issued(Vendor::OpenPayments), 3);
    daemon.kill();
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("a").generation.0, daemon.status().state_notice), (3, None));
    assert_eq!(setup.issued(Vendor::OpenPayments), 3);
}
