//! The stand-ins as a client on the wire meets them: the guides' requests byte for byte, deviations
//! from them, and every fault.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "speaks to a stand-in")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn standin() -> Standin {
    Standin::start_on_thread(StandinConfig::default()).unwrap()
}

/// The request that the vendor's guide shows, with the demo client's credentials. `LENGTH` stands
/// for the length of the body.
fn guide(vendor: Vendor) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = |id: &str, secret: &str| STANDARD.encode(format!("{id}:{secret}"));
    let head = format!("POST {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", vendor.path());
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n";
    match vendor {
        Vendor::OpenPayments => format!(
            "{head}Accept: application/json\r\n{form}\r\nclient_id={}&client_secret={}&grant_type=client_credentials\
             &scope=accountinformation corporate",
            OPEN_PAYMENTS.0,
            encoded(OPEN_PAYMENTS.1)
        ),
        Vendor::CoreBanking => format!(
            "{head}Content-Type: application/json\r\nContent-Length: LENGTH\r\n\r\n\
             {{\n  \"clientId\": {},\n  \"clientSecret\": {}\n}}\n",
            json!(CORE_BANKING.0),
            json!(CORE_BANKING.1)
        ),
        Vendor::Vipps => format!(
            "{head}Content-Length: LENGTH\r\nclient_id: {}\r\nclient_secret: {}\r\nOcp-Apim-Subscription-Key: {}\r\n\
             Merchant-Serial-Number: 123456\r\nVipps-System-Name: Acme Enterprises DeLuxe\r\n\
             Vipps-System-Version: 3.1.2\r\nVipps-System-Plugin-Name: acme-webshop\r\n\
             Vipps-System-Plugin-Version: 4.5.6\r\n\r\n",
            VIPPS.0, VIPPS.1, VIPPS_SUBSCRIPTION_KEYS[0]
        ),
        Vendor::VippsPartner => format!(
            "{head}Authorization: Basic {}\r\n{}\r\ngrant_type=client_credentials",
            basic(VIPPS_PARTNER.0, VIPPS_PARTNER.1),
            form.replace("urlencoded", "urlencoded; charset=utf-8")
        ),
        Vendor::PlainId => format!(
            "{head}{form}\r\ngrant_type=client_credentials&client_id={}&client_secret={}",
            PLAIN_ID.0,
            encoded(PLAIN_ID.1)
        ),
        Vendor::OAuth2 => format!(
            "{head}Authorization: Basic {}\r\n{form}\r\ngrant_type=client_credentials&scope=read+write",
            basic(&encoded(OAUTH2.0), &encoded(OAUTH2.1))
        ),
    }
}

struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn connect(standin: &Standin) -> TcpStream {
    let stream = TcpStream::connect(standin.base().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(standin: &Standin, request: &str) -> TcpStream {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let mut stream = connect(standin);
    stream.write_all(request.replace("LENGTH", &body.len().to_string()).as_bytes()).unwrap();
    stream
}

fn ask(standin: &Standin, request: &str) -> Got {
    let mut bytes = Vec::new();
    send(standin, request).read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    Got { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
}

fn ask_guide(standin: &Standin, vendor: Vendor) -> Got {
    ask(standin, &guide(vendor))
}

fn access_token(vendor: Vendor, body: &Value) -> String {
    let field = if vendor == Vendor::CoreBanking { "accessToken" } else { "access_token" };
    body[field].as_str().unwrap().to_owned()
}

#[test]
fn the_guides_requests_are_granted() {
    let standin = standin();
    for vendor in Vendor::ALL {
        let got = ask_guide(&standin, vendor);
        assert_eq!(got.status, 200, "{vendor:?}: {}", String::from_utf8_lossy(&got.body));
        let token = access_token(vendor, &got.json());
        assert!(standin.is_active(&token), "{vendor:?}");
        assert!(token.len() > 700 && token.starts_with("eyJ") && token.split('.').count() == 3, "{vendor:?}");
        assert_eq!(standin.journal().tally(vendor).issued, 1, "{vendor:?}");
    }
    assert!(!standin.is_active("eyJ"));
}

#[test]
fn answers_have_the_guides_fields_and_types() {
    let standin = standin();
    let answer = |vendor| {
        let mut body = ask_guide(&standin, vendor).json();
        let token = access_token(vendor, &body);
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        body[if vendor == Vendor::CoreBanking { "accessToken" } else { "access_token" }] = json!("T");
        (body, claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap())
    };
    assert_eq!(
        answer(Vendor::OpenPayments).0,
        json!({"access_token": "T", "expires_in": 60, "token_type": "Bearer", "scope": "accountinformation corporate"})
    );
    let (mut body, _, expires) = answer(Vendor::CoreBanking);
    assert_eq!(body["expirationTime"].as_i64().unwrap() / 1000, expires);
    body["expirationTime"] = json!(0);
    assert_eq!(body, json!({"accessToken": "T", "tokenType": "Bearer", "expirationTime": 0, "tokenValiditySec": 60}));
    let (body, issued, expires) = answer(Vendor::Vipps);
    assert_eq!(
        body,
        json!({
            "token_type": "Bearer", "expires_in": "60", "ext_expires_in": "0", "expires_on": expires.to_string(),
            "not_before": issued.to_string(), "resource": "00000002-0000-0000-c000-000000000000", "access_token": "T",
        })
    );
    let plain = json!({"access_token": "T", "token_type": "Bearer", "expires_in": 60});
    assert_eq!(answer(Vendor::VippsPartner).0, plain);
    assert_eq!(answer(Vendor::PlainId).0, plain);
    assert_eq!(
        answer(Vendor::OAuth2).0,
        json!({"access_token": "T", "token_type": "Bearer", "expires_in": 60, "scope": "read write"})
    );
}

/// Asks with each guide's request after replacing one text by another, and compares what comes back.
fn deviations(vendor: Vendor, rows: &[(&str, &str, u16, Value)]) {
    let standin = standin();
    for (from, to, status, body) in rows {
        let request = guide(vendor).replacen(from, to, 1);
        assert_ne!(request, guide(vendor), "{from:?} does not occur");
        let got = ask(&standin, &request);
        let shown = String::from_utf8_lossy(&got.body);
        assert_eq!((got.status, &got.json()), (*status, body), "{from:?} → {to:?}: {shown}");
    }
    let tally = standin.journal().tally(vendor);
    assert_eq!((tally.issued, tally.refused), (0, rows.len() as u64));
}

#[test]
fn open_payments_says_every_refusal_with_400_and_a_bare_code() {
    let error = |code: &str| json!({ "error": code });
    let scope = "scope=accountinformation corporate";
    let mut rows = vec![
        ("POST", "GET", 400, error("invalid_request")),
        ("/connect/token", "/connect/token?a=b", 400, error("invalid_request")),
        ("application/x-www-form-urlencoded", "application/json", 400, error("invalid_request")),
        ("Accept: application/json", "Accept: text/html", 400, error("invalid_request")),
        ("client_secret=", "client_secret=%zz", 400, error("invalid_request")),
        ("&scope", "&audience=x&scope", 400, error("invalid_request")),
        ("&scope", "&client_id=x&scope", 400, error("invalid_request")),
        ("client_secret=", "client_secret=x", 400, error("invalid_client")),
        ("demo%2B", "demo+", 400, error("invalid_client")),
        ("client_id=5", "client_id=6", 400, error("invalid_client")),
        ("client_id=", "cliend_id=", 400, error("invalid_request")),
        ("\r\n\r\n", "\r\nAuthorization: Basic eDp5\r\n\r\n", 400, error("invalid_client")),
        ("client_credentials", "password", 400, error("unsupported_grant_type")),
        ("grant_type=client_credentials&", "", 400, error("unsupported_grant_type")),
    ];
    for wrong in [
        "",
        "scope=",
        "scope=accountinformation",
        "scope=corporate",
        "scope=accountinformation corporate private",
        "scope=accountinformation  corporate",
        "scope=accountinformation accountinformation corporate",
        "scope=accountinformation,corporate",
        "scope=AccountInformation corporate",
        "scope=bankgiroinformation corporate",
        "scope=consents corporate",
    ] {
        rows.push((scope, wrong, 400, error("invalid_scope")));
    }
    deviations(Vendor::OpenPayments, &rows);
}

#[test]
fn core_banking_refuses_in_its_list_of_errors() {
    let error = |status: u16, code: &str, message: &str| json!({"errors": [{"statusCode": status, "errorCode": code, "errorMessage": message}]});
    let shape = error(400, "INVALID_REQUEST", "Exactly clientId and clientSecret are expected, as strings.");
    let length = error(400, "INVALID_LENGTH", "clientId and clientSecret have 1 to 100 characters.");
    let media = error(415, "UNSUPPORTED_MEDIA_TYPE", "Content type must be application/json.");
    let wrong = error(401, "INVALID_CREDENTIALS", "Client ID or client secret is wrong.");
    let long = "x".repeat(101 - CORE_BANKING.0.len()) + CORE_BANKING.0;
    deviations(
        Vendor::CoreBanking,
        &[
            ("POST", "PUT", 405, error(405, "METHOD_NOT_ALLOWED", "Request method is not supported.")),
            ("application/json", "application/x-www-form-urlencoded", 415, media.clone()),
            ("Content-Type: application/json\r\n", "", 415, media),
            ("\"clientId\"", "\"clientID\"", 400, shape.clone()),
            ("\"clientId\"", "\"client_id\"", 400, shape.clone()),
            ("{\n", "{\"scope\": \"a\",", 400, shape.clone()),
            ("{\n", "{\"clientId\": \"a\",", 400, shape.clone()),
            ("\"demo-core-banking\"", "17", 400, shape.clone()),
            ("}\n", "", 400, shape),
            ("demo-core-banking", "", 400, length.clone()),
            ("demo-core-banking", &long, 400, length),
            ("demo-core-banking", "demo-core-banking-2", 401, wrong.clone()),
            ("\"demo \\\"", "\"Demo \\\"", 401, wrong),
        ],
    );
}

#[test]
fn the_hundredth_character_still_fits() {
    let standin = standin();
    let (id, secret) = ("é".repeat(100), "+".repeat(100));
    standin.register(Client::new(Vendor::CoreBanking, &id, &secret));
    let request = guide(Vendor::CoreBanking)
        .replace(CORE_BANKING.0, &id)
        .replace(&json!(CORE_BANKING.1).to_string(), &json!(secret).to_string());
    assert_eq!(ask(&standin, &request).status, 200);
}

fn azure_ad(error: &str, number: u32, text: &str) -> Value {
    let trace = "1f3c6d2e-9a51-4d4b-8b0c-7f2a51c60c00";
    let at = "2022-11-17 11:37:08Z";
    json!({
        "error": error,
        "error_description":
            format!("AADSTS{number}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {trace}\r\nTimestamp: {at}"),
        "error_codes": [number], "timestamp": at, "trace_id": trace, "correlation_id": trace,
        "error_uri": format!("https://login.windows.net/error?code={number}"),
    })
}

#[test]
fn vipps_refuses_at_the_gateway_first_and_in_azure_ad_then() {
    let gateway = |message: &str| json!({"statusCode": 401, "message": message});
    let platform = |status: u16, message: &str| {
        json!({
            "responseInfo": {"responseCode": status, "responseMessage": message}, "result": {"message": message},
        })
    };
    let missing = gateway(
        "Access denied due to missing subscription key. \
         Make sure to include subscription key when making requests to an API.",
    );
    let invalid = gateway(
        "Access denied due to invalid subscription key. \
         Make sure to provide a valid key for an active subscription.",
    );
    let body = platform(400, "The request has no body and no Authorization header.");
    let serial = platform(400, "Merchant-Serial-Number must match ^[0-9]{4,6}$.");
    let system = platform(400, "Vipps-System headers have at most 30 characters.");
    let unknown = "Application with identifier 'xfb492b5e-7907-4d83-ba20-c7fb60ca35de' was not found in the \
                   directory 'VIPPS-TEST'.";
    let secret = "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                  value, not the client secret ID.";
    let no_secret = "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant.";
    let no_id = "The request body must contain the following parameter: 'client_id'.";
    deviations(
        Vendor::Vipps,
        &[
            ("POST", "GET", 404, platform(404, "Something went wrong, please try again later.")),
            ("Ocp-Apim-Subscription-Key", "Subscription-Key", 401, missing),
            ("Ocp-Apim-Subscription-Key: 0", "Ocp-Apim-Subscription-Key: 1", 401, invalid),
            ("\r\n\r\n", "\r\n\r\ngrant_type=client_credentials", 400, body.clone()),
            ("\r\n\r\n", "\r\nAuthorization: Basic eDp5\r\n\r\n", 400, body),
            ("123456", "123", 400, serial.clone()),
            ("123456", "1234567", 400, serial.clone()),
            ("123456", "12345a", 400, serial),
            ("3.1.2", "3.1.2-a-version-that-is-very-long", 400, system.clone()),
            ("DeLuxe", "Ecommerce DeLuxe", 400, system),
            ("client_id: ", "client-id: ", 400, azure_ad("invalid_request", 900_144, no_id)),
            ("client_id: ", "client_id: x", 400, azure_ad("unauthorized_client", 700_016, unknown)),
            ("client_secret: ", "client-secret: ", 401, azure_ad("invalid_client", 7_000_216, no_secret)),
            ("client_secret: ", "client_secret: x", 401, azure_ad("invalid_client", 7_000_215, secret)),
        ],
    );
}

#[test]
fn vipps_wants_a_content_length_although_there_is_no_content() {
    let got = ask(&standin(), &guide(Vendor::Vipps).replace("Content-Length: LENGTH\r\n", ""));
    assert_eq!(got.status, 411);
    assert!(String::from_utf8_lossy(&got.body).contains("HTTP Error 411"));
}

#[test]
fn vipps_takes_either_subscription_key_and_can_do_without_the_recommended_headers() {
    let standin = standin();
    let request = guide(Vendor::Vipps).replace(VIPPS_SUBSCRIPTION_KEYS[0], VIPPS_SUBSCRIPTION_KEYS[1]);
    assert_eq!(ask(&standin, &request).status, 200);
    let start = request.find("Merchant").unwrap();
    assert_eq!(ask(&standin, &format!("{}\r\n", &request[..start])).status, 200);
}

#[test]
fn vipps_wants_the_subscription_key_of_the_client_itself() {
    let standin = standin();
    let other = Client::new(Vendor::Vipps, "other", "secret");
    standin.register(Client { subscription_keys: vec!["k".into()], ..other });
    assert_eq!(ask(&standin, &guide(Vendor::Vipps).replace(VIPPS_SUBSCRIPTION_KEYS[0], "k")).status, 401);
}

#[test]
fn vipps_partner_wants_raw_basic_and_no_subscription_key() {
    let error = |code: &str| json!({ "error": code });
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = STANDARD.encode(format!("{}:{}", VIPPS_PARTNER.0, VIPPS_PARTNER.1));
    let form_encoded = STANDARD.encode(format!("{}:{}", VIPPS_PARTNER.0, encoded(VIPPS_PARTNER.1)));
    let key = "\r\nOcp-Apim-Subscription-Key: 0f14ebcab0ec4b29ae0cb90d91b4a84a\r\n\r\n";
    deviations(
        Vendor::VippsPartner,
        &[
            ("POST", "GET", 400, error("invalid_request")),
            ("application/x-www-form-urlencoded; charset=utf-8", "text/plain", 400, error("invalid_request")),
            ("client_credentials", "client_credentials&client_id=x", 400, error("invalid_request")),
            ("\r\n\r\n", key, 401, error("invalid_client")),
            (&credentials, &form_encoded, 401, error("invalid_client")),
            ("Basic", "Bearer", 401, error("invalid_client")),
            ("Authorization", "X-Authorization", 401, error("invalid_client")),
            ("grant_type=client_credentials", "", 401, error("invalid_client")),
            ("client_credentials", "password", 400, error("unsupported_grant_type")),
        ],
    );
}

#[test]
fn plain_id_answers_everything_wrong_with_401() {
    let wrong = json!({"id": "EW60XA", "status": 401, "name": "unauthorized", "message": "Unauthorized"});
    let edits = [
        ("POST", "GET"),
        ("application/x-www-form-urlencoded", "application/json"),
        ("client_id=P", "client_id=Q"),
        ("client_secret=demo", "client_secret=dem"),
        ("client_secret=", "clientSecret="),
        ("grant_type=client_credentials", "grant_type=password"),
        ("grant_type=client_credentials&", ""),
        ("grant_type", "scope=a&grant_type"),
        ("\r\n\r\n", "\r\nAuthorization: Basic eDp5\r\n\r\n"),
    ];
    deviations(Vendor::PlainId, &edits.map(|(from, to)| (from, to, 401, wrong.clone())));
}

#[test]
fn oauth2_refuses_as_the_rfc_says() {
    let error = |code: &str| json!({ "error": code });
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = STANDARD.encode(format!("{}:{}", OAUTH2.0, encoded(OAUTH2.1)));
    let raw = STANDARD.encode(format!("{}:{}", OAUTH2.0, OAUTH2.1));
    deviations(
        Vendor::OAuth2,
        &[
            ("POST", "GET", 405, error("invalid_request")),
            ("application/x-www-form-urlencoded", "application/json", 400, error("invalid_request")),
            (&credentials, &raw, 401, error("invalid_client")),
            (&format!("Authorization: Basic {credentials}\r\n"), "", 400, error("invalid_client")),
            ("&scope", "&client_secret=x&scope", 400, error("invalid_request")),
            ("&scope", "&scope=a&scope", 400, error("invalid_request")),
            ("grant_type=client_credentials&", "", 400, error("invalid_request")),
            ("client_credentials", "authorization_code", 400, error("unsupported_grant_type")),
            ("read+write", "read++write", 400, error("invalid_scope")),
        ],
    );
}

#[test]
fn oauth2_ignores_what_it_does_not_know_and_takes_credentials_in_the_body() {
    let standin = standin();
    let known = "resource=https://a.example&resource=https://b.example&audience=a&unheard=of&empty=";
    assert_eq!(ask(&standin, &guide(Vendor::OAuth2).replace("scope=", &format!("{known}&scope="))).status, 200);
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let request = guide(Vendor::OAuth2)
        .replace("Authorization", "X-Unheard-Of")
        .replace("&scope=read+write", &format!("&client_id={}&client_secret={}", OAUTH2.0, encoded(OAUTH2.1)));
    let got = ask(&standin, &request);
    assert_eq!((got.status, got.json().get("scope")), (200, None));
}

#[test]
fn oauth2_publishes_its_metadata() {
    let standin = standin();
    let got = ask(
        &standin,
        "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(got.json()["issuer"], standin.base());
    assert_eq!(got.json()["token_endpoint"], standin.url(Vendor::OAuth2));
    assert_eq!(ask(&standin, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status, 404);
}

#[test]
fn scopes_are_provisioned_per_client() {
    let standin = standin();
    standin.register(Client::demo(Vendor::OpenPayments).with_scopes(&["aspspinformation"]));
    assert_eq!(ask_guide(&standin, Vendor::OpenPayments).json(), json!({"error": "invalid_scope"}));
    let request = guide(Vendor::OpenPayments).replace("accountinformation", "aspspinformation");
    assert_eq!(ask(&standin, &request).status, 200);
}

#[test]
fn accounts_and_contexts_are_counted_apart() {
    let standin = standin();
    ask_guide(&standin, Vendor::OpenPayments);
    ask_guide(&standin, Vendor::OpenPayments);
    ask(&standin, &guide(Vendor::OpenPayments).replace("corporate", "private"));
    let journal = standin.journal();
    let client = |context| Target::client(Vendor::OpenPayments, OPEN_PAYMENTS.0).context(context);
    assert_eq!(journal.tally(client("corporate")).issued, 2);
    assert_eq!(journal.tally(client("private")).issued, 1);
    assert_eq!(journal.tally(Vendor::OpenPayments).issued, 3);
    assert_eq!(journal.active(client("corporate"), now()), 2);
    assert_eq!(journal.accounts().count(), 2);
    let scopes: Vec<_> = journal.issues(client("private")).map(|(_, issue)| issue.scope.clone()).collect();
    assert_eq!(scopes, [Some("accountinformation private".to_owned())]);
}

#[test]
fn access_tokens_end_with_their_lifetime() {
    let lifetimes = BTreeMap::from([(Vendor::PlainId, Duration::ZERO)]);
    let standin = Standin::start_on_thread(StandinConfig { lifetimes, ..StandinConfig::default() }).unwrap();
    let body = ask_guide(&standin, Vendor::PlainId).json();
    assert_eq!(body["expires_in"], 0);
    assert!(!standin.is_active(&access_token(Vendor::PlainId, &body)));
    standin.set_lifetime(Vendor::PlainId, Duration::from_hours(1));
    assert_eq!(ask_guide(&standin, Vendor::PlainId).json()["expires_in"], 3600);
}

#[test]
fn connections_are_kept_alive_and_requests_may_be_chunked() {
    let standin = standin();
    let mut stream = connect(&standin);
    let request = guide(Vendor::PlainId).replace("Connection: close\r\n", "");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.replace("Content-Length: LENGTH", "Transfer-Encoding: chunked");
    let request = format!("{head}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).unwrap();
        let head: Vec<String> = answers.by_ref().lines().map(Result::unwrap).take_while(|l| !l.is_empty()).collect();
        assert_eq!(head[0], "HTTP/1.1 200 OK");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        answers.read_exact(&mut body).unwrap();
    }
    assert_eq!(standin.journal().tally(Vendor::PlainId).issued, 3);
}

#[test]
fn a_request_too_large_is_refused() {
    let request = guide(Vendor::PlainId) + &"x".repeat(64 * 1024);
    let mut answer = [0; 12];
    send(&standin(), &request).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn trouble_comes_in_the_vendors_words() {
    let standin = standin();
    standin.fault_once(Vendor::Vipps, Fault::TooMany(Some(RetryAfter::Seconds(17))));
    standin.fault_once(Vendor::Vipps, Fault::Unavailable(Some(RetryAfter::Date(Duration::from_hours(1)))));
    standin.fault_once(Vendor::Vipps, Fault::Status(502, "{\"a\":1}".into()));
    standin.fault_once(Vendor::Vipps, Fault::Redirect("https://elsewhere.example/?a=b".into()));
    standin.fault_once(Vendor::Vipps, Fault::Html);
    let got = [(); 5].map(|()| ask_guide(&standin, Vendor::Vipps));
    assert_eq!(got.each_ref().map(|got| got.status), [429, 503, 502, 307, 200]);
    assert!(got[0].head.contains("retry-after: 17"));
    assert_eq!(got[0].json(), json!({"statusCode": 429, "message": "Rate limit is exceeded. Try again later."}));
    let date = got[1].head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!(httpdate::parse_http_date(date).unwrap() > std::time::SystemTime::now() + Duration::from_mins(59));
    assert_eq!(got[2].json(), json!({"a": 1}));
    assert!(got[3].head.contains("location: https://elsewhere.example/?a=b"));
    assert!(got[4].body.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(ask_guide(&standin, Vendor::Vipps).status, 200);
    assert_eq!(standin.journal().tally(Vendor::Vipps).disturbed, 5);
}

#[test]
fn refused_credentials_are_the_vendors_own_refusal() {
    let standin = standin();
    for vendor in Vendor::ALL {
        standin.fault(vendor, Fault::RefuseCredentials);
        assert!([400, 401].contains(&ask_guide(&standin, vendor).status), "{vendor:?}");
        standin.clear(vendor);
        standin.accept_only(vendor, &Client::demo(vendor).id, "rotated");
        assert!([400, 401].contains(&ask_guide(&standin, vendor).status), "{vendor:?}");
        standin.register(Client::demo(vendor));
        assert_eq!(ask_guide(&standin, vendor).status, 200, "{vendor:?}");
        let tally = standin.journal().tally(vendor);
        assert_eq!((tally.refused, tally.issued), (2, 1), "{vendor:?}");
    }
}

#[test]
fn a_hanging_request_is_under_way_until_its_client_leaves() {
    let standin = standin();
    standin.fault(Vendor::PlainId, Fault::Hang);
    let streams = [send(&standin, &guide(Vendor::PlainId)), send(&standin, &guide(Vendor::PlainId))];
    let in_flight = |count| move |journal: &Journal| journal.tally(Vendor::PlainId).in_flight == count;
    assert!(standin.block_until(PATIENCE, in_flight(2)).unwrap());
    drop(streams);
    assert!(standin.block_until(PATIENCE, in_flight(0)).unwrap());
    let tally = standin.journal().tally(Vendor::PlainId);
    assert_eq!((tally.most_in_flight, tally.issued), (2, 0));
}

#[test]
fn a_reset_comes_before_or_after_the_issue() {
    let standin = standin();
    for (fault, issued) in [(Fault::ResetBefore, 0), (Fault::ResetAfter, 1)] {
        standin.fault_once(Vendor::PlainId, fault);
        let error = send(&standin, &guide(Vendor::PlainId)).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(standin.journal().tally(Vendor::PlainId).issued, issued);
    }
    let journal = standin.journal();
    assert!(journal.issues(Vendor::PlainId).all(|(_, issue)| issue.arrival == Arrival::Spoiled));
}

#[test]
fn half_of_an_answer_ends_in_the_middle() {
    let standin = standin();
    standin.fault_once(Vendor::PlainId, Fault::Half);
    let got = ask_guide(&standin, Vendor::PlainId);
    let promised: usize =
        got.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert_eq!(got.body.len(), promised / 2);
    assert!(got.body.starts_with(b"{\"access_token\":\"eyJ"));
}

#[test]
fn a_drip_is_whole_in_the_end() {
    let standin = standin();
    standin.fault_once(Vendor::PlainId, Fault::Drip(Duration::from_micros(1)));
    let got = ask_guide(&standin, Vendor::PlainId);
    assert!(standin.is_active(&access_token(Vendor::PlainId, &got.json())));
}

#[test]
fn a_slow_answer_is_granted_all_the_same() {
    let standin = standin();
    standin.fault_once(Vendor::PlainId, Fault::Slow(Duration::from_millis(1)));
    assert_eq!(ask_guide(&standin, Vendor::PlainId).status, 200);
}

#[test]
fn an_endless_answer_goes_on_for_as_long_as_anyone_reads() {
    let standin = standin();
    standin.fault_once(Vendor::PlainId, Fault::Endless);
    let mut stream = send(&standin, &guide(Vendor::PlainId));
    let mut four_mebibytes = vec![0; 4 << 20];
    stream.read_exact(&mut four_mebibytes).unwrap();
    drop(stream);
    assert!(standin.block_until(PATIENCE, |journal| journal.tally(Vendor::PlainId).in_flight == 0).unwrap());
}

#[test]
fn an_answer_can_lie_about_its_lifetime() {
    let standin = standin();
    for said in [json!(-5), json!(0), json!("3600abc"), json!(1e30), Value::Null] {
        for vendor in Vendor::ALL {
            standin.fault_once(vendor, Fault::ExpiresIn(said.clone()));
            let body = ask_guide(&standin, vendor).json();
            let field = if vendor == Vendor::CoreBanking { "tokenValiditySec" } else { "expires_in" };
            let as_string = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
            let expected = if vendor == Vendor::Vipps { json!(as_string) } else { said.clone() };
            assert_eq!(body[field], expected, "{vendor:?}");
        }
    }
}

#[test]
fn an_access_token_can_have_a_line_feed_inside() {
    let standin = standin();
    standin.fault_once(Vendor::CoreBanking, Fault::LineFeed);
    assert!(access_token(Vendor::CoreBanking, &ask_guide(&standin, Vendor::CoreBanking).json()).contains('\n'));
}

#[test]
fn a_clock_ahead_shows_in_date_and_in_absolute_fields() {
    let standin = standin();
    standin.fault_once(Vendor::Vipps, Fault::ClockAhead(-3600));
    let got = ask_guide(&standin, Vendor::Vipps);
    let date = got.head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
    let shown = httpdate::parse_http_date(date).unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(got.json()["not_before"], shown.to_string());
    assert_eq!(got.json()["expires_on"], (shown + 60).to_string());
    assert!(shown + 3000 < u64::try_from(now().as_secs()).unwrap());
    assert!(standin.is_active(&access_token(Vendor::Vipps, &got.json())));
}

#[test]
fn the_same_token_comes_again_until_little_of_it_is_left() {
    let standin = standin();
    standin.fault(Vendor::PlainId, Fault::SameToken(Duration::from_secs(10)));
    let ask = || access_token(Vendor::PlainId, &ask_guide(&standin, Vendor::PlainId).json());
    let first = ask();
    assert_eq!(ask(), first);
    standin.fault(Vendor::PlainId, Fault::SameToken(Duration::from_mins(1)));
    assert_ne!(ask(), first);
    let tally = standin.journal().tally(Vendor::PlainId);
    assert_eq!((tally.issued, tally.repeated), (2, 1));
}

#[test]
fn dropping_the_stand_ins_frees_their_port() {
    let standin = standin();
    let address = standin.base().strip_prefix("http://").unwrap().to_owned();
    drop(standin);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn they_also_run_as_a_task() {
    let standin = Standin::start(StandinConfig::default()).unwrap();
    let base = standin.base().strip_prefix("http://").unwrap().to_owned();
    let client = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(base).unwrap();
        let request = guide(Vendor::Vipps).replace("LENGTH", "0");
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap()
    });
    assert!(standin.wait_until(PATIENCE, |journal| journal.tally(Vendor::Vipps).issued == 1).await);
    assert!(client.await.unwrap() > 700);
    assert!(!standin.wait_until(Duration::ZERO, |journal| journal.tally(Vendor::Vipps).issued == 2).await);
}
