//! Servers that behave badly, each on a real socket: what a request to them comes to, and whether
//! a token may have been issued.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::asking::Asked;
use crate::listener::{answering, listen, read_request};
use tokend::failure::{Failure, Reach};
use tokend::http::Http;
use tokend::preset::Preset;
use tokend::provider::Providers;
use tokend::settings::{Endpoint, Proxy};

const USABLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n{\"access_token\":\"abc\",\"expires_in\":900}";

fn oauth2(url: String) -> Asked {
    let table = "client_id = 'id'\nclient_secret = 'hunter2'";
    Asked::of(Preset::built_in("oauth2").unwrap(), table, Endpoint::TokenUrl(url))
}

fn at(port: u16) -> Asked {
    oauth2(format!("http://127.0.0.1:{port}/token?pass=word"))
}

fn hasty(port: u16) -> Asked {
    at(port).with(|provider| provider.timeout = Duration::from_millis(400))
}

/// How it failed. No failure names the secret or the query.
async fn failure(asked: Asked) -> Failure {
    let failure = asked.ask().await.unwrap_err();
    let told = format!("{failure} {failure:?}");
    assert!(!told.contains("hunter2") && !told.contains("pass"), "{told}");
    failure
}

async fn unreachable(asked: Asked) -> (Reach, String) {
    match failure(asked).await {
        Failure::Unreachable { reason, reach } => (reach, reason),
        other => panic!("{other:?}"),
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let port = free_port();
    let expected = (Reach::NotSent, format!("connection refused by 127.0.0.1:{port}"));
    assert_eq!(unreachable(at(port)).await, expected);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_found() {
    let asked = oauth2("https://nobody.invalid/token".into());
    // On a host without any CA certificate it says that instead.
    let expected = (Reach::NotSent, "the name nobody.invalid was not found".to_owned());
    assert_eq!(
        unreachable(asked.with(|p| p.tls.ca_file = Some("tests/provider/certificates/ca.pem".into()))).await,
        expected
    );
}

#[tokio::test]
async fn a_server_that_hangs_may_have_issued() {
    let port = listen(|mut stream| {
        read_request(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let expected = (Reach::Sent, format!("no answer from 127.0.0.1:{port} within 400ms"));
    assert_eq!(unreachable(hasty(port)).await, expected);
}

#[tokio::test]
async fn a_server_that_closes_at_once_did_not_answer() {
    let port = listen(drop);
    let (_, reason) = unreachable(at(port)).await;
    assert!(reason.starts_with(&format!("connection to 127.0.0.1:{port} closed ")), "{reason}");
}

#[tokio::test]
async fn a_server_that_closes_after_the_request_may_have_issued() {
    let port = listen(|mut stream| drop(read_request(&mut stream)));
    let expected = (Reach::Sent, format!("connection to 127.0.0.1:{port} closed before an answer came"));
    assert_eq!(unreachable(at(port)).await, expected);
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_have_issued() {
    let port = answering("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"access_token\":\"abc\",");
    let expected = (Reach::Sent, format!("connection to 127.0.0.1:{port} closed in the middle of the answer"));
    assert_eq!(unreachable(at(port)).await, expected);
    let port = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"acc\r\n");
    assert_eq!(unreachable(at(port)).await.0, Reach::Sent);
    let port = answering("HTTP/1.1 200 OK\r\nContent-Le");
    assert_eq!(unreachable(at(port)).await.0, Reach::Sent);
}

#[tokio::test]
async fn something_that_is_not_http_is_said_to_be_so() {
    let port = answering("SSH-2.0-OpenSSH_9.9\r\n");
    let expected = (Reach::Sent, format!("127.0.0.1:{port} answered something that is not HTTP"));
    assert_eq!(unreachable(at(port)).await, expected);
}

/// Sends `start`, then a byte every 20 ms for as long as anyone reads.
fn dripping(start: &'static str) -> u16 {
    listen(move |mut stream| {
        read_request(&mut stream);
        let mut drop = stream.write_all(start.as_bytes());
        while drop.is_ok() {
            thread::sleep(Duration::from_millis(20));
            drop = stream.write_all(b"x");
        }
    })
}

#[tokio::test]
async fn a_drip_does_not_stretch_the_time_out() {
    for start in ["HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"] {
        let port = dripping(start);
        let expected = (Reach::Sent, format!("no answer from 127.0.0.1:{port} within 400ms"));
        assert_eq!(unreachable(hasty(port)).await, expected, "{start}");
    }
}

#[tokio::test]
async fn of_an_error_the_status_is_enough() {
    let port = dripping("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 9999\r\n\r\n");
    let failure = failure(hasty(port)).await;
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(7)));
    assert!(!failure.possibly_issued());
}

#[tokio::test]
async fn a_gibibyte_is_left_unread() {
    let (sender, written) = mpsc::channel();
    let port = listen(move |mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").unwrap();
        let block = vec![b' '; 1 << 16];
        let blocks = (0..1 << 14).take_while(|_| stream.write_all(&block).is_ok()).count();
        sender.send(blocks << 16).unwrap();
    });
    assert_eq!(failure(at(port)).await, Failure::Malformed("HTTP 200 with more than 1 MiB of body".into()));
    let written = tokio::task::spawn_blocking(move || written.recv().unwrap()).await.unwrap();
    assert!(written < 1 << 26, "only what fits between two sockets was ever taken");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (sender, followed) = mpsc::channel();
    let elsewhere = listen(move |_| sender.send(()).unwrap());
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"] {
        let location = format!("http://127.0.0.1:{elsewhere}/?client_secret=hunter2");
        let port = answering(format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        let Failure::Busy { reason, .. } = failure(at(port)).await else { panic!("{status}") };
        assert!(reason.contains("a redirect to 127.0.0.1, which is not followed"), "{reason}");
    }
    assert!(followed.try_recv().is_err());
}

/// A server that keeps connections open; counts them.
fn patient() -> (u16, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let port = listen(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        while !read_request(&mut stream).is_empty() {
            stream.write_all(USABLE.as_bytes()).unwrap();
        }
    });
    (port, connections)
}

#[tokio::test]
async fn an_exclusive_slot_never_takes_a_connection_that_was_used() {
    for (exclusive, expected) in [(false, 1), (true, 3)] {
        let (port, connections) = patient();
        let mut asked = at(port);
        asked.slot.policy.exclusive = exclusive;
        let providers = Providers::new(Http::new());
        for _ in 0..3 {
            assert!(asked.ask_through(&providers).await.is_ok());
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn a_request_that_failed_is_not_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let port = listen(move |mut stream| {
        if !read_request(&mut stream).is_empty() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for exclusive in [false, true] {
        let mut asked = at(port);
        asked.slot.policy.exclusive = exclusive;
        assert_eq!(unreachable(asked).await.0, Reach::Sent);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_proxy_that_refuses_has_sent_nothing_on() {
    let tls = |provider: &mut tokend::settings::Provider| {
        provider.tls.ca_file = Some("tests/provider/certificates/ca.pem".into());
    };
    for answer in ["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n\r\n", ""] {
        let proxy = answering(answer);
        let asked = oauth2("https://idp.example/token".into()).with(tls);
        let through = asked.with(|provider| provider.proxy = Proxy::Url(format!("http://127.0.0.1:{proxy}")));
        let (reach, reason) = unreachable(through).await;
        assert_eq!(reach, Reach::NotSent, "{answer}");
        assert!(reason.contains("idp.example (through the proxy)"), "{reason}");
    }
}

#[tokio::test]
async fn a_proxy_url_that_is_none_is_told_without_its_password() {
    let port = answering(USABLE);
    let failure = failure(at(port).with(|p| p.proxy = Proxy::Url("http://user:password@[".into()))).await;
    assert_eq!(failure, Failure::NotReady("proxy: not the URL of a proxy".into()));
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_not_asked() {
    for url in ["", "token", "http://", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"] {
        assert!(matches!(failure(oauth2(url.into())).await, Failure::NotReady(_)), "{url}");
    }
}
