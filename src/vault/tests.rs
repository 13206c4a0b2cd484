//! What servers that are none, or are not well, are taken for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::spawn;

use serde_json::json;

use super::*;
use crate::name::Name;
use crate::settings::{TlsFiles, VaultLogin, VaultMethod, VaultPlace};

/// The address of a server that gives each request `answer`.
fn answering(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    spawn(move || {
        for stream in listener.incoming().flatten() {
            give(stream, &answer);
        }
    });
    address
}

fn give(mut stream: TcpStream, answer: &str) {
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
    let _ = stream.write_all(answer.as_bytes());
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn server(address: &str, kv: KvVersion) -> VaultServer {
    VaultServer {
        name: Name::parse("main").unwrap(),
        address: VaultAddress::Url(address.into()),
        namespace: None,
        tls: TlsFiles::default(),
        kv,
        login: VaultLogin { mount: "token".into(), method: VaultMethod::Token { token: Vec::new() } },
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

/// What a read, a write, a login and a renewal say that get `answer`.
fn said(answer: &str) -> Vec<Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = VaultPlace { server: Name::parse("main").unwrap(), mount: "secret".into(), path: "api".into() };
    let fields = json!({ "access_token": "hunter2" }).as_object().unwrap().clone();
    let address = answering(answer.to_owned());
    let token = secret("hvs.hunter2");
    let login = || Credentials::Userpass { username: "tokend", password: &token };
    runtime.block_on(async {
        let mut said = Vec::new();
        for kv in [KvVersion::V1, KvVersion::V2] {
            let vault = Vault::new(&Http::new(), &server(&address, kv), Some(&token)).unwrap();
            said.extend(vault.read(&place).await.err());
            said.extend(vault.write(&place, &fields, Some(1)).await.err());
            said.extend(vault.login("userpass", login()).await.err());
            said.extend(vault.renew().await.err());
        }
        said
    })
}

#[test]
fn an_answer_that_is_not_vaults_is_said_to_be_none_and_never_quoted() {
    for body in ["<html>hunter2</html>", "", "[]", "{\"data\":7}", "hunter2"] {
        let troubles = said(&answer("200 OK", "Content-Type: text/html\r\n", body));
        // A write to an engine without versions has nothing to bring back: a body is not looked at.
        assert!(troubles.len() >= 7, "{body:?}: {troubles:?}");
        for trouble in troubles {
            let words = trouble.to_string();
            assert!(matches!(trouble, Trouble::Failed(_)), "{body:?}: {trouble:?}");
            assert!(words.ends_with("answered something that is not Vault's"), "{body:?}: {words}");
        }
    }
}

#[test]
fn an_answer_that_holds_the_least_is_understood() {
    let body = json!({
        "auth": { "client_token": "hvs.new" },
        "data": { "ttl": 60, "version": 4, "data": { "generation": 7 }, "metadata": { "version": 3 } },
    });
    let address = answering(answer("200 OK", "Content-Type: application/json\r\n", &body.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = VaultPlace { server: Name::parse("main").unwrap(), mount: "secret".into(), path: "api".into() };
    let token = secret("hvs.old");
    runtime.block_on(async {
        let vault = Vault::new(&Http::new(), &server(&address, KvVersion::V2), Some(&token)).unwrap();
        let found = vault.read(&place).await.unwrap();
        assert_eq!((found.version, found.fields), (Some(3), json!({ "generation": 7 }).as_object().cloned()));
        assert_eq!(vault.write(&place, &serde_json::Map::new(), Some(3)).await.unwrap(), Some(4));
        let credentials = || Credentials::AppRole { role_id: &token, secret_id: None };
        let lease = vault.login("approle", credentials()).await.unwrap();
        assert_eq!((lease.token.expose(), lease.lifetime, lease.renewable), ("hvs.new", None, false));
        let lease = vault.login("token", Credentials::Token(&token)).await.unwrap();
        assert_eq!(lease.lifetime, Some(Duration::from_mins(1)));
    });
}

#[test]
fn a_standby_that_leads_elsewhere_is_named_and_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("Location: http://{}/v1/secret\r\n", elsewhere.local_addr().unwrap());
    for status in ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let troubles = said(&answer(status, &location, ""));
        assert_eq!(troubles.len(), 8);
        for trouble in troubles {
            assert!(matches!(&trouble, Trouble::Failed(words) if words.contains("it is a standby; name the active")));
        }
    }
    assert!(elsewhere.accept().is_err(), "nobody came with the token");
}

#[test]
fn a_server_that_is_busy_or_in_trouble_is_tried_again_and_loses_no_login() {
    for status in ["429 Too Many Requests", "472 Standby", "500 Internal Server Error", "502 Bad Gateway", "503 x"] {
        let body = if status.starts_with("502") { "<html>" } else { "{\"errors\":[\"try later\"]}" };
        let troubles = said(&answer(status, "Retry-After: 3600\r\n", body));
        assert_eq!(troubles.len(), 8, "{status}");
        let code = &status[..3];
        for trouble in troubles {
            assert!(matches!(&trouble, Trouble::Failed(words) if words.contains(code)), "{status}: {trouble:?}");
        }
    }
}

#[test]
fn a_token_that_cannot_be_a_header_is_refused_before_anything_is_sent() {
    let server = server("http://127.0.0.1:1", KvVersion::V2);
    for token in ["hvs.a\nX-Evil: 1", "hvs.a\r\n", "hvs. a", "hvs.\u{e4}", "hvs.\u{7f}"] {
        let Err(Trouble::Failed(words)) = Vault::new(&Http::new(), &server, Some(&secret(token))) else {
            panic!("{token:?} was taken");
        };
        assert_eq!(words, "the Vault token holds characters that no token has; write it anew");
    }
}
