//! The preset language: what a preset of the operator's own can say, and what is wrong with one.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, proptest};
use serde_json::json;
use tokend::access_token::Issued;
use tokend::failure::Failure;
use tokend::preset::{Answer, Asking, Exclusive, Parameters, Preset, Secrets};
use tokend::secret::Secret;
use tokend::settings::Budget;
use tokend::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_795_244_400);

fn preset(text: &str) -> Preset {
    Preset::from_table("mine", &text.parse().unwrap()).unwrap()
}

/// All problems of a preset, each as `path: text`.
fn problems(text: &str) -> Vec<String> {
    let found = Preset::from_table("mine", &text.parse().unwrap()).unwrap_err();
    found.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.text)).collect()
}

fn parameters(value: serde_json::Value) -> Parameters {
    serde_json::from_value(value).unwrap()
}

fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).into()))).collect()
}

fn asking<'a>(parameters: &'a Parameters, secrets: &'a Secrets) -> Asking<'a> {
    Asking {
        token_url: "https://idp.example/token",
        parameters,
        secrets,
        others: &[],
        scopes: &[],
        context: None,
        ttl: None,
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.into(), date: None, retry_after: None, location_host: None }
}

fn read(preset: &Preset, status: u16, body: &str) -> Result<Issued, Failure> {
    let (parameters, secrets) = (Parameters::new(), Secrets::new());
    preset.read(&asking(&parameters, &secrets), &answer(status, body), NOW, NOW)
}

fn lifetime(issued: &Issued) -> Duration {
    issued.expires_at.since(issued.issued_at)
}

#[test]
fn every_built_in_preset_can_be_read_and_says_what_it_is() {
    for name in Preset::built_in_names() {
        let preset = Preset::built_in(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(preset.name, *name);
        assert!(!preset.description.is_empty() && preset.source.starts_with("https://"), "{name}");
        assert!(preset.parameters.values().all(|parameter| !parameter.description.is_empty()), "{name}");
        assert!(Preset::built_in_text(name).unwrap().contains(&preset.description), "{name}");
    }
    assert!(Preset::built_in("unknown").is_none());
}

#[test]
fn open_payments_keeps_one_active_token_per_psu_context() {
    let preset = Preset::built_in("open-payments").unwrap();
    assert_eq!(preset.context.exclusive, Exclusive::Always);
    assert_eq!(preset.context.values, ["private", "corporate"]);
    assert_eq!(preset.context.requires["bankgiroinformation"], "accountinformation");
    let budget = |environment| preset.refresh_rules(&parameters(json!({"environment": environment}))).unwrap().budget;
    let per = Duration::from_hours(1);
    assert_eq!(budget("production"), Some(Budget { issues: 3, per }));
    assert_eq!(budget("sandbox"), Some(Budget { issues: 20, per }));
}

#[test]
fn defaults_and_lifetimes_follow_the_environment() {
    let vipps = Preset::built_in("vipps").unwrap();
    let lifetime =
        |environment| vipps.refresh_rules(&parameters(json!({"environment": environment}))).unwrap().expected_lifetime;
    assert_eq!(lifetime("production"), Some(Duration::from_hours(24)));
    assert_eq!(lifetime("test"), Some(Duration::from_hours(1)));
    assert_eq!(vipps.parameters["system_version"].default, Some(json!(env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_parameter_that_only_builds_the_url_is_known_as_such() {
    let only = |name: &str| {
        let preset = Preset::built_in(name).unwrap();
        let parameters = preset.parameters.iter().filter(|(_, parameter)| parameter.only_builds_url);
        parameters.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(only("core-banking"), ["base_url"]);
    assert_eq!(only("plainid"), ["region"]);
    assert_eq!(only("oauth2"), ["issuer"]);
    assert_eq!(only("vipps-partner"), ["environment"]);
    // Here it decides the budget and the lifetime as well.
    assert!(only("open-payments").is_empty() && only("vipps").is_empty());
}

#[test]
fn oauth2_asks_an_issuer_where_no_token_url_is_given() {
    let oauth2 = Preset::built_in("oauth2").unwrap();
    assert_eq!(oauth2.token_url(&parameters(json!({"issuer": "https://idp.example"}))), Ok(None));
    assert_eq!(oauth2.token_url(&Parameters::new()), Err("token_url is missing (or issuer)".into()));
}

#[test]
fn oauth2_needs_a_secret_unless_the_client_has_none() {
    let oauth2 = Preset::built_in("oauth2").unwrap();
    let needs = |auth| oauth2.is_required("client_secret", &parameters(json!({"client_auth": auth})));
    assert!(needs("client_secret_basic") && needs("client_secret_post") && !needs("none"));
    assert!(oauth2.is_required("client_id", &Parameters::new()));
    assert!(!oauth2.is_required("audience", &Parameters::new()));
}

#[test]
fn what_makes_another_token_is_part_of_the_identity() {
    let oauth2 = Preset::built_in("oauth2").unwrap();
    let given = json!({"client_id": "id", "audience": "a", "resource": ["r"], "exclusive": true});
    assert_eq!(oauth2.identity_parts(&parameters(given.clone())), [r#"audience="a""#, r#"resource=["r"]"#]);
    assert!(oauth2.is_exclusive(&parameters(given)) && !oauth2.is_exclusive(&Parameters::new()));
}

const ODD: &str = r#"
[parameters.app]
required = true
[parameters.key]
secret = true
[request]
method = "GET"
url = "https://{{ app | lower }}.example/token?v=1"
headers = { X-App = "{{ app }}", X-Nothing = "{{ key }}" }
query = [{ name = "app", value = "{{ app }}" }, { name = "key", value = "{{ key }}" }]
[answer]
access_token = "/data/tokens/0/value"
expires_in = "/data/ms"
expires_in_unit = "milliseconds"
expires_at = "/data/until"
scheme = "Token"
export = { server = "/data/server", leaked = "/data/echo" }
export_parameters = ["app"]
success = [{ pointer = "/code", equals = 0 }, { pointer = "/errcode", absent = true }]
[error]
code = ["/errcode", "/code"]
description = "/msg"
[[errors]]
status = [400, 403]
pointer = "/msg"
pattern = "(?i)rate limit"
class = "busy"
[[errors]]
status = 409
credentials = true
[[errors]]
status = 200
pointer = "/code"
equals = 77
class = "busy"
[refresh]
lead = "30s"
max_lead = "1m"
ttl = "{{ app }}"
budget = { issues = 288, per = "1d" }
"#;

#[test]
fn a_get_with_credentials_in_its_query_can_be_described() {
    let (parameters, secrets) = (parameters(json!({"app": "Acme"})), secrets(&[("key", "a&b=c d")]));
    let preset = preset(ODD);
    let url = preset.token_url(&parameters).unwrap().unwrap();
    assert_eq!(url, "https://acme.example/token?v=1");
    let request = preset.request(&Asking { token_url: &url, ..asking(&parameters, &secrets) }).unwrap();
    assert_eq!(request.method, "GET");
    assert_eq!(request.url.expose(), "https://acme.example/token?v=1&app=Acme&key=a%26b%3Dc+d");
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("X-App", "Acme"), ("X-Nothing", "a&b=c d"), ("Accept", "application/json")]);
    assert!(request.body.is_none());
    let without_key = preset.request(&asking(&parameters, &Secrets::new())).unwrap();
    assert!(without_key.headers.iter().all(|(name, _)| name != "X-Nothing"), "empty values are not sent");
}

#[test]
fn nested_answers_can_be_described() {
    let preset = preset(ODD);
    let (parameters, secrets) = (parameters(json!({"app": "Acme"})), secrets(&[("key", "hunter2")]));
    let body = r#"{"code":0,"data":{"tokens":[{"value":"t"}],"ms":"60000","server":{"eu":1},"echo":"key hunter2"}}"#;
    let issued = preset.read(&asking(&parameters, &secrets), &answer(200, body), NOW, NOW).unwrap();
    assert_eq!((issued.secret.expose(), lifetime(&issued)), ("t", Duration::from_mins(1)));
    let extra = BTreeMap::from([("app".into(), json!("Acme")), ("server".into(), json!({"eu": 1}))]);
    assert_eq!(issued.extra, extra, "and never what holds a secret");
    assert_eq!(preset.scheme, "Token");
}

#[test]
fn times_of_day_are_read_in_all_their_forms() {
    let until = |until: serde_json::Value| {
        let body = json!({"code": 0, "data": {"tokens": [{"value": "t"}], "until": until}}).to_string();
        read(&preset(ODD), 200, &body).map(|issued| lifetime(&issued).as_millis())
    };
    for hour in [
        json!("2026-11-21T08:00:00Z"),
        json!("2026-11-21T09:00:00.000+0100"),
        json!("2026-11-21T09:00:00.000000001+01:00"),
        json!(1_795_248_000),
        json!("1795248000"),
        json!(1_795_248_000.0),
        json!(1_795_248_000_000_i64),
        json!("1795248000000"),
    ] {
        assert_eq!(until(hour.clone()).ok(), Some(3_600_000), "{hour}");
    }
    for wrong in [json!("tomorrow"), json!(true), json!(-1), json!(1e18), json!("2026-11-21"), json!(1_795_244_400)] {
        assert!(matches!(until(wrong.clone()), Err(Failure::Malformed(_))), "{wrong}");
    }
}

#[test]
fn a_2xx_that_says_no_is_a_no() {
    let preset = preset(ODD);
    let Err(Failure::Refused(refusal)) = read(&preset, 200, r#"{"code":41,"msg":"bad app"}"#) else { panic!() };
    assert_eq!((refusal.code.as_deref(), refusal.description.as_deref()), (Some("41"), Some("bad app")));
    let both = r#"{"code":0,"errcode":"E1","data":{"tokens":[{"value":"t"}],"ms":1000}}"#;
    assert!(matches!(read(&preset, 200, both), Err(Failure::Refused(_))));
    assert!(matches!(read(&preset, 200, r#"{"code":77}"#), Err(Failure::Busy { .. })));
}

#[test]
fn rules_say_what_an_error_means() {
    let preset = preset(ODD);
    let limited = read(&preset, 400, r#"{"errcode":"invalid_request","msg":"exceeded the Rate Limit of 10"}"#);
    assert!(matches!(&limited, Err(Failure::Busy { status: 400, .. })), "{limited:?}");
    let other = read(&preset, 400, r#"{"errcode":"invalid_request","msg":"nonsense"}"#);
    assert!(matches!(other, Err(Failure::Refused(refusal)) if !refusal.credentials));
    let conflict = read(&preset, 409, "gone");
    assert!(matches!(conflict, Err(Failure::Refused(refusal)) if refusal.credentials));
}

#[test]
fn refresh_rules_may_come_from_parameters() {
    let preset = preset(ODD);
    let rules = preset.refresh_rules(&parameters(json!({"app": "90s"}))).unwrap();
    assert_eq!((rules.lead, rules.max_lead), (Some(Duration::from_secs(30)), Some(Duration::from_mins(1))));
    assert_eq!(rules.ttl, Some(Duration::from_secs(90)));
    assert_eq!(rules.budget, Some(Budget { issues: 288, per: Duration::from_hours(24) }));
    assert!(preset.refresh_rules(&parameters(json!({"app": "soon"}))).is_err());
}

#[test]
fn the_ttl_of_the_provider_counts_where_the_answer_is_silent() {
    let (parameters, secrets) = (Parameters::new(), Secrets::new());
    let preset = Preset::built_in("oauth2").unwrap();
    let read = |body: &str| {
        let asking = Asking { ttl: Some(Duration::from_mins(5)), ..asking(&parameters, &secrets) };
        lifetime(&preset.read(&asking, &answer(200, body), NOW, NOW).unwrap()).as_secs()
    };
    assert_eq!(read(r#"{"access_token":"t"}"#), 300);
    assert_eq!(read(r#"{"access_token":"t","expires_in":60}"#), 60);
    // {"alg":"none"} . {"iat":1795244400,"exp":1795246200}
    assert_eq!(
        read(r#"{"access_token":"eyJhbGciOiJub25lIn0.eyJpYXQiOjE3OTUyNDQ0MDAsImV4cCI6MTc5NTI0NjIwMH0.c2ln"}"#),
        1800
    );
}

#[test]
fn a_slow_answer_is_no_clock_difference() {
    let (parameters, secrets) = (Parameters::new(), Secrets::new());
    let late = NOW + Duration::from_secs(9);
    let preset = preset(ODD);
    let read = |date| {
        let body = r#"{"code":0,"data":{"tokens":[{"value":"t"}],"until":1795248000}}"#;
        let answer = Answer { date: Some(date), ..answer(200, body) };
        lifetime(&preset.read(&asking(&parameters, &secrets), &answer, NOW, late).unwrap()).as_secs()
    };
    assert_eq!(read(late), 3600);
    assert_eq!(read(late + Duration::from_secs(5)), 3600);
    assert_eq!(read(late + Duration::from_secs(6)), 3600 - 15, "the earlier of what the round trip leaves open");
    assert_eq!(read(NOW - Duration::from_secs(6)), 3606);
}

#[test]
fn a_body_beyond_a_mebibyte_and_a_token_beyond_64_kibibytes_are_malformed() {
    let oauth2 = Preset::built_in("oauth2").unwrap();
    let token = |length: usize| format!(r#"{{"access_token":"{}","expires_in":60}}"#, "x".repeat(length));
    assert!(read(&oauth2, 200, &token(65_536)).is_ok());
    assert!(matches!(read(&oauth2, 200, &token(65_537)), Err(Failure::Malformed(_))));
    let padded = |length: usize| token(1) + &" ".repeat(length - token(1).len());
    assert!(read(&oauth2, 200, &padded(1 << 20)).is_ok());
    let Err(Failure::Malformed(reason)) = read(&oauth2, 200, &padded((1 << 20) + 1)) else { panic!() };
    assert_eq!(reason, "HTTP 200 with more than 1 MiB of body");
}

#[test]
fn a_json_that_is_too_deep_is_malformed_and_nothing_worse() {
    let deep = "[".repeat(100_000);
    let result = read(&Preset::built_in("oauth2").unwrap(), 200, &format!(r#"{{"a":{deep}"#));
    assert!(matches!(result, Err(Failure::Malformed(_))));
}

const ALL_WRONG: &str = r#"
        colour = "red"
        description = 5
        [parameters.Client-Id]
        [parameters.scope]
        [parameters.pin]
        secret = true
        default = "0000"
        [parameters.region]
        pattern = "("
        [parameters.kind]
        choices = ["a"]
        default = "b"
        [parameters.flag]
        kind = "flag"
        default = "yes"
        [parameters.typo]
        requird = true
        [context]
        exclusive = { parameter = "region" }
        scopes = ["a"]
        requires = { a = "b" }
        [request]
        method = "GET"
        url = "https://{{ regoin }}/{{ pin }}"
        client_auth = "magic"
        form = [{ name = "x" }, { each = "region" }, { name = "y", value = "{{ y" }]
        text = "{{ region | shout }}"
        headers = { "Bad Name" = "x", Host = "x" }
        [answer]
        access_token = "token"
        expires_at = "/a~2"
        export_parameters = ["pin", "nobody"]
        [[errors]]
        class = "busy"
        [[errors]]
        pointer = "/x"
        pattern = "["
        [refresh]
        lead = "soon"
        budget = { issues = "{{ n }}", per = "1h" }
    "#;

#[test]
fn all_problems_are_told_at_once_with_the_keys_that_lead_to_them() {
    let found = problems(ALL_WRONG);
    let expected = [
        "colour: unknown key; a preset has description, source, ",
        "description: must be a text",
        "parameters.typo: unknown field `requird`, expected one of ",
        "parameters.Client-Id: \"Client-Id\" is not the name of a parameter",
        "parameters.scope: `scope` has a meaning of its own",
        "parameters.pin: a secret is a text without `default` and `identity`",
        "parameters.region.pattern: not a regular expression: ",
        "parameters.kind.default: must be one of a",
        "parameters.flag.default: does not fit the kind flag",
        "context.exclusive: `region` is no parameter of kind \"flag\"",
        "context.requires: `b` is not among `scopes`",
        "request: only one of `form`, `json` and `text` can make the body",
        "request.method: a GET has no body; send fields as `query`",
        "request.form.0: write `name` and `value`",
        "request.form.1: write `name` and `value`",
        "request.form.2.value: not a template: ",
        "request.url: `regoin` is not a parameter of this preset",
        "request.url: the secret `pin` cannot be used here",
        "request.headers.Bad Name: not the name of a header",
        "request.headers.Host: this header belongs to the connection",
        "request.client_auth: \"magic\" is none of client_secret_basic, ",
        "request.client_auth: this needs a parameter `client_id`",
        "request.client_auth: this needs a parameter `client_secret`",
        "answer.access_token: \"token\" is not a JSON pointer",
        "answer.expires_at: \"/a~2\" is not a JSON pointer",
        "answer.export_parameters: `pin` is a secret",
        "answer.export_parameters: `nobody` is not a parameter of this preset",
        "errors.0: `status` or `pointer` is missing",
        "errors.1: not a regular expression: ",
        "refresh.lead: \"soon\" is not a duration",
        "refresh.budget.issues: `n` is not a parameter of this preset",
    ];
    for problem in expected {
        assert!(found.iter().any(|found| found.starts_with(problem)), "{problem}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn a_call_of_something_unknown_is_told_when_the_preset_is_read() {
    let with = |text: &str| problems(&format!("[parameters.a]\n[request]\nurl = \"https://x\"\ntext = \"{text}\""));
    assert_eq!(with("{{ a | shout }}"), ["request.text: filter shout is unknown"]);
    assert!(with("{{ range(3) }}")[0].starts_with("request.text: `range` is not a parameter"));
    assert!(with("{{ debug() }}")[0].starts_with("request.text: `debug` is not a parameter"));
    assert!(!with("{% include 'x' %}").is_empty());
}

#[test]
fn a_wrong_type_is_told_with_its_key() {
    assert_eq!(problems("[request]\nurl = 5"), ["request.url: invalid type: integer `5`, expected a string"]);
    assert_eq!(problems(""), [": `[request]` is missing"]);
    assert_eq!(problems("[request]"), ["request: `url` is missing (or `issuer`)"]);
    assert_eq!(problems("parameters = 1\n[request]\nurl = 'x'"), ["parameters: must be a table"]);
}

#[test]
fn a_piece_of_a_secret_is_blanked_as_well_and_a_host_that_is_one_is_not_named() {
    let (parameters, secrets) = (Parameters::new(), secrets(&[("client_secret", "abcdefghijklmnopqrstuvwxyz")]));
    let asking = asking(&parameters, &secrets);
    let told = |answer: &Answer| preset(ALL_PLACES).read(&asking, answer, NOW, NOW).unwrap_err().to_string();
    let said = |text: &str| {
        told(&answer(400, &json!({"error": "no", "error_description": text}).to_string()))
            .trim_start_matches("refused with HTTP 400, no: ")
            .to_owned()
    };
    assert_eq!(said("got cdefghijklmnopqrstuv, want another"), "got […], want another");
    assert_eq!(said("got 6162636465666768696a6b6c6d6e6f70 here"), "got […] here", "in hex");
    assert_eq!(said("got abcdefghijklmno"), "got abcdefghijklmno", "a few letters are in many words");
    let code = json!({"error": "abcdefghijklmnopqrst"}).to_string();
    assert_eq!(told(&answer(400, &code)), "refused with HTTP 400");
    let host = |host: &str| told(&Answer { location_host: Some(host.into()), ..answer(302, "") });
    assert!(host("a.example").contains("a redirect to a.example,"));
    assert!(host("abcdefghijklmnopqrstuvwxyz.example").contains("a redirect, which is not followed"));
}

#[test]
fn type_and_scopes_of_an_answer_show_no_secret_and_nothing_that_cannot_be_one() {
    let (parameters, secrets) = (Parameters::new(), secrets(&[("client_secret", "abcdefghijklmnopqrstuvwxyz")]));
    let scopes = ["read".to_owned(), "abcdefghijklmnopqrstuvwxyz".to_owned()];
    let asking = Asking { scopes: &scopes[..1], ..asking(&parameters, &secrets) };
    let read = |scopes: serde_json::Value| {
        let body = json!({"access_token": "t", "expires_in": 60, "token_type": scopes[1], "scope": scopes});
        preset(ALL_PLACES).read(&asking, &answer(200, &body.to_string()), NOW, NOW).unwrap()
    };
    let issued = read(json!(["read", scopes[1], "a b", "a\nb", "é", ""]));
    assert_eq!((issued.token_type.as_str(), issued.scopes.unwrap()), ("Bearer", vec!["read".to_owned()]));
    assert_eq!(read(json!(["other", "DPoP"])).scopes.unwrap(), ["other", "DPoP"]);
}

const ALL_PLACES: &str = r#"
[parameters.client_id]
[parameters.client_secret]
secret = true
[request]
url = "https://x.example/"
client_auth = "client_secret_post"
query = [{ name = "q", value = "{{ client_secret }}" }]
form = [{ name = "f", value = "<{{ client_secret }}>" }]
"#;

const AS_JSON: &str = r#"
[parameters.client_secret]
secret = true
[request]
url = "https://x.example/"
json = { a = { b = ["{{ client_secret }}", 1, true] } }
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_value_breaks_out_of_its_place(secret in "\\PC{1,24}|[ -~]{1,24}") {
        let (parameters, secrets) = (parameters(json!({"client_id": secret})), secrets(&[("client_secret", &secret)]));
        let request = preset(ALL_PLACES).request(&asking(&parameters, &secrets)).unwrap();
        let form: Vec<_> = url::form_urlencoded::parse(request.body.as_ref().unwrap().expose().as_bytes()).collect();
        let expected = [("client_id", secret.clone()), ("client_secret", secret.clone()), ("f", format!("<{secret}>"))];
        assert_eq!(form, expected.map(|(name, value)| (name.into(), value.into())));
        let url = url::Url::parse(request.url.expose()).unwrap();
        assert_eq!(url.query_pairs().collect::<Vec<_>>(), [("q".into(), secret.clone().into())]);
        let request = preset(AS_JSON).request(&asking(&parameters, &secrets)).unwrap();
        let body: serde_json::Value = serde_json::from_str(request.body.unwrap().expose()).unwrap();
        assert_eq!(body, json!({"a": {"b": [secret, 1, true]}}));
    }

    #[test]
    fn whatever_of_a_request_is_echoed_no_failure_shows_the_secret(
        secret in "[!-~]{6,24}", before in "[ -~\\r\\n]{0,220}",
    ) {
        let (parameters, secrets) = (parameters(json!({"client_id": "id"})), secrets(&[("client_secret", &secret)]));
        let asking = asking(&parameters, &secrets);
        let sent = preset(ALL_PLACES).request(&asking).unwrap();
        for echoed in [secret.as_str(), sent.body.as_ref().unwrap().expose(), sent.url.expose()] {
            let body = json!({"error": echoed, "error_description": format!("{before}{echoed}")}).to_string();
            for status in [200, 400, 401, 429, 503] {
                let failure = preset(ALL_PLACES).read(&asking, &answer(status, &body), NOW, NOW).unwrap_err();
                let shown = format!("{failure:?} {failure}");
                let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                assert!(!shown.contains(&secret) && !shown.contains(&encoded), "{shown}");
            }
        }
    }
}
