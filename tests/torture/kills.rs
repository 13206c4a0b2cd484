//! `kill -9`, again and again, where it hurts most.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::Signal;
use tokend::clock::now;
use tokend::demo::standin::{Fault, Tally};
use tokend::time::Timestamp;

use crate::chance::Chance;
use crate::readers::{Findings, ask_socket, read_files};
use crate::setup::{Daemon, PATIENCE, wait_until};
use crate::strace::{Threads, Tracer, can_trace};
use crate::victim::{SHORT_LEAD, Victim, account};

const ROUNDS: u64 = 60;

/// When the daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// Whatever it is doing.
    Anywhere,
    /// While the provider holds its request.
    Held,
    /// Just after the provider has answered.
    Answered,
    /// While it renews by itself.
    Renewing,
    /// While the provider's answer to it is no good.
    LiedTo,
    /// Before the number so many of its threads' calls of this kind.
    Call(&'static str, u64),
}

const AIMS: [Aim; 20] = [
    Aim::LiedTo,
    Aim::LiedTo,
    Aim::Anywhere,
    Aim::Anywhere,
    Aim::Held,
    Aim::Answered,
    Aim::Answered,
    Aim::Renewing,
    Aim::Renewing,
    Aim::Call("pwrite64", 1),
    Aim::Call("pwrite64", 3),
    Aim::Call("pwrite64", 5),
    Aim::Call("pwrite64", 6),
    Aim::Call("fsync", 1),
    Aim::Call("fsync", 2),
    Aim::Call("fsync", 3),
    Aim::Call("fchmod", 1),
    Aim::Call("renameat", 1),
    Aim::Call("renameat", 2),
    Aim::Call("openat", 9),
];

/// Answers that are no good; of some it cannot be told whether they issued anything.
const LIES: [fn() -> Fault; 6] = [
    || Fault::ResetAfter,
    || Fault::Half,
    || Fault::LineFeed,
    || Fault::ExpiresIn(serde_json::json!("3600abc")),
    || Fault::Html,
    || Fault::RefuseCredentials,
];

/// What was so when the daemon was dead.
struct Remains {
    corporate: Tally,
    generation: u64,
    litter: BTreeSet<String>,
}

struct Torture<'v> {
    victim: &'v Victim,
    chance: Chance,
    traces: bool,
    /// When it was killed: from, to.
    kills: Vec<(Timestamp, Timestamp)>,
    struck: u64,
}

#[test]
fn killed_at_any_moment_it_tears_no_file_loses_nothing_and_asks_for_nothing_that_is_held() {
    let seed =
        env::var("TORTURE_SEED").map_or_else(|_| RandomState::new().hash_one("seed"), |seed| seed.parse().unwrap());
    let rounds = env::var("TORTURE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    println!("TORTURE_SEED={seed} TORTURE_ROUNDS={rounds}");
    let victim = Victim::new();
    let findings = Findings::default();
    let mut torture =
        Torture { victim: &victim, chance: Chance::new(seed), traces: can_trace(), kills: Vec::new(), struck: 0 };
    let began = Instant::now();
    thread::scope(|scope| {
        let _until = findings.until_dropped();
        scope.spawn(|| read_files(&victim, &findings));
        scope.spawn(|| ask_socket(&victim, &findings));
        torture.run(rounds, &findings);
    });
    torture.renewals_are_due_or_make_up_for_a_kill(&findings);
    let looks = (findings.file_reads.load(Ordering::Relaxed), findings.socket_reads.load(Ordering::Relaxed));
    let issued = |slot| victim.setup.standin.look(|journal| journal.tally(account(slot)).issued);
    println!(
        "{rounds} rounds in {:?}: {} kills, {} of them at a system call; {} file reads, {} socket reads; \
         issued: {} forced, {} and {} renewed",
        began.elapsed(),
        torture.kills.len(),
        torture.struck,
        looks.0,
        looks.1,
        issued("corporate"),
        issued("short"),
        issued("own"),
    );
    assert!(looks.0 > rounds && looks.1 > rounds, "{looks:?}");
}

impl<'v> Torture<'v> {
    fn run(&mut self, rounds: u64, findings: &Findings) {
        let mut remains = None;
        for round in 0..rounds {
            let aim = self.chance.one_of(&AIMS);
            println!("round {round}: {aim:?}");
            let daemon = self.start(remains.as_ref());
            findings.must_be_clean();
            remains = Some(self.strike(daemon, aim));
        }
        let daemon = self.start(remains.as_ref());
        findings.must_be_clean();
        assert_eq!(daemon.stop().code(), Some(0));
    }

    /// Starts it, sometimes only after it was killed while it started. Nothing that is held is asked
    /// for, nothing is lost, and nothing half written is left.
    fn start(&mut self, remains: Option<&Remains>) -> Daemon<'v> {
        let setup = &self.victim.setup;
        while remains.is_some() && self.chance.once_in(4) {
            let stillborn = setup.spawn(setup.command(&["run"]));
            sleep(self.chance.pause_below(Duration::from_millis(80)));
            self.kills.push(kill(stillborn));
        }
        let daemon = setup.run();
        daemon.wait_ready();
        let status = daemon.status();
        assert_eq!(status.state_notice, None);
        let state = self.victim.state_files();
        assert!(!state.iter().any(|name| name.contains("damaged")), "{state:?}");
        assert_eq!(self.tally("private").issued, 1);
        if let Some(remains) = remains {
            let slot = daemon.slot("accounts");
            assert!(slot.generation.0 >= remains.generation, "generation {} fell", remains.generation);
            assert_eq!(self.tally("corporate"), remains.corporate, "a token is held and good");
            let budget = slot.budget.unwrap();
            let counted = (budget.issued + budget.possibly_issued) as u64;
            assert!(counted >= remains.corporate.issued.min(900), "{budget:?} of {:?}", remains.corporate);
            let left: Vec<_> = self.victim.litter().intersection(&remains.litter).cloned().collect();
            assert!(left.is_empty(), "left half written: {left:?}");
        }
        daemon
    }

    /// Has the shared token refreshed, and kills the daemon over it.
    fn strike(&mut self, daemon: Daemon<'_>, aim: Aim) -> Remains {
        let setup = &self.victim.setup;
        let generation = daemon.slot("accounts").generation.0;
        let before = self.tally("corporate").issued;
        if let Aim::Held = aim {
            setup.standin.fault_once(account("corporate"), Fault::Slow(Duration::from_millis(300)));
        }
        if let Aim::LiedTo = aim {
            let lie = self.chance.one_of(&LIES);
            setup.standin.fault_once(account("corporate"), lie());
        }
        let tracer = self.trace(&daemon, aim);
        let asking = if let Aim::Renewing = aim { None } else { refresh(self.victim) };
        let renewed = self.tally("short").issued;
        let came = match aim {
            Aim::Held => {
                setup.standin.block_until(PATIENCE, |journal| journal.tally(account("corporate")).in_flight > 0)
            }
            Aim::Answered => {
                setup.standin.block_until(PATIENCE, |journal| journal.tally(account("corporate")).issued > before)
            }
            Aim::Renewing => {
                setup.standin.block_until(PATIENCE, |journal| journal.tally(account("short")).issued > renewed)
            }
            Aim::Anywhere | Aim::LiedTo | Aim::Call(..) => Ok(true),
        };
        assert!(came.unwrap(), "{aim:?} does not come");
        if self.chance.once_in(5) {
            daemon.signal(Signal::HUP);
        }
        if tracer.is_some() {
            wait_for_end_of(asking);
        }
        let longest = if let Aim::Anywhere | Aim::LiedTo = aim { 30 } else { 8 };
        sleep(self.chance.pause_below(Duration::from_millis(longest)));
        let from = now();
        daemon.signal(Signal::KILL);
        // Before it is waited for: it stays until its tracer has let go.
        self.struck += u64::from(tracer.is_some_and(|tracer| tracer.has_struck()));
        let (_, to) = kill(daemon);
        self.kills.push((from, to));
        self.nothing_is_readable_that_should_not_be();
        self.settle();
        // What it did not live to see is meant for no other round.
        setup.standin.clear(account("corporate"));
        Remains { corporate: self.tally("corporate"), generation, litter: self.victim.litter() }
    }

    fn trace(&self, daemon: &Daemon<'_>, aim: Aim) -> Option<Tracer> {
        let Aim::Call(call, number) = aim else { return None };
        let inject = format!("inject={call}:signal=KILL:when={number}");
        let arguments = ["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), inject];
        self.traces.then(|| Tracer::attach(&self.victim.setup, daemon, Threads::All, &arguments)).flatten()
    }

    fn tally(&self, slot: &str) -> Tally {
        let tally = self.victim.setup.standin.look(|journal| journal.tally(account(slot)));
        assert!(tally.most_in_flight <= 1, "{slot}: never two requests at once");
        tally
    }

    /// Waits until the stand-in has dealt with all that the dead daemon had sent.
    fn settle(&self) {
        let standin = &self.victim.setup.standin;
        for _ in 0..2 {
            let mut stream = TcpStream::connect(standin.base().trim_start_matches("http://")).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
        wait_until("the stand-in is at rest", || self.tally("corporate").in_flight == 0);
    }

    /// What others may read is what the configuration lets them read, and nothing else holds a token.
    fn nothing_is_readable_that_should_not_be(&self) {
        let setup = &self.victim.setup;
        for directory in ["", "state", "secrets", "tokens"] {
            for file in fs::read_dir(setup.path(directory)).unwrap() {
                let path = file.unwrap().path();
                let stat = fs::symlink_metadata(&path).unwrap();
                let meant = |name: &str| {
                    let temporary =
                        path.file_name().unwrap().to_str().unwrap().starts_with(&format!(".{name}.tokend-"));
                    path.ends_with(name) || temporary
                };
                let is_public = self
                    .victim
                    .files
                    .iter()
                    .any(|file| file.mode & 0o077 != 0 && meant(file.path.file_name().unwrap().to_str().unwrap()));
                let is_private = stat.mode().trailing_zeros() >= 6;
                if !stat.is_file() || is_private || is_public {
                    continue;
                }
                let content = fs::read(&path).unwrap();
                let holds = |piece: &[u8]| content.windows(piece.len()).any(|window| window == piece);
                assert!(!holds(b"eyJ") && !holds(b"secret+of"), "{} can be read by others", path.display());
            }
        }
    }

    /// Of the exclusive slot that is renewed all the time: an access token that a reader had was let
    /// live up to its lead, and one that nobody had was lost to a kill (L2, L4).
    fn renewals_are_due_or_make_up_for_a_kill(&self, findings: &Findings) {
        let seen = findings.seen.lock().unwrap();
        let journal = self.victim.setup.standin.journal();
        let issues: Vec<_> = journal.issues(account("short")).collect();
        for pair in issues.windows(2) {
            let ((at, issue), (next, _)) = (pair[0], pair[1]);
            if let Some(expires_at) = seen.get(&issue.fingerprint) {
                let due = next + SHORT_LEAD >= *expires_at;
                assert!(due, "asked for at {next} although one was held until {expires_at}");
            } else {
                let killed = self.kills.iter().any(|(from, to)| *to >= at && *from <= next);
                assert!(killed, "issued at {at}, never delivered, and asked for again at {next} without a kill");
            }
        }
        assert!(seen.len() > 1, "some were renewed");
    }
}

/// Asks for a refresh whose answer may never come; the daemon may be dead already.
fn refresh(victim: &Victim) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(victim.setup.path("tokend.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = "POST /v1/tokens/accounts/refresh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).ok()?;
    Some(stream)
}

/// Waits until the answer is there or will never come, as far as it is waited for.
fn wait_for_end_of(asking: Option<UnixStream>) {
    if let Some(mut stream) = asking {
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn kill(daemon: Daemon<'_>) -> (Timestamp, Timestamp) {
    let from = now();
    daemon.kill();
    (from, now())
}
