//! What Prometheus is told, on the socket and over TCP, and what is shipped for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use tokend::demo::standin::{Fault, Vendor};

use crate::setup::{Answer, Setup, free_address, skip, wait_for, wait_until};

/// The tokens `names`, each of a provider of its own, and metrics on the address that is given back.
fn with_metrics(names: &[&str]) -> (Setup, SocketAddr) {
    let (setup, address) = (Setup::new(), free_address());
    configure(&setup, address, names);
    (setup, address)
}

fn configure(setup: &Setup, address: SocketAddr, names: &[&str]) {
    let mut parts = vec![format!("metrics = \"{address}\"\n")];
    parts.extend(names.iter().map(|name| setup.oauth2(name, "") + &setup.token(name, name, "")));
    setup.configure(&parts);
}

/// What is told over TCP.
fn scrape(address: SocketAddr) -> String {
    let answer = wait_for("metrics are served", || Answer::over_tcp(address, "/metrics", "").ok());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[track_caller]
fn assert_told(text: &str, samples: &[&str]) {
    for sample in samples {
        assert!(text.lines().any(|line| line == *sample), "{sample} is missing in\n{text}");
    }
}

#[test]
fn the_socket_and_the_address_tell_the_same() {
    let (setup, address) = with_metrics(&["a"]);
    let daemon = setup.run_ready();
    daemon.get("/v1/tokens/a");
    daemon.get("/v1/tokens/nobody");
    let on_socket = daemon.get("/metrics");
    assert_eq!(on_socket.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let file = setup.path("tokens/a");
    for text in [&on_socket.body, &scrape(address)] {
        assert_told(
            text,
            &[
                "tokend_token_valid{token=\"a\"} 1",
                "tokend_token_generation{token=\"a\"} 1",
                &format!("tokend_sink_current{{token=\"a\",sink=\"{}\"}} 1", file.display()),
                "tokend_issues_total{slot=\"a/a\",result=\"issued\"} 1",
                "tokend_issues_total{slot=\"a/a\",result=\"refused\"} 0",
                &format!("tokend_deliveries_total{{sink=\"{}\",result=\"delivered\"}} 1", file.display()),
                "tokend_issue_duration_seconds_count{provider=\"a\"} 1",
                "tokend_reads_total{result=\"served\"} 1",
                "tokend_reads_total{result=\"unknown\"} 1",
                "tokend_config_last_reload_successful 1",
                "tokend_state_writable 1",
                &format!("tokend_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
            ],
        );
        assert!(!text.contains(&setup.read("tokens/a").unwrap()), "an access token is told");
    }
    let open = daemon.ask("GET", "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{open:?}");
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
}

#[test]
fn over_tcp_there_are_metrics_and_probes_and_nothing_else() {
    let (setup, address) = with_metrics(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::Hang);
    let _daemon = setup.run();
    scrape(address);
    let get = |path: &str| Answer::over_tcp(address, path, "").unwrap().status;
    assert_eq!((get("/healthz"), get("/readyz")), (200, 503));
    assert_eq!((get("/v1/status"), get("/v1/tokens/a"), get("/")), (404, 404, 404));
    assert_eq!(Answer::of_method(address, "POST", "/metrics", "Content-Length: 0\r\n").unwrap().status, 405);
}

#[test]
fn an_address_that_others_can_reach_is_noted() {
    let (setup, address) = with_metrics(&["a"]);
    let noted = |address: &str| {
        configure(&setup, address.parse().unwrap(), &["a"]);
        setup.tokend(&["check"]).out().contains("daemon.metrics: who can reach")
    };
    assert!(!noted(&address.to_string()) && !noted("[::1]:9464"));
    assert!(noted("0.0.0.0:9464") && noted("[::]:9464"));
}

#[test]
fn a_port_that_is_taken_keeps_no_token_from_being_refreshed() {
    let (setup, address) = with_metrics(&["a"]);
    let holder = TcpListener::bind(address).unwrap();
    let daemon = setup.run_ready();
    let problem = wait_for("status tells it", || daemon.status().metrics_problem);
    assert!(problem.contains(&address.to_string()) && problem.contains("daemon.metrics"), "{problem}");
    assert!(setup.log().contains("metrics are not served"), "{}", setup.log());
    assert!(setup.tokend(&["status"]).out().contains(&problem));
    drop(holder);
    assert_told(&scrape(address), &["tokend_token_valid{token=\"a\"} 1"]);
    assert_eq!(daemon.status().metrics_problem, None);
}

#[test]
fn what_leaves_the_configuration_leaves_no_series_and_the_address_stays_until_a_restart() {
    let (setup, address) = with_metrics(&["a", "b"]);
    let daemon = setup.run_ready();
    assert!(scrape(address).contains("\"b\""));
    let other = free_address();
    configure(&setup, other, &["a"]);
    setup.tokend(&["reload"]).out();
    let text = scrape(address);
    assert!(!text.contains("\"b\"") && !text.contains("\"b/b\"") && !text.contains("tokens/b\""), "{text}");
    assert_told(&text, &["tokend_config_reloads_total{result=\"taken\"} 1"]);
    assert_eq!(daemon.status().config.unwrap().restart_needed, ["daemon.metrics"]);

    setup.write("tokend.toml", "nonsense");
    setup.tokend(&["reload"]).must_fail(78, &["not TOML"]);
    assert_told(&scrape(address), &["tokend_config_last_reload_successful 0"]);
}

#[test]
fn what_went_wrong_is_counted_by_what_it_means() {
    let (setup, address) = with_metrics(&["refused", "away"]);
    setup.standin.accept_only(Vendor::OAuth2, "refused", "another secret");
    let daemon = setup.run();
    daemon.wait_failing("refused");
    let counted = |slot: &str, result: &str| {
        let sample = format!("tokend_issues_total{{slot=\"{slot}\",result=\"{result}\"}} ");
        let text = scrape(address);
        text.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<u64>().ok()).unwrap()
    };
    assert!(counted("refused/refused", "refused") > 0);
    assert_eq!(counted("refused/refused", "issued"), 0);
    assert_told(&scrape(address), &["tokend_token_valid{token=\"refused\"} 0"]);
    assert!(!scrape(address).contains("tokend_slot_consecutive_failures{slot=\"refused/refused\"} 0"));

    let tokens = setup.path("tokens");
    wait_until("the other is delivered", || setup.read("tokens/away").is_some());
    fs::remove_dir_all(&tokens).unwrap();
    assert_eq!(daemon.post("/v1/tokens/away/refresh").status, 200);
    let failed = format!("tokend_deliveries_total{{sink=\"{}\",result=\"failed\"}} ", tokens.join("away").display());
    wait_until("the failed delivery is counted", || {
        let text = scrape(address);
        text.lines().any(|line| line.strip_prefix(&failed).is_some_and(|count| count != "0"))
    });
}

#[test]
fn promtool_finds_nothing_wrong_with_a_scrape() {
    let (setup, address) = with_metrics(&["a"]);
    let _daemon = setup.run_ready();
    let text = scrape(address);
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => return skip(&format!("promtool cannot be started: {error}")),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{text}");
}

#[test]
fn dashboard_and_alert_rules_name_only_metrics_that_are_told() {
    let (setup, address) = with_metrics(&["a"]);
    // A budget, so that its metrics are there.
    let provider = setup.oauth2("b", "budget = { issues = 3, per = \"1h\" }");
    let text = setup.read("tokend.toml").unwrap() + &provider + &setup.token("b", "b", "");
    setup.write_config(&text);
    let _daemon = setup.run_ready();
    let scraped = scrape(address);
    let told: BTreeSet<&str> = scraped
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for file in ["grafana/tokend.json", "prometheus/tokend.rules.yml", "prometheus/tokend.rules.test.yml"] {
        let path = format!("{}/packaging/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).unwrap();
        if file.starts_with("grafana/") {
            let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
        }
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: BTreeSet<&str> =
            words.filter(|word| word.starts_with("tokend_") || word.starts_with("process_")).collect();
        assert!(named.len() > 5, "{file}: {named:?}");
        let unknown: Vec<&&str> = named.difference(&told).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, of which a scrape has none:\n{scraped}");
    }
}
