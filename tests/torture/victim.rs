//! The daemon that is killed again and again: what it keeps fresh, and for whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokend::demo::standin::{Target, Vendor};

use crate::setup::Setup;

/// How long the tokens live that are renewed while it is killed.
pub const SHORT: Duration = Duration::from_secs(2);
/// The lead that follows from it where the slot is exclusive (L7).
pub const SHORT_LEAD: Duration = Duration::from_millis(200);

/// How a file says its token.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    Raw,
    Header,
    Json,
    Env,
}

/// A file as its readers must find it, always.
#[derive(Clone, Debug)]
pub struct Watched {
    pub path: PathBuf,
    pub format: Format,
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    /// Whose access token it holds.
    pub account: Target,
}

const FILES: [(&str, Format, u32, &str); 7] = [
    ("accounts", Format::Raw, 0o640, "corporate"),
    ("accounts.json", Format::Json, 0o600, "corporate"),
    ("payments", Format::Header, 0o644, "corporate"),
    ("private", Format::Raw, 0o600, "private"),
    ("short.json", Format::Json, 0o604, "short"),
    ("short", Format::Raw, 0o600, "short"),
    ("own", Format::Env, 0o600, "own"),
];

/// Tokens that `slot` names.
pub fn account(slot: &str) -> Target {
    match slot {
        "corporate" | "private" => Target::client(Vendor::OpenPayments, "op").context(slot),
        other => Target::client(Vendor::OAuth2, other),
    }
}

/// Names on the socket, and whose access token each has.
pub const TOKENS: [(&str, &str); 5] =
    [("accounts", "corporate"), ("payments", "corporate"), ("private", "private"), ("short", "short"), ("own", "own")];

pub struct Victim {
    pub setup: Setup,
    pub files: Vec<Watched>,
}

impl Victim {
    /// A slot that two tokens share, and one that nobody refreshes, live for an hour; an exclusive
    /// and another one are renewed all the time.
    pub fn new() -> Self {
        let setup = Setup::new();
        setup.standin.set_lifetime(Vendor::OAuth2, SHORT);
        let people = Others::of_this_user();
        let files: Vec<Watched> = FILES.iter().map(|&file| watched(&setup, &people, file)).collect();
        let sinks = |names: &[&str]| sinks(&files, names);
        let corporate = |scope: &str| format!("psu_context = \"corporate\"\nscopes = [\"{scope}\"]");
        let token = |name: &str, provider: &str, keys: &str, files: &[&str]| {
            format!("[tokens.{name}]\nprovider = \"{provider}\"\n{keys}\n{}\n", sinks(files))
        };
        setup.configure(&[
            setup.open_payments("op", "budget = { issues = 1000000, per = \"1h\" }"),
            token("accounts", "op", &corporate("accountinformation"), &["accounts", "accounts.json"]),
            token("payments", "op", &corporate("paymentinitiation"), &["payments"]),
            token("private", "op", "psu_context = \"private\"\nscopes = [\"accountinformation\"]", &["private"]),
            setup.oauth2("short", "exclusive = true"),
            token("short", "short", "", &["short", "short.json"]),
            setup.oauth2("own", ""),
            token("own", "own", "", &["own"]),
        ]);
        Self { setup, files }
    }

    /// Files that were left half written, by name.
    pub fn litter(&self) -> BTreeSet<String> {
        let names = fs::read_dir(self.setup.path("tokens")).unwrap().map(|file| file.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with('.')).collect()
    }

    /// Names in the state directory.
    pub fn state_files(&self) -> Vec<String> {
        let names = fs::read_dir(self.setup.path("state")).unwrap().map(|file| file.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }
}

/// Whom files are given to, where that can be done.
struct Others {
    me: (u32, u32),
    other: (u32, u32),
}

impl Others {
    fn of_this_user() -> Self {
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { me, other: if me.0 == 0 { (23_456, 34_567) } else { me } }
    }
}

fn watched(setup: &Setup, people: &Others, (name, format, mode, slot): (&str, Format, u32, &str)) -> Watched {
    let (owner, group) = if mode == 0o640 { people.other } else { people.me };
    let path = setup.path("tokens").join(name);
    Watched { path, format, mode, owner, group, account: account(slot) }
}

fn sinks(files: &[Watched], names: &[&str]) -> String {
    let sink = |name: &&str| {
        let file = files.iter().find(|file| file.path.ends_with(name)).unwrap();
        let format = format!("{:?}", file.format).to_lowercase();
        let (path, mode, owner, group) = (file.path.display(), file.mode, file.owner, file.group);
        format!(
            "{{ file = \"{path}\", format = \"{format}\", mode = \"{mode:04o}\", owner = \"{owner}\", group = \"{group}\" }}"
        )
    };
    format!("sinks = [{}]", names.iter().map(sink).collect::<Vec<_>>().join(", "))
}
