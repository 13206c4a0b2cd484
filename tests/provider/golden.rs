//! The golden files of the built-in presets: the exact request on the wire, and what every answer
//! known from the vendors means.
//!
//! `tests/golden/PRESET/requests.txt` and `answers.txt` are lists of cases, `=== title`. What stands
//! above `---` is given, what stands below is what comes of it and is compared, or rewritten when
//! `UPDATE_GOLDEN` is set. It is then up to the reader of the diff to say whether that is right.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use crate::asking::Asked;
use tokend::access_token::Issued;
use tokend::failure::Failure;
use tokend::preset::Preset;
use tokend::settings::Endpoint;
use url::Url;

/// An answer that ends a connection without trouble; what it means does not matter.
const ENOUGH: &str = "HTTP/1.1 503 Enough\r\nContent-Length: 0\r\n\r\n";

struct Case {
    title: String,
    given: String,
    expected: String,
}

fn cases(text: &str) -> Vec<Case> {
    let blocks = text.split("=== ").skip(1);
    let case = |block: &str| {
        let (title, rest) = block.split_once('\n').unwrap();
        let (given, expected) = rest.split_once("---\n").unwrap_or((rest, ""));
        Case { title: title.into(), given: given.trim_end().into(), expected: expected.trim_end().into() }
    };
    blocks.map(case).collect()
}

/// Runs the cases of `file` and compares, or writes, what comes of them.
fn compare(preset: &str, file: &str, run: impl Fn(&Arc<Preset>, &Case) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(preset).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let preset = Preset::built_in(preset).unwrap();
    let mut written = text.split("=== ").next().unwrap().to_owned();
    let mut wrong = String::new();
    for case in cases(&text) {
        let Case { title, given, expected } = &case;
        let found = run(&preset, &case).trim_end().to_owned();
        write!(written, "=== {title}\n{given}\n---\n{found}\n\n").unwrap();
        if found != *expected {
            write!(wrong, "\n=== {title}\nexpected:\n{expected}\nfound:\n{found}\n").unwrap();
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        // The other test may be reading it.
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, written.trim_end().to_owned() + "\n").unwrap();
        fs::rename(&fresh, &path).unwrap();
    } else {
        assert!(wrong.is_empty(), "{}:{wrong}", path.display());
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What is sent for the provider table in `case`, and where to.
fn sent(preset: &Arc<Preset>, case: &Case) -> String {
    let (sender, received) = mpsc::channel();
    let port = crate::listener::listen(move |mut stream| {
        sender.send(crate::listener::read_request(&mut stream)).unwrap();
        stream.write_all(ENOUGH.as_bytes()).unwrap();
    });
    let elsewhere = Endpoint::TokenUrl(String::new());
    let described = Asked::of(preset.clone(), &case.given, elsewhere);
    let url = preset.token_url(&described.slot.provider.parameters);
    let url = Url::parse(&url.unwrap_or(None).unwrap_or_else(|| "https://idp.example/token".into())).unwrap();
    let here = format!("http://127.0.0.1:{port}{}", url.path());
    let asked = described.with(|provider| provider.endpoint = Endpoint::TokenUrl(here));
    if let Err(failure @ Failure::NotReady(_)) = block_on(asked.ask()) {
        return format!("not sent: {failure}");
    }
    let request = String::from_utf8(received.recv().unwrap()).unwrap();
    let request = request.replace(&format!("127.0.0.1:{port}"), url.host_str().unwrap());
    format!("{url}\n{}", request.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace("\r\n", "\n"))
}

/// What the answer in `case` means. The provider is the first of the preset's requests.
fn meant(preset: &Arc<Preset>, case: &Case) -> String {
    let (head, body) = case.given.split_once("\n\n").unwrap_or((&case.given, ""));
    let head = head.replace('\n', "\r\n");
    let port = crate::listener::answering(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let endpoint = Endpoint::TokenUrl(format!("http://127.0.0.1:{port}/token?ignored=1"));
    let requests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(&preset.name).join("requests.txt");
    let table = cases(&fs::read_to_string(requests).unwrap()).remove(0).given;
    match block_on(Asked::of(preset.clone(), &table, endpoint).ask()) {
        Ok(issued) => usable(&issued),
        Err(failure) => unusable(&failure),
    }
}

fn usable(issued: &Issued) -> String {
    let mut text = format!("access token {}\ntype {}\n", issued.secret.expose(), issued.token_type);
    let scopes = issued.scopes.as_ref().map_or("as asked".into(), |scopes| scopes.join(" "));
    let lifetime = issued.expires_at.since(issued.issued_at).as_secs_f64();
    write!(text, "scopes {scopes}\nexpires {}, after {lifetime}s\n", issued.expires_at).unwrap();
    for (name, value) in &issued.extra {
        writeln!(text, "extra {name} = {value}").unwrap();
    }
    if let Some(warning) = &issued.warning {
        writeln!(text, "warning {warning}").unwrap();
    }
    text
}

fn unusable(failure: &Failure) -> String {
    let kind = match failure {
        Failure::Unreachable { reach, .. } => format!("unreachable, {reach:?}"),
        Failure::Busy { retry_after: Some(wait), .. } => format!("busy for {wait:?}"),
        Failure::Busy { .. } => "busy".into(),
        Failure::Malformed(_) => "malformed".into(),
        Failure::Refused(refusal) if refusal.credentials => "refused, the credentials".into(),
        Failure::Refused(_) => "refused".into(),
        Failure::NotReady(_) => "not ready".into(),
    };
    let issued = if failure.possibly_issued() { " (possibly issued)" } else { "" };
    format!("{kind}{issued}\n{failure}")
}

#[test]
fn requests_are_sent_as_the_vendors_document_them() {
    for preset in Preset::built_in_names() {
        compare(preset, "requests.txt", sent);
    }
}

#[test]
fn answers_mean_what_the_vendors_document() {
    for preset in Preset::built_in_names() {
        compare(preset, "answers.txt", meant);
    }
}
