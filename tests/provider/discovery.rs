//! Issuers whose metadata names the token endpoint (RFC 8414).

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::asking::Asked;
use crate::listener::{listen, read_request};
use tokend::failure::{Failure, Reach};
use tokend::http::Http;
use tokend::preset::Preset;
use tokend::provider::Providers;
use tokend::settings::Endpoint;

const TOKEN: &str = r#"{"access_token":"abc","expires_in":900}"#;

/// Status and body by path.
type Documents = Arc<Mutex<BTreeMap<String, (u16, String)>>>;

/// An authorization server with documents by path; tells what it was asked.
struct Server {
    port: u16,
    documents: Documents,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new() -> Self {
        let (documents, asked) = (Documents::default(), Arc::new(Mutex::new(Vec::new())));
        let (known, log) = (documents.clone(), asked.clone());
        let port = listen(move |mut stream| {
            let request = String::from_utf8(read_request(&mut stream)).unwrap();
            let Some(path) = request.split(' ').nth(1) else { return };
            log.lock().unwrap().push(path.to_owned());
            let (status, body) = known.lock().unwrap().get(path).cloned().unwrap_or((404, "nothing here".into()));
            let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}", body.len());
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        });
        Self { port, documents, asked }
    }

    fn issuer(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn serve(&self, path: &str, status: u16, body: impl Into<String>) {
        self.documents.lock().unwrap().insert(path.into(), (status, body.into()));
    }

    fn metadata(&self, issuer: &str) -> String {
        format!(r#"{{"issuer":"{issuer}","token_endpoint":"{}"}}"#, self.issuer("/t"))
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn asking(issuer: String) -> Asked {
    let table = "client_id = 'id'\nclient_secret = 'hunter2'";
    Asked::of(Preset::built_in("oauth2").unwrap(), table, Endpoint::Issuer(issuer))
}

const RFC8414: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn metadata_is_found_where_either_standard_puts_it() {
    for (issuer, place, asked) in [
        ("", RFC8414, vec![RFC8414, "/t"]),
        ("/", OIDC, vec![RFC8414, OIDC, "/t"]),
        (
            "/realms/x",
            "/.well-known/oauth-authorization-server/realms/x",
            vec!["/.well-known/oauth-authorization-server/realms/x", "/t"],
        ),
        (
            "/realms/x",
            "/realms/x/.well-known/openid-configuration",
            vec![
                "/.well-known/oauth-authorization-server/realms/x",
                "/realms/x/.well-known/openid-configuration",
                "/t",
            ],
        ),
    ] {
        let server = Server::new();
        server.serve(place, 200, server.metadata(&server.issuer(issuer)));
        server.serve("/t", 200, TOKEN);
        asking(server.issuer(issuer)).ask().await.unwrap();
        assert_eq!(server.asked(), asked);
    }
}

#[tokio::test]
async fn a_page_for_every_path_does_not_hide_the_other_document() {
    let server = Server::new();
    server.serve(RFC8414, 200, "<html>single page application</html>");
    server.serve(OIDC, 200, server.metadata(&server.issuer("")));
    server.serve("/t", 200, TOKEN);
    assert!(asking(server.issuer("")).ask().await.is_ok());
}

#[tokio::test]
async fn a_trailing_slash_is_no_other_issuer() {
    let server = Server::new();
    server.serve(RFC8414, 200, server.metadata(&server.issuer("/")));
    server.serve("/t", 200, TOKEN);
    assert!(asking(server.issuer("")).ask().await.is_ok());
}

#[tokio::test]
async fn what_was_discovered_is_kept_until_it_fails() {
    let server = Server::new();
    server.serve(RFC8414, 200, server.metadata(&server.issuer("")));
    server.serve("/t", 200, TOKEN);
    let (asked, providers) = (asking(server.issuer("")), Providers::new(Http::new()));
    for expected in [vec![RFC8414, "/t"], vec!["/t"]] {
        assert!(asked.ask_through(&providers).await.is_ok());
        assert_eq!(server.asked(), expected);
    }
    server.serve("/t", 404, "moved");
    assert!(asked.ask_through(&providers).await.is_err());
    server.serve(RFC8414, 200, server.metadata(&server.issuer("")).replace("/t\"", "/new\""));
    server.serve("/new", 200, TOKEN);
    assert!(asked.ask_through(&providers).await.is_ok());
    assert_eq!(server.asked(), ["/t", RFC8414, "/new"]);
}

#[tokio::test]
async fn metadata_that_cannot_be_used_issues_nothing() {
    let server = Server::new();
    let host = "127.0.0.1";
    let other = server.metadata("https://evil.example");
    let plain = server.metadata(&server.issuer("")).replace(&server.issuer("/t"), "http://idp.example/t");
    let silent = format!(r#"{{"issuer":"{}"}}"#, server.issuer(""));
    for (body, words) in [
        (other.as_str(), "is of another issuer"),
        (plain.as_str(), "names a token_endpoint that is not https"),
        (silent.as_str(), "names no token_endpoint"),
        ("{}", "is of another issuer"),
        ("[", "is not JSON"),
    ] {
        server.serve(RFC8414, 200, body);
        let failure = asking(server.issuer("")).ask().await.unwrap_err();
        let reason = format!("the metadata of the issuer {host} {words}");
        assert_eq!(failure, Failure::Unreachable { reason, reach: Reach::NotSent });
        assert!(!server.asked().contains(&"/t".to_owned()));
    }
}

#[tokio::test]
async fn an_issuer_without_metadata_or_in_trouble_is_told_apart() {
    let server = Server::new();
    let failure = asking(server.issuer("/x")).ask().await.unwrap_err();
    assert_eq!(failure.to_string(), "refused with HTTP 404: no metadata of the issuer 127.0.0.1/x");
    server.serve(RFC8414, 503, "");
    let failure = asking(server.issuer("")).ask().await.unwrap_err();
    assert_eq!(failure.to_string(), "HTTP 503 for the metadata of the issuer 127.0.0.1");
    assert!(matches!(failure, Failure::Busy { status: 503, .. }));
}

#[tokio::test]
async fn an_issuer_that_hangs_issues_nothing() {
    let port = listen(|mut stream| {
        read_request(&mut stream);
        read_request(&mut stream);
    });
    let asked = asking(format!("http://127.0.0.1:{port}"));
    let failure = asked.with(|provider| provider.timeout = Duration::from_millis(400)).ask().await.unwrap_err();
    assert!(matches!(&failure, Failure::Unreachable { reach: Reach::NotSent, .. }), "{failure:?}");
}
