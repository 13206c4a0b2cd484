//! The programs in `packaging/examples`, as they are shipped, against the daemon and an API.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::setup::Setup;

/// An API that answers `content` to those who bring an access token that it takes, and 401 to others.
struct Api {
    url: String,
    /// The access tokens that were brought.
    brought: Arc<Brought>,
}

/// The access tokens that came.
type Brought = Mutex<Vec<String>>;

impl Api {
    fn start(content: &'static str, takes: impl Fn(&str) -> bool + Send + 'static) -> Self {
        Self::listen("http", move |stream, brought| answer(stream, content, &takes, brought))
    }

    /// The same over TLS, with a certificate for loopback.
    fn start_tls(content: &'static str, takes: impl Fn(&str) -> bool + Send + 'static) -> Self {
        let chain = vec![CertificateDer::from_pem_file(certificate("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
        Self::listen("https", move |stream, brought| {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            answer(&mut stream, content, &takes, brought);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        })
    }

    fn listen(scheme: &str, mut answer: impl FnMut(TcpStream, &Brought) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let brought = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&brought);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &seen);
            }
        });
        Self { url, brought }
    }

    fn brought(&self) -> Vec<String> {
        self.brought.lock().unwrap().clone()
    }
}

/// Reads a request, notes the access token that it brought, and answers it.
fn answer(mut stream: impl Read + Write, content: &str, takes: &impl Fn(&str) -> bool, brought: &Brought) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let bearer = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let token = bearer.and_then(|(_, value)| value.strip_prefix("Bearer ")).unwrap_or_default();
    brought.lock().unwrap().push(token.to_owned());
    let status = if takes(token) { "200 OK" } else { "401 Unauthorized" };
    let kind = "Content-Type: application/json\r\nConnection: close";
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{content}", content.len());
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/certificates").join(name)
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples").join(name)
}

/// Runs the example `name` with `program`; `None` where there is no such program.
fn run(setup: &Setup, program: &str, name: &str, arguments: &[&str]) -> Option<Output> {
    if Command::new(program).arg("--version").output().is_err() {
        eprintln!("skipped: there is no {program} here");
        return None;
    }
    let mut command = Command::new(program);
    command.arg(example(name)).args(arguments).env("TOKEND_SOCKET", setup.path("tokend.sock"));
    Some(command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("http_proxy").output().unwrap())
}

#[track_caller]
fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn bash_with_curl_brings_the_token_to_an_api() {
    let setup = Setup::with_tokens(&["a"]);
    let _daemon = setup.run_ready();
    let held = setup.read("tokens/a").unwrap();
    let expected = held.clone();
    let api = Api::start("accounts", move |token| token == expected);
    let Some(output) = run(&setup, "bash", "read-token.sh", &["a", &api.url]) else { return };
    assert_eq!(out(&output), "accounts");
    assert_eq!(api.brought(), [held]);
    let unknown = run(&setup, "bash", "read-token.sh", &["b", &api.url]).unwrap();
    assert!(!unknown.status.success() && api.brought().len() == 1, "{unknown:?}");
}

#[test]
fn python_reads_a_token_with_its_standard_library() {
    let setup = Setup::with_tokens(&["a"]);
    let _daemon = setup.run_ready();
    let Some(output) = run(&setup, "python3", "read_token.py", &["a"]) else { return };
    assert_eq!(out(&output).trim_end(), setup.read("tokens/a").unwrap());
}

#[test]
fn a_program_whose_token_is_refused_says_so_and_tries_once_more() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let first = setup.read("tokens/a").unwrap();
    let refused = first.clone();
    let api = Api::start("accounts", move |token| token != refused);
    let Some(output) = run(&setup, "python3", "retry_on_401.py", &["a", &api.url]) else { return };
    assert_eq!(out(&output), "accounts");
    let brought = api.brought();
    assert_eq!((brought.len(), &brought[0]), (2, &first));
    assert!(setup.standin.is_active(&brought[1]) && brought[1] != first);
    assert_eq!(daemon.slot("a").generation.0, 2);

    // An API that takes none is asked twice, not for ever.
    let closed = Api::start("", |_| false);
    let output = run(&setup, "python3", "retry_on_401.py", &["a", &closed.url]).unwrap();
    assert!(!output.status.success() && closed.brought().len() <= 2, "{output:?}");
}

#[test]
fn kubectl_brings_the_token_to_its_cluster() {
    let setup = Setup::with_tokens(&["kubernetes"]);
    let _daemon = setup.run_ready();
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        return eprintln!("skipped: there is no kubectl here");
    }
    let version = "{\"major\":\"1\",\"minor\":\"32\",\"gitVersion\":\"v1.32.0\"}";
    let held = setup.read("tokens/kubernetes").unwrap();
    let expected = held.clone();
    let api = Api::start_tls(version, move |token| token == expected);
    let ca = certificate("ca.pem").display().to_string();
    let text = std::fs::read_to_string(example("kubeconfig.yaml")).unwrap();
    let text = text
        .replace("https://kubernetes.example.com:6443", &format!("{}\n      certificate-authority: {ca}", api.url))
        .replace("command: tokend", &format!("command: {}", env!("CARGO_BIN_EXE_tokend")))
        .replace("args: [get,", &format!("args: [get, --socket, {},", setup.path("tokend.sock").display()));
    setup.write("kubeconfig.yaml", &text);
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["get", "--raw", "/version"]).env("KUBECONFIG", setup.path("kubeconfig.yaml"));
    kubectl.env("HOME", setup.dir()).env_remove("http_proxy").env_remove("HTTP_PROXY");
    let output = kubectl.output().unwrap();
    assert_eq!(out(&output).trim_end(), version);
    assert_eq!(api.brought().last(), Some(&held));
}
