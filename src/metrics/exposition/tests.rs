//! The text of a scrape: exact for one slot, and what is absent.

use super::*;
use crate::config::Config;
use crate::fixtures::{answer, at, budget, config, delivered, own_slot, plain_slot, secs, shared_slot, unreachable};
use crate::keeper::Keeper;
use crate::ledger::Entry;
use crate::metrics::counts::Counts;
use crate::name::{Name, SinkId};
use crate::slot::Slot;

/// What is told `seconds` after the start of `slots`, of which `entries` are known.
fn told(slots: &[Slot], entries: Vec<Entry>, counts: &Counts, seconds: i64) -> String {
    exposition(&config(slots), entries, counts, seconds).text(Format::Text)
}

fn exposition(config: &std::sync::Arc<Config>, entries: Vec<Entry>, counts: &Counts, seconds: i64) -> Exposition {
    let keeper = Keeper::new(std::sync::Arc::clone(config), entries, at(seconds));
    Exposition {
        readings: keeper.readings(at(seconds)),
        tally: counts.tally(),
        reloads: ReloadTally { taken: 2, unchanged: 0, refused: 1 },
        last_reload_successful: false,
        started: at(0),
    }
}

/// The samples of `metric`.
fn samples<'t>(text: &'t str, metric: &str) -> Vec<&'t str> {
    let of_it = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(of_it).collect()
}

#[test]
fn a_slot_is_told_in_full_with_counters_at_zero_before_the_first_event() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(3, 3600));
    let entry = delivered(&slot, at(0), secs(3600));
    let text = told(&[slot], vec![entry], &Counts::default(), 60);
    let (of_tokend, of_process): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("tokend_"));
    let expected = include_str!("expected.txt").replace("VERSION", env!("CARGO_PKG_VERSION"));
    assert_eq!(of_tokend.join("\n") + "\n", expected);
    for name in ["start_time_seconds", "resident_memory_bytes", "open_fds", "max_fds", "cpu_seconds_total"] {
        let sample = format!("process_{name} ");
        assert!(of_process.iter().any(|line| line.starts_with(&sample)), "{name}: {text}");
    }
}

#[test]
fn what_was_never_held_has_no_expiry_and_what_expired_is_not_valid() {
    let slots = [own_slot("never"), own_slot("expired")];
    let entry = delivered(&slots[1], at(0), secs(3600));
    let text = told(&slots, vec![entry], &Counts::default(), 7200);
    assert_eq!(
        samples(&text, "tokend_token_expiry_timestamp_seconds"),
        ["tokend_token_expiry_timestamp_seconds{token=\"expired\"} 1800003600.0"]
    );
    assert_eq!(
        samples(&text, "tokend_token_valid"),
        ["tokend_token_valid{token=\"never\"} 0", "tokend_token_valid{token=\"expired\"} 0"]
    );
    assert_eq!(samples(&text, "tokend_token_generation")[0], "tokend_token_generation{token=\"never\"} 0");
    assert_eq!(samples(&text, "tokend_sink_current")[0], "tokend_sink_current{token=\"never\",sink=\"/never\"} 0");
    assert_eq!(samples(&text, "tokend_slot_budget_limit"), [""; 0]);
}

#[test]
fn a_token_whose_scopes_were_not_granted_is_not_valid_and_has_no_expiry() {
    let narrow = shared_slot("bank", &[("a", &["a"])]);
    let entry = delivered(&narrow, at(0), secs(3600));
    let wide = shared_slot("bank", &[("a", &["a"]), ("b", &["b"])]);
    let text = told(&[wide], vec![entry], &Counts::default(), 60);
    assert_eq!(
        samples(&text, "tokend_token_valid"),
        ["tokend_token_valid{token=\"a\"} 1", "tokend_token_valid{token=\"b\"} 0"]
    );
    assert_eq!(samples(&text, "tokend_token_expiry_timestamp_seconds").len(), 1);
}

#[test]
fn failures_are_counted_in_a_row_and_a_pause_has_no_next_refresh() {
    let slots = [own_slot("failing"), own_slot("paused")];
    let mut failing = Entry::new(slots[0].identity.clone());
    answer(&slots[0], &mut failing, Err(unreachable()), at(0));
    answer(&slots[0], &mut failing, Err(unreachable()), at(10));
    let mut paused = delivered(&slots[1], at(0), secs(3600));
    paused.paused = Some(at(0));
    let text = told(&slots, vec![failing, paused], &Counts::default(), 11);
    assert_eq!(
        samples(&text, "tokend_slot_consecutive_failures"),
        [
            "tokend_slot_consecutive_failures{slot=\"cloud/failing\"} 2",
            "tokend_slot_consecutive_failures{slot=\"cloud/paused\"} 0"
        ]
    );
    let next = samples(&text, "tokend_next_refresh_timestamp_seconds");
    assert!(next.len() == 1 && next[0].contains("cloud/failing"), "{next:?}");
}

#[test]
fn what_left_the_configuration_is_counted_no_more_and_told_no_more() {
    let (stays, leaves) = (own_slot("stays"), own_slot("leaves"));
    let counts = Counts::default();
    for slot in [&stays, &leaves] {
        counts.issue(&slot.id, Issue::Issued);
        counts.delivery(&slot.tokens[0].sinks[0].id, Delivery::Failed);
    }
    counts.took(&Name::parse("gone").unwrap(), secs(1));
    let after = config(std::slice::from_ref(&stays));
    counts.retain(&after);
    let text = exposition(&after, Vec::new(), &counts, 0).text(Format::Text);
    assert!(!text.contains("leaves") && !text.contains("gone"), "{text}");
    assert!(text.contains("tokend_issues_total{slot=\"cloud/stays\",result=\"issued\"} 1"), "{text}");
    assert!(text.contains("tokend_deliveries_total{sink=\"/stays\",result=\"failed\"} 1"), "{text}");
    let back = exposition(&config(&[stays, leaves]), Vec::new(), &counts, 0).text(Format::Text);
    assert!(back.contains("tokend_issues_total{slot=\"cloud/leaves\",result=\"issued\"} 0"), "{back}");
}

#[test]
fn how_long_providers_take_is_a_histogram() {
    let counts = Counts::default();
    for milliseconds in [40, 400, 99_000] {
        counts.took(&Name::parse("cloud").unwrap(), std::time::Duration::from_millis(milliseconds));
    }
    let text = told(&[own_slot("a")], Vec::new(), &counts, 0);
    assert!(text.contains("# TYPE tokend_issue_duration_seconds histogram\n"), "{text}");
    let buckets = samples(&text, "tokend_issue_duration_seconds_bucket");
    let ends: Vec<&str> = buckets.iter().map(|line| line.split_once("le=").unwrap().1).collect();
    assert_eq!(ends[0], "\"0.05\",provider=\"cloud\"} 1");
    assert_eq!(ends[3], "\"0.5\",provider=\"cloud\"} 2");
    assert_eq!(*ends.last().unwrap(), "\"+Inf\",provider=\"cloud\"} 3");
    assert_eq!(
        samples(&text, "tokend_issue_duration_seconds_count"),
        ["tokend_issue_duration_seconds_count{provider=\"cloud\"} 3"]
    );
}

#[test]
fn a_path_is_escaped_as_prometheus_wants_it() {
    let mut slot = own_slot("a");
    slot.tokens[0].sinks[0].id = SinkId::new(r#"/run/"x"\y"#);
    let text = told(&[slot], Vec::new(), &Counts::default(), 0);
    assert_eq!(samples(&text, "tokend_sink_current"), [r#"tokend_sink_current{token="a",sink="/run/\"x\"\\y"} 0"#]);
}

#[test]
fn open_metrics_tells_units_and_ends() {
    let slot = plain_slot();
    let text = exposition(&config(&[slot]), Vec::new(), &Counts::default(), 0).text(Format::OpenMetrics);
    assert!(text.contains("# TYPE tokend_issues counter\ntokend_issues_total{"), "{text}");
    assert!(text.contains("# UNIT tokend_token_expiry_timestamp_seconds seconds\n"), "{text}");
    assert!(text.contains("# TYPE tokend_build info\ntokend_build_info{version="), "{text}");
    assert!(text.ends_with("# EOF\n") && !text.contains("_total_total"), "{text}");
}

#[test]
#[ignore = "tells a figure; run it in the release profile"]
fn ten_thousand_tokens_are_told() {
    let slots: Vec<Slot> = (0..10_000).map(|n| own_slot(&format!("token-{n}"))).collect();
    let entries = slots.iter().map(|slot| delivered(slot, at(0), secs(3600))).collect();
    let keeper = Keeper::new(config(&slots), entries, at(60));
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let readings = keeper.readings(at(60));
        let read = began.elapsed();
        let exposition = Exposition {
            readings,
            tally: Counts::default().tally(),
            reloads: ReloadTally::default(),
            last_reload_successful: true,
            started: at(0),
        };
        let text = exposition.text(Format::Text);
        println!("readings {read:?}, all {:?}, {} bytes, {} lines", began.elapsed(), text.len(), text.lines().count());
    }
}
