//! The wall clock is set while the daemon runs, and while it is down: by libfaketime, which stands
//! between the daemon and the system's wall clock. Where that cannot be had the tests say so and
//! pass, unless `CI=true`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tokend::clock;
use tokend::demo::standin::{Fault, Vendor};
use tokend::status::TokenState;
use tokend::time::Timestamp;

use crate::setup::{Daemon, HOUR, PATIENCE, Setup, wait_until};

const HOURS: i64 = 3600;
const DAYS: i64 = 24 * HOURS;

/// A wall clock that the test sets.
struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    /// A clock that is right, or `None` after saying why there is none.
    fn or_skip(setup: &Setup) -> Option<Self> {
        match library() {
            Some(library) => {
                let clock = Self { library, file: setup.path("wall-clock") };
                clock.set(0);
                Some(clock)
            }
            None if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("libfaketime is not installed"),
            None => {
                println!("skipped: libfaketime is not installed");
                None
            }
        }
    }

    /// Shows true time and so many seconds.
    fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn run<'s>(&self, setup: &'s Setup) -> Daemon<'s> {
        let (library, file) = (self.library.to_str().unwrap(), self.file.to_str().unwrap());
        setup.run_with(&[
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1"),
            // Timers run on another clock, which nobody can set.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ])
    }

    fn run_ready<'s>(&self, setup: &'s Setup) -> Daemon<'s> {
        let daemon = self.run(setup);
        daemon.wait_ready();
        daemon
    }
}

/// Where distributions put it.
fn library() -> Option<PathBuf> {
    let name = "faketime/libfaketimeMT.so.1";
    let architecture = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/lib64", "/usr/lib", &architecture].iter().map(|root| Path::new(root).join(name)).find(|path| path.exists())
}

/// An exclusive slot with a raw and a json file, and one that is not exclusive with an env file.
fn setup() -> Setup {
    let setup = Setup::new();
    setup.configure(&[
        setup.open_payments("op", ""),
        "[tokens.shared]\nprovider = \"op\"\npsu_context = \"corporate\"\nscopes = [\"accountinformation\"]\n\
         sinks = [{ file = \"@DIR@/tokens/raw\" }, { file = \"@DIR@/tokens/json\", format = \"json\" }]\n"
            .to_owned(),
        setup.oauth2("own", ""),
        "[tokens.own]\nprovider = \"own\"\nsinks = [{ file = \"@DIR@/tokens/env\", format = \"env\" }]\n".to_owned(),
    ]);
    setup
}

fn moment(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn is_near(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)).as_secs() < 20
}

/// What the json file says of expiry.
fn told_in_json(setup: &Setup) -> Timestamp {
    let content: serde_json::Value = serde_json::from_str(&setup.read("tokens/json").unwrap()).unwrap();
    moment(content["expires_at"].as_str().unwrap())
}

fn told_in_env(setup: &Setup) -> Timestamp {
    let content = setup.read("tokens/env").unwrap();
    let expires_at = content.lines().find_map(|line| line.strip_prefix("OWN_EXPIRES_AT='")).unwrap();
    moment(expires_at.trim_end_matches('\''))
}

/// The clock is so many seconds ahead of true time, and everything says so.
#[track_caller]
fn check_told(setup: &Setup, daemon: &Daemon<'_>, seconds: i64) {
    let wall = Timestamp::from_millis(clock::now().as_millis() + seconds * 1000);
    wait_until("the daemon notices that the clock was set", || is_near(moment(&daemon.status().now), wall));
    let in_an_hour = |told| is_near(told, wall + HOUR);
    wait_until("the files say the new wall time", || in_an_hour(told_in_json(setup)) && in_an_hour(told_in_env(setup)));
    for name in ["shared", "own"] {
        let slot = daemon.slot(name);
        assert_eq!((slot.state, slot.generation.0), (TokenState::Valid, 1), "{slot:?}");
        assert!(in_an_hour(moment(&slot.expires_at.unwrap())), "{wall}");
        let left = slot.expires_in.unwrap();
        assert!((3500..=3600).contains(&left), "{left}");
        let next = moment(&slot.next_refresh.unwrap());
        assert!(wall.until(next) > HOUR * 8 / 10 && wall.until(next) < HOUR, "{next}");
    }
    daemon.wait_ready();
}

#[track_caller]
fn check_served(setup: &Setup, daemon: &Daemon<'_>) {
    let served = daemon.ask("GET", "/v1/tokens/shared", "Accept: text/plain\r\n");
    assert_eq!((served.status, Some(served.body)), (200, setup.read("tokens/raw")));
    assert_eq!(daemon.get("/v1/tokens/own").status, 200);
}

fn requests(setup: &Setup) -> usize {
    setup.standin.journal().entries().len()
}

#[test]
fn a_clock_that_is_set_while_it_runs_asks_for_nothing_and_every_told_time_is_the_new_one() {
    let setup = setup();
    let Some(clock) = WallClock::or_skip(&setup) else { return };
    let daemon = clock.run_ready(&setup);
    check_told(&setup, &daemon, 0);
    let (asked, inode) = (requests(&setup), fs::metadata(setup.path("tokens/raw")).unwrap().ino());
    for seconds in [HOURS, 0, DAYS, 0, -HOURS, 0, -DAYS, HOURS, 0] {
        clock.set(seconds);
        check_served(&setup, &daemon);
        check_told(&setup, &daemon, seconds);
        check_served(&setup, &daemon);
        assert_eq!(requests(&setup), asked, "at {seconds} s");
    }
    assert_eq!(fs::metadata(setup.path("tokens/raw")).unwrap().ino(), inode, "the raw file was not rewritten");
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!((setup.issued(Vendor::OpenPayments), setup.issued(Vendor::OAuth2)), (1, 1));
}

#[test]
fn a_clock_that_is_set_while_it_is_down_asks_for_nothing_when_it_starts_in_the_same_boot() {
    let setup = setup();
    let Some(clock) = WallClock::or_skip(&setup) else { return };
    let mut daemon = clock.run_ready(&setup);
    let asked = requests(&setup);
    for (round, seconds) in [HOURS, -HOURS, DAYS, -DAYS, 0].into_iter().enumerate() {
        if round % 2 == 0 {
            daemon.kill();
        } else {
            assert_eq!(daemon.stop().code(), Some(0));
        }
        clock.set(seconds);
        daemon = clock.run_ready(&setup);
        check_served(&setup, &daemon);
        check_told(&setup, &daemon, seconds);
        assert_eq!(requests(&setup), asked, "at {seconds} s");
    }
}

#[test]
fn a_killed_daemon_that_had_no_time_to_save_the_step_is_not_misled_by_it() {
    let setup = setup();
    let Some(clock) = WallClock::or_skip(&setup) else { return };
    let daemon = clock.run_ready(&setup);
    let asked = requests(&setup);
    clock.set(-DAYS);
    let told = moment(&daemon.status().now);
    daemon.kill();
    assert!(is_near(told, Timestamp::from_millis(clock::now().as_millis() - DAYS * 1000)));
    clock.set(DAYS);
    let daemon = clock.run_ready(&setup);
    check_told(&setup, &daemon, DAYS);
    assert_eq!(requests(&setup), asked);
}

#[test]
fn the_renewal_comes_when_it_would_have_come_without_the_step() {
    for seconds in [DAYS, -DAYS] {
        let setup = setup();
        let Some(clock) = WallClock::or_skip(&setup) else { return };
        for vendor in [Vendor::OpenPayments, Vendor::OAuth2] {
            setup.standin.set_lifetime(vendor, std::time::Duration::from_secs(4));
        }
        let daemon = clock.run_ready(&setup);
        clock.set(seconds);
        let at_least =
            |generation: u64| ["shared", "own"].iter().all(|name| daemon.slot(name).generation.0 >= generation);
        wait_until("a renewal", || {
            let served = daemon.ask("GET", "/v1/tokens/shared", "Accept: text/plain\r\n");
            assert!(served.status == 200 && setup.standin.is_active(&served.body), "{served:?}");
            at_least(2)
        });
    }
}

#[test]
fn an_expired_access_token_is_not_served_because_the_clock_was_set_back() {
    let setup = setup();
    let Some(clock) = WallClock::or_skip(&setup) else { return };
    setup.standin.set_lifetime(Vendor::OpenPayments, std::time::Duration::from_secs(4));
    let daemon = clock.run_ready(&setup);
    setup.standin.fault(Vendor::OpenPayments, Fault::Status(500, String::new()));
    clock.set(-HOURS);
    wait_until("it has expired", || {
        let served = daemon.ask("GET", "/v1/tokens/shared", "Accept: text/plain\r\n");
        assert!(served.status == 503 || setup.standin.is_active(&served.body), "{served:?}");
        served.status == 503
    });
    assert_eq!(daemon.slot("shared").state, TokenState::Expired);
}

#[test]
fn a_request_under_way_while_the_clock_is_set_brings_a_token_of_the_new_time() {
    let setup = setup();
    let Some(clock) = WallClock::or_skip(&setup) else { return };
    setup.standin.fault_once(Vendor::OpenPayments, Fault::Slow(std::time::Duration::from_secs(2)));
    let daemon = clock.run(&setup);
    let asking = |journal: &tokend::demo::standin::Journal| journal.tally(Vendor::OpenPayments).in_flight > 0;
    assert!(setup.standin.block_until(PATIENCE, asking).unwrap());
    clock.set(DAYS);
    daemon.wait_ready();
    check_told(&setup, &daemon, DAYS);
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait_end().code(), Some(0));
}
