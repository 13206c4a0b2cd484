//! A disk that is really full: a small file system of its own for the state and for the files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokend::demo::standin::Vendor;
use tokend::status::SinkState;

use crate::apart::{is_apart, run_apart};
use crate::setup::{Setup, wait_for, wait_until};
use crate::strace::skip;

/// A small file system, gone when this is dropped.
struct Small(PathBuf);

impl Small {
    /// `None` where none may be mounted; says so.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=0755", "none"]).arg(&at).output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Some(Self(at)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        skip(&format!("no small file system can be mounted: {why}"));
        None
    }

    /// Takes all the room that there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filling");
        let mut file = File::create(&path).unwrap();
        for size in [4096, 512, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

const NAME: &str = "disk_full::a_full_disk_costs_no_token_and_is_overcome_when_there_is_room_again";

#[test]
fn a_full_disk_costs_no_token_and_is_overcome_when_there_is_room_again() {
    if !is_apart() {
        return run_apart(NAME);
    }
    let setup = Setup::new();
    let (Some(state), Some(tokens)) = (Small::mount(setup.path("state")), Small::mount(setup.path("tokens"))) else {
        return;
    };
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    setup.configure(&[
        setup.open_payments("op", "budget = { issues = 100, per = \"1h\" }"),
        setup.token("a", "op", keys),
    ]);
    let daemon = setup.run_ready();
    let first = setup.read("tokens/a").unwrap();

    let filling = tokens.fill();
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    let sink = wait_for("the delivery fails", || {
        let sink = daemon.slot("a").tokens[0].sinks[0].clone();
        (sink.state == SinkState::Failing).then_some(sink)
    });
    let error = sink.error.unwrap();
    let place = tokens.path().join("a").display().to_string();
    assert!(error.contains(&place) && error.contains("no space left on its file system; make room there"), "{error}");
    wait_until("it is tried again and again", || setup.log().contains("attempts=4"));
    assert_eq!(setup.read("tokens/a").as_ref(), Some(&first), "the old file is whole");
    assert_eq!(fs::read_dir(tokens.path()).unwrap().count(), 2, "and beside it lies only what fills the disk");
    fs::remove_file(filling).unwrap();
    wait_until("the file follows", || daemon.slot("a").tokens[0].sinks[0].state == SinkState::Current);
    assert!(setup.read("tokens/a").is_some_and(|now| now != first && setup.standin.is_active(&now)));

    let filling = state.fill();
    wait_until("the state is full", || {
        // What SQLite has room for already it may still write.
        let answer = daemon.post("/v1/tokens/a/refresh");
        assert_eq!(answer.status, 200, "{answer:?}");
        !daemon.status().state_writable
    });
    assert!(setup.log().contains("state.db: no space left on its file system; make room there"), "{}", setup.log());
    assert_eq!(daemon.get("/readyz").status, 200);
    let generation = daemon.slot("a").generation.0;
    wait_until("the file follows", || daemon.slot("a").tokens[0].sinks[0].state == SinkState::Current);
    fs::remove_file(filling).unwrap();
    wait_until("the state is written again", || daemon.status().state_writable);
    assert_eq!(setup.issued(Vendor::OpenPayments), generation);
    daemon.kill();
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("a").generation.0, daemon.status().state_notice), (generation, None));
    assert_eq!(setup.issued(Vendor::OpenPayments), generation);
}
