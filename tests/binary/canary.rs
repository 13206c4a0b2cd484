//! No secret, no access token and no piece of one is where it does not belong.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::json;
use tokend::demo::standin::{
    CORE_BANKING, Fault, OAUTH2, OPEN_PAYMENTS, PLAIN_ID, VIPPS, VIPPS_PARTNER, VIPPS_SUBSCRIPTION_KEYS, Vendor,
};
use url::form_urlencoded;

use crate::delivery::{delivered, with_all_presets};
use crate::setup::{Daemon, HOUR, Setup};

const ONE_OF_EACH_SLOT: [&str; 7] = ["accounts", "private", "core-bank", "vipps", "partner", "plainid", "oauth"];

/// A piece of this many bytes is too much.
const PIECE: usize = 20;

/// Every piece of what must not be seen.
pub struct Canary(HashSet<Vec<u8>>);

impl Canary {
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let pieces = |shape: String| shape.as_bytes().windows(PIECE).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let pieces: HashSet<_> = texts.into_iter().flat_map(shapes).flat_map(pieces).collect();
        assert!(pieces.len() > 1000);
        Self(pieces)
    }

    #[track_caller]
    pub fn must_not_be_in(&self, place: &str, content: &[u8]) {
        assert!(!content.is_empty(), "{place} is empty: nothing was looked at");
        self.must_not_be_in_any(place, content);
    }

    /// In none of the files below `directory`, but for those that `may` hold secrets.
    #[track_caller]
    pub fn must_not_be_below(&self, directory: &Path, may: &dyn Fn(&Path) -> bool) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() && !may(&path) {
                self.must_not_be_below(&path, may);
            } else if kind.is_file() && !may(&path) {
                self.must_not_be_in_any(&path.display().to_string(), &fs::read(&path).unwrap());
            }
        }
    }

    #[track_caller]
    fn must_not_be_in_any(&self, place: &str, content: &[u8]) {
        if let Some(at) = content.windows(PIECE).position(|piece| self.0.contains(piece)) {
            let around = &content[at.saturating_sub(60)..(at + 80).min(content.len())];
            panic!("{place} holds a secret: …{}…", String::from_utf8_lossy(around));
        }
    }
}

/// `text` as it is, and as it may be sent or dumped.
fn shapes(text: &str) -> Vec<String> {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let hex: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let quoted = serde_json::to_string(text).unwrap();
    let (base64, base64_url) = (BASE64_STANDARD.encode(text), BASE64_URL_SAFE.encode(text));
    let url = form.replace('+', "%20");
    vec![
        text.into(),
        url.to_lowercase(),
        url,
        form.to_lowercase(),
        form,
        hex.to_uppercase(),
        hex,
        quoted,
        base64,
        base64_url,
    ]
}

fn secret_of(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenPayments => OPEN_PAYMENTS.1,
        Vendor::CoreBanking => CORE_BANKING.1,
        Vendor::Vipps => VIPPS.1,
        Vendor::VippsPartner => VIPPS_PARTNER.1,
        Vendor::PlainId => PLAIN_ID.1,
        Vendor::OAuth2 => OAUTH2.1,
    }
}

/// What goes wrong, one after the other; where it can, it repeats the secret that was sent.
fn faults(vendor: Vendor) -> Vec<Fault> {
    let text = format!("we do not know {}!", secret_of(vendor));
    let echo = json!({
        "error": "invalid_client", "error_description": text, "message": text,
        "errors": [{ "errorCode": "UNKNOWN", "errorMessage": text }],
    });
    let misplaced = json!({
        "error": secret_of(vendor), "errorCode": secret_of(vendor), "error_uri": text,
        "errors": [{ "errorCode": secret_of(vendor) }],
    });
    let granted = json!({
        "access_token": "worth-nothing", "token_type": secret_of(vendor), "scope": secret_of(vendor), "expires_in": 60,
    });
    vec![
        Fault::Status(401, misplaced.to_string()),
        Fault::Status(200, granted.to_string()),
        Fault::Hang,
        Fault::Drip(Duration::from_millis(50)),
        Fault::Html,
        Fault::Endless,
        Fault::ResetBefore,
        Fault::Unavailable(None),
        Fault::RefuseCredentials,
        Fault::Half,
        Fault::LineFeed,
        Fault::ExpiresIn(json!("3600abc")),
        Fault::ResetAfter,
        Fault::Redirect(format!("https://elsewhere.example/?key={}", VIPPS_SUBSCRIPTION_KEYS[0])),
        Fault::Status(400, echo.to_string()),
        Fault::Status(503, echo.to_string()),
        Fault::Status(200, json!({ "access_token": secret_of(vendor) }).to_string()),
    ]
}

/// No time for those who hang.
const TALKATIVE_AND_HASTY: [(&str, &str); 7] = [
    ("TOKEND_LOG__LEVEL", "debug,hyper=debug,reqwest=debug,rustls=debug"),
    ("TOKEND_PROVIDERS__OP__TIMEOUT", "500ms"),
    ("TOKEND_PROVIDERS__CORE__TIMEOUT", "500ms"),
    ("TOKEND_PROVIDERS__VIPPS__TIMEOUT", "500ms"),
    ("TOKEND_PROVIDERS__PARTNER__TIMEOUT", "500ms"),
    ("TOKEND_PROVIDERS__PLAINID__TIMEOUT", "500ms"),
    ("TOKEND_PROVIDERS__OAUTH__TIMEOUT", "500ms"),
];

/// What is said while everything goes wrong, one thing after the other.
fn through_all_faults(setup: &Setup, daemon: &Daemon<'_>) -> String {
    let mut answers = String::new();
    for round in 0..faults(Vendor::OAuth2).len() {
        for vendor in Vendor::ALL {
            setup.standin.fault(vendor, faults(vendor)[round].clone());
        }
        for name in ONE_OF_EACH_SLOT {
            let answer = daemon.post(&format!("/v1/tokens/{name}/refresh"));
            answers.extend([answer.head, answer.body]);
        }
        answers += &setup.tokend(&["status"]).out;
        answers += &setup.tokend(&["status", "--json"]).out;
    }
    for vendor in Vendor::ALL {
        setup.standin.clear(vendor);
    }
    answers
}

/// What is said while the state cannot be written.
fn without_state(setup: &Setup, daemon: &Daemon<'_>) -> String {
    let (state, aside) = (setup.path("state/state.db"), setup.path("state/aside"));
    fs::rename(&state, &aside).unwrap();
    let refreshed = daemon.post("/v1/tokens/oauth/refresh");
    let status = setup.tokend(&["status"]);
    assert!(status.out.contains("the state cannot be written since"), "{status:?}");
    fs::rename(&aside, &state).unwrap();
    refreshed.body + &status.out
}

#[test]
fn no_secret_and_no_token_is_in_logs_status_state_or_process() {
    let setup = with_all_presets(HOUR);
    let daemon = setup.run_with(&TALKATIVE_AND_HASTY);
    daemon.wait_ready();
    let mut seen: HashSet<String> = delivered(&setup).into_values().collect();
    let mut answers = through_all_faults(&setup, &daemon);
    for name in ONE_OF_EACH_SLOT {
        let answer = daemon.post(&format!("/v1/tokens/{name}/refresh"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    seen.extend(delivered(&setup).into_values());
    answers += &without_state(&setup, &daemon);
    for arguments in [
        &["pause", "oauth"][..],
        &["refresh", "oauth"],
        &["fetch", "oauth"],
        &["resume", "oauth"],
        &["reload"],
        &["check"],
        &["plan", "--json"],
        &["get", "nobody"],
    ] {
        let said = setup.tokend(arguments);
        answers.extend([said.out, said.err]);
    }
    seen.extend(delivered(&setup).into_values());
    let fetched = setup.tokend(&["fetch", "oauth"]);
    for path in ["/v1/tokens", "/v1/status", "/readyz", "/metrics"] {
        answers += &daemon.get(path).body;
    }

    assert!(answers.contains("we do not know"), "what providers say is told");
    let texts = Vendor::ALL.map(secret_of).into_iter().chain(VIPPS_SUBSCRIPTION_KEYS);
    let canary = Canary::new(texts.chain(seen.iter().map(String::as_str)));
    canary.must_not_be_in("the log", setup.log().as_bytes());
    canary.must_not_be_in("an answer", answers.as_bytes());
    canary.must_not_be_in("what fetch says", fetched.out().as_bytes());
    for file in ["cmdline", "environ"] {
        let content = fs::read(format!("/proc/{}/{file}", daemon.pid())).unwrap();
        canary.must_not_be_in(file, &content);
    }
    let state = || fs::read_dir(setup.path("state")).unwrap().map(|file| file.unwrap().path());
    for file in state().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("state.db")) {
        if fs::metadata(&file).unwrap().len() > 0 {
            canary.must_not_be_in(&file.display().to_string(), &fs::read(&file).unwrap());
        }
    }
    assert!(setup.log().contains("DEBUG"), "the level was taken");
    daemon.stop();
    canary.must_not_be_in("the state at rest", &fs::read(setup.path("state/state.db")).unwrap());
}
