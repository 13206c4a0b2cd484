//! TLS as operators meet it: own CAs, wrong certificates, client certificates, and a host without
//! any CA at all. The far side is a real TLS server on loopback.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::asking::Asked;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokend::failure::{Failure, Reach};
use tokend::http::Http;
use tokend::preset::Preset;
use tokend::provider::Providers;
use tokend::settings::{Endpoint, TlsFiles};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n{\"access_token\":\"abc\",\"expires_in\":900}";
/// Set for the test process that stands for a host without CA certificates.
const BARE_HOST: &str = "TOKEND_TEST_BARE_HOST";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/certificates").join(name)
}

fn trusting(ca: &str) -> TlsFiles {
    TlsFiles { ca_file: Some(file(ca)), ..TlsFiles::default() }
}

fn roots(ca: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file(ca)).unwrap()).unwrap();
    roots
}

/// Whether a server wants to see a client certificate.
#[derive(Clone, Copy)]
enum Wants {
    Nothing,
    ClientCertificate,
}

/// A token endpoint with the certificate called `name`.
fn server(name: &str, wants: Wants) -> u16 {
    let certificate = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match wants {
        Wants::Nothing => builder.with_no_client_auth(),
        Wants::ClientCertificate => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots("ca.pem")), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    crate::listener::listen(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        if !crate::listener::read_request(&mut stream).is_empty() {
            stream.write_all(ANSWER.as_bytes()).unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    })
}

fn at(port: u16, tls: TlsFiles) -> Asked {
    let endpoint = Endpoint::TokenUrl(format!("https://127.0.0.1:{port}/token"));
    let table = "client_id = 'id'\nclient_secret = 'hunter2'";
    Asked::of(Preset::built_in("oauth2").unwrap(), table, endpoint).with(|provider| provider.tls = tls)
}

async fn not_sent(asked: Asked) -> String {
    match asked.ask().await.unwrap_err() {
        Failure::Unreachable { reason, reach: Reach::NotSent } => reason,
        other => panic!("{other:?}"),
    }
}

async fn not_ready(tls: TlsFiles) -> String {
    match at(1, tls).ask().await.unwrap_err() {
        Failure::NotReady(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted() {
    let issued = at(server("server", Wants::Nothing), trusting("ca.pem")).ask().await.unwrap();
    assert_eq!(issued.secret.expose(), "abc");
}

#[tokio::test]
async fn a_certificate_that_is_wrong_is_told_in_words_and_nothing_is_sent() {
    for (name, ca, words) in [
        ("server", "other-ca.pem", "its certificate is not trusted; ca_file names a CA of your own"),
        ("other-name", "ca.pem", "its certificate is for another name"),
        ("expired", "ca.pem", "its certificate has expired"),
    ] {
        let port = server(name, Wants::Nothing);
        let expected = format!("no TLS connection to 127.0.0.1:{port}: {words}");
        assert_eq!(not_sent(at(port, trusting(ca))).await, expected);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let port = crate::listener::listen(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let expected = format!("no TLS connection to 127.0.0.1:{port}: it does not speak TLS there");
    assert_eq!(not_sent(at(port, trusting("ca.pem"))).await, expected);
}

#[tokio::test]
async fn a_handshake_that_hangs_or_breaks_has_sent_nothing() {
    let hanging = crate::listener::listen(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {});
    let asked = at(hanging, trusting("ca.pem")).with(|provider| provider.timeout = Duration::from_millis(400));
    assert_eq!(not_sent(asked).await, format!("no connection to 127.0.0.1:{hanging} within 300ms"));
    let closing = crate::listener::listen(drop);
    let reason = not_sent(at(closing, trusting("ca.pem"))).await;
    assert_eq!(reason, format!("connection to 127.0.0.1:{closing} closed while connecting"));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_there_is_one() {
    let port = server("server", Wants::ClientCertificate);
    let with = |cert: &str, key: &str| TlsFiles {
        cert_file: Some(file(cert)),
        key_file: Some(file(key)),
        ..trusting("ca.pem")
    };
    assert!(at(port, with("client.pem", "client.key")).ask().await.is_ok());
    let reason = not_sent(at(port, trusting("ca.pem"))).await;
    assert!(reason.contains("refused the TLS connection"), "{reason}");
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let replace = |with: &str| {
        let fresh = directory.path().join("fresh");
        fs::copy(file(with), &fresh).unwrap();
        fs::rename(&fresh, &ca).unwrap();
    };
    let asked = at(server("server", Wants::Nothing), TlsFiles { ca_file: Some(ca.clone()), ..TlsFiles::default() });
    let providers = Providers::new(Http::new());
    assert!(matches!(asked.ask_through(&providers).await, Err(Failure::NotReady(_))), "there is no file yet");
    replace("other-ca.pem");
    assert!(matches!(asked.ask_through(&providers).await, Err(Failure::Unreachable { .. })));
    replace("ca.pem");
    assert!(asked.ask_through(&providers).await.is_ok());
    replace("other-ca.pem");
    assert!(asked.ask_through(&providers).await.is_err());
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_with_its_key_and_path() {
    let missing = PathBuf::from("/nonexistent/x.pem");
    let ca_file = Some(missing.clone());
    let reason = not_ready(TlsFiles { ca_file, ..TlsFiles::default() }).await;
    assert!(reason.starts_with("ca_file /nonexistent/x.pem: No such file"), "{reason}");
    let reason = not_ready(trusting("server.key")).await;
    assert!(reason.starts_with("ca_file ") && reason.ends_with("server.key: no certificate in it"), "{reason}");
    let key_alone = TlsFiles { key_file: Some(file("client.key")), ..trusting("ca.pem") };
    assert_eq!(not_ready(key_alone).await, "key_file is given without cert_file");
    let cert_alone = TlsFiles { cert_file: Some(file("client.pem")), ..trusting("ca.pem") };
    let reason = not_ready(cert_alone).await;
    assert!(reason.ends_with("client.pem: no private key in it"), "{reason}");
    let stranger = TlsFiles { key_file: Some(file("server.key")), ..trusting("ca.pem") };
    let reason = not_ready(TlsFiles { cert_file: Some(file("client.pem")), ..stranger }).await;
    assert!(reason.starts_with("cert_file and key_file: "), "{reason}");
}

/// Runs the test called `name` in a process that sees no CA certificate of the host.
fn on_a_bare_host(name: &str) {
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(BARE_HOST, "1")
        .env("SSL_CERT_FILE", nothing.path())
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
}

#[tokio::test]
async fn a_host_without_ca_certificates_is_told_what_to_do() {
    if std::env::var_os(BARE_HOST).is_none() {
        return on_a_bare_host("a_host_without_ca_certificates_is_told_what_to_do");
    }
    let expected = "no CA certificates on this host: install ca-certificates or set ca_file";
    assert_eq!(not_ready(TlsFiles::default()).await, expected);
    assert!(at(server("server", Wants::Nothing), trusting("ca.pem")).ask().await.is_ok(), "own CAs need none");
}

#[tokio::test]
async fn plain_http_on_loopback_needs_no_ca_certificates() {
    if std::env::var_os(BARE_HOST).is_none() {
        return on_a_bare_host("plain_http_on_loopback_needs_no_ca_certificates");
    }
    let here = Endpoint::TokenUrl(format!("http://127.0.0.1:{}/token", crate::listener::answering(ANSWER)));
    assert!(at(1, TlsFiles::default()).with(|provider| provider.endpoint = here).ask().await.is_ok());
}
