//! The commands beside the daemon: get, refresh, fetch, plan, presets, demo.

use std::fs::{self, File, OpenOptions};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokend::demo::standin::{Fault, Vendor};

use crate::setup::{Setup, wait_for, wait_until};

const CORPORATE: &str = "psu_context = \"corporate\"\nscopes = [\"accountinformation\"]";

fn with_exclusive() -> Setup {
    let setup = Setup::new();
    setup.configure(&[setup.open_payments("op", ""), setup.token("shared", "op", CORPORATE)]);
    setup
}

#[test]
fn get_prints_a_token_in_every_format() {
    let setup = Setup::with_tokens(&["api-1"]);
    let _daemon = setup.run_ready();
    let held = setup.read("tokens/api-1").unwrap();
    assert_eq!(setup.tokend(&["get", "api-1"]).out(), held);
    let header = setup.tokend(&["get", "api-1", "--format", "header"]);
    assert_eq!(header.out(), format!("Authorization: Bearer {held}\n"));
    let json = setup.tokend(&["get", "api-1", "--format", "json"]).json();
    assert_eq!(json["access_token"].as_str(), Some(held.as_str()));
    let env = setup.tokend(&["get", "api-1", "--format", "env"]);
    assert!(env.out().starts_with("API_1_ACCESS_TOKEN=") && env.out().contains(&held), "{}", env.out());
    assert_eq!(env.err, "");
}

#[test]
fn get_prints_the_scheme_that_the_preset_names() {
    let setup = Setup::new();
    let preset = "[presets.own]\n[presets.own.parameters]\nclient_id = { required = true }\n\
                  client_secret = { required = true, secret = true }\n[presets.own.request]\nurl = \"https://idp.example/token\"\n\
                  client_auth = \"client_secret_basic\"\n\
                  form = [{ name = \"grant_type\", value = \"client_credentials\" }]\n\
                  [presets.own.answer]\nscheme = \"Token\"\n";
    let provider = setup.oauth2("p", "").replace("= \"oauth2\"", "= \"own\"");
    setup.configure(&[preset.to_owned(), provider, setup.token("a", "p", "")]);
    let _daemon = setup.run_ready();
    let said = setup.tokend(&["get", "a", "--format", "header"]);
    assert_eq!(said.out(), format!("Authorization: Token {}\n", setup.read("tokens/a").unwrap()));
}

#[test]
fn refresh_asks_for_a_newer_one() {
    let setup = Setup::with_tokens(&["a"]);
    let _daemon = setup.run_ready();
    let said = setup.tokend(&["refresh", "a"]);
    assert!(said.out().starts_with("a: generation 2, expires at 20"), "{said:?}");
    assert_eq!(setup.issued(Vendor::OAuth2), 2);
}

#[test]
fn fetch_asks_once_and_explains_without_showing_the_token() {
    let setup = Setup::with_tokens(&["a"]);
    let said = setup.tokend(&["fetch", "a"]);
    let out = said.out();
    assert!(out.contains("/oauth2/token") && out.contains("token_type    Bearer"), "{out}");
    assert!(out.contains("characters (--show-token prints it)") && out.contains("1h after"), "{out}");
    assert!(!out.contains("eyJ"), "{out}");
    let shown = setup.tokend(&["fetch", "a", "--show-token"]);
    let access_token = shown.out().lines().find_map(|line| line.strip_prefix("access_token  ")).unwrap();
    assert!(setup.standin.is_active(access_token));
    assert!(!setup.path("state").exists() && setup.read("tokens/a").is_none(), "it delivers nothing");
    setup.standin.fault(Vendor::OAuth2, Fault::RefuseCredentials);
    setup.tokend(&["fetch", "a"]).must_fail(75, &["a (a/a)", "invalid_client"]);
}

#[test]
fn fetch_of_an_exclusive_slot_keeps_what_came_and_asks_for_nothing_that_is_held() {
    let setup = with_exclusive();
    let first = setup.tokend(&["fetch", "shared", "--show-token"]);
    assert!(first.out().contains("op/corporate"), "{first:?}");
    let second = setup.tokend(&["fetch", "shared", "--show-token"]);
    assert!(second.out().contains("the provider was not asked"), "{second:?}");
    let daemon = setup.run_ready();
    assert!(first.out().contains(&setup.read("tokens/shared").unwrap()));
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
    setup.tokend(&["fetch", "shared"]).must_fail(75, &["tokend refresh shared", &daemon.pid().to_string()]);
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
}

#[test]
fn plan_shows_who_shares_what_and_asks_nobody() {
    let setup = with_exclusive();
    let said = setup.tokend(&["plan"]);
    let out = said.out();
    for word in ["op/corporate", "shared", "accountinformation", "at most two an hour", "the only one that asks"] {
        assert!(out.contains(word), "{word:?} is missing in:\n{out}");
    }
    let json = setup.tokend(&["plan", "--json", "--for", "2h"]).json();
    let slot = &json["slots"][0];
    assert_eq!((slot["slot"].as_str(), slot["tokens"][0].as_str()), (Some("op/corporate"), Some("shared")), "{json}");
    assert!(slot["refreshes"].as_array().unwrap().len() >= 2, "{json}");
    assert!(setup.standin.journal().entries().is_empty() && !setup.path("state").exists());
    setup.tokend(&["plan", "--for", "soon"]).must_fail(64, &["soon"]);
}

#[test]
fn presets_are_listed_and_shown() {
    let setup = Setup::new();
    let list = setup.tokend(&["presets"]);
    for vendor in Vendor::ALL {
        assert!(list.out().contains(vendor.preset()), "{list:?}");
        let shown = setup.tokend(&["presets", vendor.preset()]);
        assert!(shown.out().contains("client_id") && shown.out().contains("client_secret"), "{shown:?}");
    }
    setup.tokend(&["presets", "nobody"]).must_fail(64, &["nobody", "open-payments"]);
}

#[test]
fn the_demo_runs_without_a_terminal_and_leaves_nothing_behind() {
    let setup = Setup::new();
    let scratch = setup.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let out = File::create(setup.path("out")).unwrap();
    let mut command = setup.command(&["demo"]);
    command.env("TMPDIR", &scratch).stdin(Stdio::null()).stdout(out);
    let mut child = Killed(command.spawn().unwrap());
    let shows = |words: &str| setup.read("out").unwrap().contains(words);
    wait_until("tokens are delivered", || {
        ["payments-corporate", "accounts-private", "corebank", "report", "plainid"].iter().all(|name| shows(name))
    });
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    let status = wait_for("the demo ends", || child.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(shows("What the stand-ins saw:") && shows("open-payments") && shows("Its files are removed."));
    assert!(!shows("\x1b["), "colours are for terminals");
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

#[test]
fn a_demo_in_a_directory_is_looked_at_from_another_terminal_and_stays() {
    let setup = Setup::new();
    let dir = setup.path("demo");
    let mut command = setup.command(&["demo", "--dir", dir.to_str().unwrap()]);
    let mut child = Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let socket = dir.join("tokend.sock").display().to_string();
    let json = wait_for("all is well", || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tokend"));
        let output = command.args(["status", "--json", "--socket", &socket]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).unwrap())
    });
    assert_eq!(json["counts"]["valid"], json["counts"]["tokens"]);
    kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    assert_eq!(wait_for("the demo ends", || child.0.try_wait().unwrap()).code(), Some(0));
    assert!(dir.join("tokend.toml").exists());
    setup.write("secrets/mine", "mine");
    let output = setup.command(&["demo", "--dir", setup.path("secrets").to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert!(said.contains("secrets holds something that no demo wrote: name an empty directory"), "{said}");
}

#[test]
fn what_nobody_hears_ends_with_its_own_code() {
    let setup = Setup::new();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (arguments, code) in [(&["plan"][..], 78), (&["run"], 78), (&["get", "api"], 69)] {
        let status = setup.command(arguments).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
    let status = setup.command(&["presets"]).stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(73), "the result could not be written");
}

#[test]
fn a_demo_that_cannot_be_shown_ends() {
    let setup = Setup::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut demo = setup.command(&["demo"]).stdout(full).stderr(Stdio::null()).spawn().unwrap();
    let ended = wait_for("the demo ends", || demo.try_wait().unwrap());
    assert_eq!(ended.code(), Some(73));
}

/// A program that does not outlive its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
