//! Readers that never look away: what they see must be whole, theirs, and never older than before.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tokend::clock::now;
use tokend::demo::standin::{Fingerprint, Standin, Target};
use tokend::time::Timestamp;

use crate::setup::PATIENCE;
use crate::victim::{Format, TOKENS, Victim, Watched, account};

/// Between two looks at everything: the daemon needs a processor as well.
const BREATH: Duration = Duration::from_micros(100);

/// What readers found, and how often they looked.
#[derive(Default)]
pub struct Findings {
    stop: AtomicBool,
    wrong: Mutex<Vec<String>>,
    pub file_reads: AtomicU64,
    pub socket_reads: AtomicU64,
    /// Access tokens that readers had, with the expiry that they were told.
    pub seen: Mutex<BTreeMap<Fingerprint, Timestamp>>,
}

impl Findings {
    /// Ends the test if something wrong was seen.
    #[track_caller]
    pub fn must_be_clean(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Makes the readers look away when it is dropped, also by a panic.
    pub fn until_dropped(&self) -> impl Drop + '_ {
        struct Until<'f>(&'f Findings);
        impl Drop for Until<'_> {
            fn drop(&mut self) {
                self.0.stop.store(true, Ordering::Relaxed);
            }
        }
        Until(self)
    }

    fn note(&self, result: Result<(), String>) {
        if let Err(wrong) = result {
            self.wrong.lock().unwrap().push(format!("{} {wrong}", now()));
        }
    }
}

/// How far a reader has come at one place.
#[derive(Default)]
struct Progress {
    content: String,
    /// Which of the account's access tokens it was: they never go back.
    number: Option<usize>,
}

impl Progress {
    /// Takes an access token that must be one of `account`, and none that is older than the last.
    fn advance(&mut self, standin: &Standin, account: &Target, access_token: &str) -> Result<Issue, String> {
        let fingerprint = Fingerprint::of(access_token);
        let found = standin.look(|journal| {
            let mut issues = journal.issues(account.clone()).enumerate();
            issues
                .find(|(_, (_, issue))| issue.fingerprint == fingerprint)
                .map(|(at, (_, issue))| (at, issue.expires_at))
        });
        let Some((number, expires_at)) = found else {
            return Err(format!("{} bytes that are no access token of {account:?}", access_token.len()));
        };
        if self.number > Some(number) {
            return Err(format!("number {number} of {account:?} after number {:?}", self.number));
        }
        self.number = Some(number);
        Ok(Issue { fingerprint, expires_at })
    }
}

struct Issue {
    fingerprint: Fingerprint,
    expires_at: Timestamp,
}

/// Reads all files of `victim` again and again.
pub fn read_files(victim: &Victim, findings: &Findings) {
    let mut progress: Vec<Progress> = victim.files.iter().map(|_| Progress::default()).collect();
    while !findings.stop.load(Ordering::Relaxed) {
        for (file, progress) in victim.files.iter().zip(&mut progress) {
            findings.file_reads.fetch_add(1, Ordering::Relaxed);
            let looked = look(victim, findings, file, progress);
            findings.note(looked.map_err(|wrong| format!("{}: {wrong}", file.path.display())));
        }
        sleep(BREATH);
    }
}

fn look(victim: &Victim, findings: &Findings, watched: &Watched, progress: &mut Progress) -> Result<(), String> {
    let mut file = match File::open(&watched.path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && progress.number.is_none() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let stat = file.metadata().unwrap();
    let found = (stat.mode() & 0o7777, stat.uid(), stat.gid());
    if found != (watched.mode, watched.owner, watched.group) {
        return Err(format!("mode {:o}, owner {}, group {}", found.0, found.1, found.2));
    }
    let mut content = String::new();
    file.read_to_string(&mut content).map_err(|error| error.to_string())?;
    if content == progress.content && !content.is_empty() {
        return Ok(());
    }
    let (access_token, expires_at) = parse(watched.format, &content).ok_or("torn, or not in its format")?;
    let issue = progress.advance(&victim.setup.standin, &watched.account, &access_token)?;
    if let Some(expires_at) = expires_at {
        findings.seen.lock().unwrap().insert(issue.fingerprint, expires_at);
    }
    progress.content = content;
    Ok(())
}

/// The access token, and when it expires where the file says so; `None` when it is not whole.
fn parse(format: Format, content: &str) -> Option<(String, Option<Timestamp>)> {
    match format {
        Format::Raw => Some((content.to_owned(), None)),
        Format::Header => Some((content.strip_prefix("Authorization: Bearer ")?.strip_suffix('\n')?.to_owned(), None)),
        Format::Json => {
            let json: Value = serde_json::from_str(content).ok()?;
            let expires_at = Timestamp::parse_rfc3339(json["expires_at"].as_str()?)?;
            Some((json["access_token"].as_str()?.to_owned(), Some(expires_at)))
        }
        Format::Env => {
            let (first, second) = content.strip_suffix('\n')?.split_once('\n')?;
            second.strip_prefix("OWN_EXPIRES_AT=")?;
            let value = first.strip_prefix("OWN_ACCESS_TOKEN=")?;
            Some((value.trim_matches(['"', '\'']).to_owned(), None))
        }
    }
}

/// Asks the socket for every token again and again, while it answers.
pub fn ask_socket(victim: &Victim, findings: &Findings) {
    let socket = victim.setup.path("tokend.sock");
    let mut progress: Vec<Progress> = TOKENS.iter().map(|_| Progress::default()).collect();
    while !findings.stop.load(Ordering::Relaxed) {
        for ((name, slot), progress) in TOKENS.iter().zip(&mut progress) {
            let asked_at = now();
            let Some((status, body)) = ask(&socket, name) else {
                sleep(Duration::from_millis(1));
                continue;
            };
            findings.socket_reads.fetch_add(1, Ordering::Relaxed);
            let served = served(&victim.setup.standin, slot, progress, (asked_at, status, &body));
            let served = served.map(|told| findings.seen.lock().unwrap().extend(told));
            findings.note(served.map_err(|wrong| format!("{name} on the socket: {wrong}")));
        }
        sleep(BREATH);
    }
}

fn served(
    standin: &Standin,
    slot: &str,
    progress: &mut Progress,
    (asked_at, status, body): (Timestamp, u16, &str),
) -> Result<Option<(Fingerprint, Timestamp)>, String> {
    match status {
        200 => {
            let (access_token, told) = parse(Format::Json, body).ok_or("torn, or no json")?;
            let issue = progress.advance(standin, &account(slot), &access_token)?;
            if issue.expires_at <= asked_at {
                return Err(format!("an access token that had expired at {}", issue.expires_at));
            }
            Ok(told.map(|expires_at| (issue.fingerprint, expires_at)))
        }
        503 => Ok(None),
        other => Err(format!("HTTP {other}")),
    }
}

/// A whole answer; `None` where the daemon is not there, or was killed over it.
fn ask(socket: &PathBuf, name: &str) -> Option<(u16, String)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!(
        "GET /v1/tokens/{name} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() == length).then(|| (status, body.to_owned()))
}
