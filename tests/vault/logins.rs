//! Every auth method that a server can do without a cloud, and what becomes of its token.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tokend::clock::now;
use tokend::time::Timestamp;

use crate::bao::{Bao, ROOT, certificate};
use crate::door::Door;
use crate::outage::{Outage, configure, vault_with_role};
use crate::setup::{Setup, wait_for, wait_until};
use crate::sinks::token;

fn vault(bao: &Bao, auth: &str) -> String {
    format!("[vaults.main]\naddress = \"{}\"\nauth = {{ {auth} }}\n", bao.address())
}

fn with_login(bao: &Bao, auth: &str, secrets: &[(&str, &str)]) -> Setup {
    let setup = Setup::new();
    for (name, content) in secrets {
        setup.write(&format!("secrets/{name}"), content);
    }
    setup.configure(&[vault(bao, auth), setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")]);
    setup
}

#[track_caller]
fn delivers(bao: &Bao, setup: &Setup) {
    let daemon = setup.run_ready();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].clone();
    assert_eq!(bao.secret("secret/psd2/api")["access_token"], held);
}

const APP_ROLE: &str = "method = \"approle\", role_id = { file = \"@DIR@/secrets/role\" }, \
                        secret_id = { file = \"@DIR@/secrets/secret-id\" }";

#[test]
fn approle_with_a_policy_for_data_only() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", &[]);
    delivers(&bao, &with_login(&bao, APP_ROLE, &[("role", &role), ("secret-id", &secret_id)]));
}

#[test]
fn a_secret_id_that_may_be_used_once_survives_a_restart() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", &["secret_id_num_uses=1", "token_ttl=1h"]);
    let setup = with_login(&bao, APP_ROLE, &[("role", &role), ("secret-id", &secret_id)]);
    setup.run_ready().stop();
    let daemon = setup.run_ready();
    daemon.post("/v1/tokens/api/refresh");
    wait_until("the next generation is there", || bao.secret("secret/psd2/api")["generation"] == 2);
    let state = fs::read(setup.path("state/state.db")).unwrap();
    let log = fs::read(setup.path("state/state.db-wal")).unwrap_or_default();
    assert!(![state, log].iter().any(|file| file.windows(4).any(|four| four == b"hvs." || four == b"\"s.")));
}

#[test]
fn a_wrapped_secret_id_is_unwrapped_once() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, _) = bao.app_role("secret/data/psd2/*", &[]);
    let wrapped = bao.json(&["write", "-wrap-ttl=5m", "-f", "auth/approle/role/tokend/secret-id"]);
    let wrapping = wrapped["wrap_info"]["token"].as_str().unwrap();
    let auth = format!("{APP_ROLE}, wrapped = true");
    let setup = with_login(&bao, &auth, &[("role", &role), ("secret-id", wrapping)]);
    delivers(&bao, &setup);
    delivers(&bao, &setup);
}

#[test]
fn what_was_unwrapped_serves_for_the_next_login_as_well() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    let (role, _) = bao.app_role("secret/data/psd2/*", &["token_ttl=2s", "token_max_ttl=2s"]);
    let wrapped = bao.json(&["write", "-wrap-ttl=5m", "-f", "auth/approle/role/tokend/secret-id"]);
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", wrapped["wrap_info"]["token"].as_str().unwrap());
    let server = format!("[vaults.main]\naddress = \"{}\"\nauth = {{ {APP_ROLE}, wrapped = true }}\n", door.address());
    setup.configure(&[server, setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")]);
    let daemon = setup.run_ready();
    let asked = |path: &str| door.asked().iter().filter(|asked| asked.ends_with(path)).count();
    wait_until("its life is over and it logged in again", || {
        daemon.post("/v1/tokens/api/refresh");
        asked("/login") >= 2
    });
    daemon.wait_ready();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].clone();
    wait_until("the newest is there", || bao.secret("secret/psd2/api")["access_token"] == held);
    assert_eq!(asked("/unwrap"), 1);
}

#[test]
fn userpass() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    bao.run(&["auth", "enable", "userpass"]);
    bao.run(&["write", "auth/userpass/users/tokend", "password=+/%=:& secret", "token_policies=tokend"]);
    let auth = "method = \"userpass\", username = \"tokend\", password = { file = \"@DIR@/secrets/password\" }";
    delivers(&bao, &with_login(&bao, auth, &[("password", "+/%=:& secret")]));
}

#[test]
fn a_token_from_a_file_that_somebody_else_renews() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    let made = || bao.json(&["token", "create", "-policy=tokend"])["auth"]["client_token"].as_str().unwrap().to_owned();
    let auth = "method = \"token\", token = { file = \"@DIR@/secrets/token\" }";
    let first = made();
    let setup = with_login(&bao, auth, &[("token", &first)]);
    let daemon = setup.run_ready();
    bao.run(&["token", "revoke", &first]);
    setup.write("secrets/token", &made());
    daemon.post("/v1/tokens/api/refresh");
    wait_until("the next generation is there", || bao.secret("secret/psd2/api")["generation"] == 2);
}

#[test]
fn all_that_wait_are_hurried_by_a_token_that_takes_the_place_of_a_spent_one() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    let made = || bao.json(&["token", "create", "-policy=tokend"])["auth"]["client_token"].as_str().unwrap().to_owned();
    let (first, setup) = (made(), Setup::new());
    setup.write("secrets/token", &first);
    let server = vault(&bao, "method = \"token\", token = { file = \"@DIR@/secrets/token\" }");
    let tokens = ["one", "two"]
        .map(|name| setup.oauth2(name, "") + &token(name, &format!("{{ vault = \"secret/psd2/{name}\" }}")));
    setup.configure(&[server, tokens.concat()]);
    let daemon = setup.run_ready();
    bao.run(&["token", "revoke", &first]);
    let next_of_two = || {
        let next = daemon.slot("two").tokens.remove(0).sinks.remove(0).next_attempt;
        next.and_then(|next| Timestamp::parse_rfc3339(&next))
    };
    daemon.post("/v1/tokens/two/refresh");
    // Each reload counts as an attempt, and the wait after it is longer.
    let waits_again = || {
        daemon.post("/v1/reload");
        wait_for("it waits again", || next_of_two().filter(|next| now() < *next))
    };
    let long = |next: &Timestamp| now().until(*next) > Duration::from_secs(15);
    let next = std::iter::repeat_with(waits_again).find(long).unwrap();
    setup.write("secrets/token", &made());
    daemon.post("/v1/tokens/one/refresh");
    wait_until("the other is there as well", || bao.secret("secret/psd2/two")["generation"] == 2);
    assert!(now() < next, "it was tried at its own time");
}

#[test]
fn a_login_that_is_refused_is_told_and_not_repeated_by_every_sink() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    let setup = Setup::new();
    setup.write("secrets/role", "no-such-role");
    setup.write("secrets/secret-id", "hunter2-hunter2");
    let sinks: Vec<String> = (0..20).map(|number| format!("{{ vault = \"secret/psd2/{number}\" }}")).collect();
    setup.configure(&[vault(&bao, APP_ROLE), setup.oauth2("api", ""), token("api", &sinks.join(", "))]);
    let daemon = setup.run();
    wait_until("all sinks say why", || {
        let sinks = &daemon.slot("api").tokens[0].sinks;
        sinks.iter().all(|sink| sink.error.as_ref().is_some_and(|why| why.contains("the login failed")))
    });
    let logins = bao.requests().iter().filter(|path| path.ends_with("login")).count();
    assert!(logins <= 4, "{logins} logins for 20 sinks");
    assert!(!setup.log().contains("hunter2"));
}

#[test]
fn a_reload_that_is_asked_for_lets_refused_credentials_be_tried_again() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, _) = bao.app_role("secret/data/psd2/*", &[]);
    let setup = with_login(&bao, APP_ROLE, &[("role", &role), ("secret-id", "not-yet-known-there")]);
    let daemon = setup.run();
    let logins = || bao.requests().iter().filter(|path| path.ends_with("login")).count();
    for refused in 1..3 {
        wait_until("it is refused", || logins() >= refused);
        setup.tokend(&["reload"]).out();
    }
    wait_until("it is refused for the third time", || logins() >= 3);
    bao.run(&["write", "auth/approle/role/tokend/custom-secret-id", "secret_id=not-yet-known-there"]);
    setup.tokend(&["reload"]).out();
    // The next turn of its own would come after five minutes.
    daemon.wait_ready();
}

#[test]
fn a_hundred_sinks_make_one_login() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", &[]);
    let setup = Setup::new();
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    let sinks: Vec<String> = (0..100).map(|number| format!("{{ vault = \"secret/psd2/{number}\" }}")).collect();
    setup.configure(&[vault(&bao, APP_ROLE), setup.oauth2("api", ""), token("api", &sinks.join(", "))]);
    let _daemon = setup.run_ready();
    let requests = bao.requests();
    assert_eq!(requests.iter().filter(|path| path.ends_with("login")).count(), 1, "{requests:?}");
    // Each was read when the slot had no history, and before it was written.
    assert_eq!(requests.iter().filter(|path| path.starts_with("secret/data/psd2/")).count(), 300);
}

#[test]
fn a_token_that_an_operator_revokes_is_made_anew() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.run(&["token", "revoke", "-mode=path", "auth/approle"]);
    outage.refreshing_goes_on();
    outage.newest_is_there(&bao, "api");
    assert_eq!(outage.told(), None);
    assert_eq!(daemon.get("/readyz").status, 200);
    let asked = ["/data/psd2/api", "/lookup-self", "/login"].map(|path| outage.asked(path));
    assert_eq!(asked, [2, 1, 1], "{:?}", door.asked());
}

#[test]
fn a_role_that_an_operator_takes_away_with_its_tokens_is_why_nothing_is_written() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.run(&["delete", "auth/approle/role/tokend"]);
    bao.run(&["token", "revoke", "-mode=path", "auth/approle"]);
    outage.delays_its_own_sinks_alone("the login failed");
    outage.lasts_until_asked("/login", 2);
    outage.is_no_storm(1);
    vault_with_role(&setup, &bao, door.address(), &[]);
    outage.is_over(&bao);
}

#[test]
fn a_token_is_renewed_before_its_end_and_made_anew_at_its_longest_life() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    let keys = ["token_ttl=12s", "token_max_ttl=16s"];
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &keys));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    outage.lasts_until_asked("/renew-self", 1);
    outage.refreshing_goes_on();
    wait_until("its life is over", || {
        let _ = daemon.post("/v1/tokens/api/refresh");
        outage.asked("/login") == 1
    });
    outage.refreshing_goes_on();
    outage.newest_is_there(&bao, "api");
    assert_eq!(outage.told(), None);
    assert_eq!(daemon.get("/readyz").status, 200);
    let asked = ["/renew-self", "/lookup-self", "/login"].map(|path| outage.asked(path));
    assert_eq!(asked, [1, 0, 1], "what has no life left is not renewed, nor tried in vain: {:?}", door.asked());
}

#[test]
fn a_longest_life_that_ends_without_another_secret_id_is_told_until_there_is_one() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    let keys = ["secret_id_num_uses=1", "token_ttl=3s", "token_max_ttl=3s"];
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &keys));
    let daemon = setup.run_ready();
    let living = Outage::begins(&setup, &daemon, &door);
    wait_until("its life is over", || {
        let _ = daemon.post("/v1/tokens/api/refresh");
        living.told().is_some()
    });
    let outage = Outage::begins(&setup, &daemon, &door);
    outage.delays_its_own_sinks_alone("the login failed");
    outage.lasts_until_asked("/login", 1);
    outage.is_no_storm(1);
    setup.write("secrets/secret-id", &bao.secret_id());
    outage.is_over(&bao);
}

#[test]
fn jwt_signed_with_a_key_of_ours() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    let (jwt, public_key) = signed_jwt();
    bao.run(&["auth", "enable", "jwt"]);
    bao.run(&["write", "auth/jwt/config", &format!("jwt_validation_pubkeys={public_key}")]);
    let role = ["role_type=jwt", "user_claim=sub", "bound_audiences=tokend", "token_policies=tokend"];
    bao.run(&[&["write", "auth/jwt/role/tokend"], &role[..]].concat());
    let auth = "method = \"jwt\", role = \"tokend\", jwt = { file = \"@DIR@/secrets/jwt\" }";
    delivers(&bao, &with_login(&bao, auth, &[("jwt", &jwt)]));
}

/// A token for the audience `tokend`, and the key that it is to be checked with.
fn signed_jwt() -> (String, String) {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let text = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "aud": "tokend", "sub": "api", "iat": 1, "nbf": 1, "exp": 4_000_000_000_u64 });
    let signed = format!("{}.{}", text(&json!({ "alg": "ES256", "typ": "JWT" })), text(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(&random, signed.as_bytes()).unwrap());
    let public_key: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(public_key.as_ref()));
    (format!("{signed}.{signature}"), pem)
}

#[test]
fn kubernetes_with_a_stand_in_that_reviews_tokens() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    let reviewer = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("kubernetes_host=http://{}", reviewer.local_addr().unwrap());
    std::thread::spawn(move || reviewer.incoming().flatten().for_each(review));
    let authority = format!("kubernetes_ca_cert=@{}", certificate("ca.pem").display());
    bao.run(&["auth", "enable", "kubernetes"]);
    bao.run(&["write", "auth/kubernetes/config", &host, &authority, "token_reviewer_jwt=reviewer"]);
    let bound = ["bound_service_account_names=api", "bound_service_account_namespaces=psd2"];
    bao.run(&[&["write", "auth/kubernetes/role/tokend", "token_policies=tokend"], &bound[..]].concat());
    let claims = json!({ "kubernetes.io/serviceaccount/namespace": "psd2",
        "kubernetes.io/serviceaccount/service-account.name": "api",
        "kubernetes.io/serviceaccount/service-account.uid": "u-1", "iss": "kubernetes/serviceaccount" });
    let text = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let jwt = format!("{}.{}.{}", text(&json!({ "alg": "RS256" })), text(&claims), URL_SAFE_NO_PAD.encode([7; 256]));
    let auth = "method = \"kubernetes\", role = \"tokend\", jwt = { file = \"@DIR@/secrets/jwt\" }";
    delivers(&bao, &with_login(&bao, auth, &[("jwt", &jwt)]));
}

/// Says that every token is good.
fn review(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let user = json!({ "username": "system:serviceaccount:psd2:api", "uid": "u-1",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:psd2"] });
    let answer = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "status": { "authenticated": true, "user": user } })
    .to_string();
    let head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
}

#[test]
fn a_client_certificate_over_tls() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    bao.run(&["auth", "enable", "cert"]);
    let trusted = format!("certificate=@{}", certificate("ca.pem").display());
    bao.run(&["write", "auth/cert/certs/tokend", "token_policies=tokend", &trusted]);
    let setup = Setup::new();
    let vault = format!(
        "[vaults.main]\naddress = \"{}\"\nca_file = \"{}\"\nauth = {{ method = \"cert\", role = \"tokend\", \
         cert_file = \"{}\", key_file = \"{}\" }}\n",
        bao.tls_address(),
        certificate("ca.pem").display(),
        certificate("client.pem").display(),
        certificate("client.key").display()
    );
    setup.configure(&[vault, setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")]);
    delivers(&bao, &setup);
}

#[test]
fn a_namespace_holds_login_and_secrets() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.run(&["namespace", "create", "team-a"]);
    bao.run(&["secrets", "enable", "-namespace=team-a", "-path=kv", "-version=2", "kv"]);
    let setup = Setup::new();
    setup.write("secrets/token", ROOT);
    let auth = "method = \"token\", token = { file = \"@DIR@/secrets/token\" }";
    let vault = format!("{}namespace = \"team-a\"\n", vault(&bao, auth));
    setup.configure(&[vault, setup.oauth2("api", ""), token("api", "{ vault = \"kv/api\" }")]);
    let daemon = setup.run_ready();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].clone();
    let there = bao.json(&["kv", "get", "-namespace=team-a", "kv/api"]);
    assert_eq!(there["data"]["data"]["access_token"], held);
}

/// An agent with these lines in its configuration, which listens on a Unix socket.
fn agent(bao: &Bao, setup: &Setup, lines: &str) -> std::process::Child {
    let config = format!(
        "vault {{ address = \"{}\" }}\n{lines}\n\
         listener \"unix\" {{ address = \"@DIR@/agent.sock\"\n tls_disable = true\n require_request_header = true }}\n",
        bao.address()
    );
    setup.write("agent.hcl", &config.replace("@DIR@", &setup.dir().display().to_string()));
    let mut agent = bao.command(&["agent"]);
    agent.arg(format!("-config={}", setup.path("agent.hcl").display()));
    let agent = agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the agent listens", || setup.path("agent.sock").exists());
    agent
}

#[test]
fn the_listener_of_an_agent_on_a_unix_socket() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let mut agent = agent(&bao, &setup, "api_proxy { use_auto_auth_token = false }");
    setup.write("secrets/token", ROOT);
    let vault = "[vaults.main]\naddress = \"unix://@DIR@/agent.sock\"\n\
                 auth = { method = \"token\", token = { file = \"@DIR@/secrets/token\" } }\n";
    setup.configure(&[vault.into(), setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")]);
    delivers(&bao, &setup);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn an_agent_that_logs_in_itself_needs_no_auth() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", &[]);
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    let files = "role_id_file_path = \"@DIR@/secrets/role\"\nsecret_id_file_path = \"@DIR@/secrets/secret-id\"\n\
                 remove_secret_id_file_after_reading = false";
    let login = format!("auto_auth {{ method {{ type = \"approle\"\nconfig = {{ {files} }} }} }}");
    let mut agent = agent(&bao, &setup, &format!("{login}\napi_proxy {{ use_auto_auth_token = true }}"));
    let vault = "[vaults.main]\naddress = \"unix://@DIR@/agent.sock\"\n";
    setup.configure(&[vault.into(), setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")]);
    delivers(&bao, &setup);
    agent.kill().unwrap();
    agent.wait().unwrap();
}
