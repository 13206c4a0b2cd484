//! Asks the daemon over its socket, for the command line: one connection, one request, one answer.
//! It interprets nothing and tries nothing twice.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::fatal::{Fatal, NOT_ALLOWED, UNAVAILABLE};
use crate::time::for_people;

const PATIENCE: Duration = Duration::from_secs(10);
/// The status of a hundred thousand slots fits.
const LARGEST_ANSWER: usize = 64 << 20;

/// The daemon did not answer, or may not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody answered; in words that name the socket and the remedy.
    #[error("{0}")]
    NoAnswer(String),
    /// The socket, or the daemon, does not let this user in; why, in words.
    #[error("{0}")]
    NotAllowed(String),
}

impl From<AskError> for Fatal {
    fn from(error: AskError) -> Self {
        let code = match &error {
            AskError::NoAnswer(_) => UNAVAILABLE,
            AskError::NotAllowed(_) => NOT_ALLOWED,
        };
        Self::new(code, error.to_string())
    }
}

/// What the daemon answered; any status but 403.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, without parameters.
    pub content_type: Option<String>,
    /// `Retry-After`, which the daemon gives in seconds.
    pub retry_after: Option<Duration>,
    /// The body, at most 64 MiB. It may hold an access token: it is wiped when it is dropped.
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body read as JSON; `None` when it is not what was expected.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What is wrong, in the daemon's words: the `detail` of a problem, else the status.
    #[must_use]
    pub fn problem(&self) -> String {
        let detail = self.json::<Value>().and_then(|body| body.get("detail")?.as_str().map(str::to_owned));
        detail.unwrap_or_else(|| format!("the daemon answered with HTTP status {}", self.status))
    }

    /// All that is wrong, one a line: the `problems` of a problem, else what [`Answer::problem`] says.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let list =
            self.json::<Value>().and_then(|mut body| serde_json::from_value(body.get_mut("problems")?.take()).ok());
        list.unwrap_or_else(|| vec![self.problem()])
    }
}

/// Without the body.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

/// Asks the daemon whose socket is at a path.
#[derive(Clone, Debug)]
pub struct SocketClient {
    path: PathBuf,
    patience: Duration,
}

impl SocketClient {
    /// Asks over the socket at `path`, for 10 s.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), patience: PATIENCE }
    }

    /// The same, but waiting so long for the whole answer.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// `GET target`, wanting an answer of the media type `accept`. Blocks.
    ///
    /// Errors: the daemon does not answer, or not to this user.
    pub fn read(&self, target: &str, accept: &str) -> Result<Answer, AskError> {
        self.block_on(Method::GET, target, accept, None)
    }

    /// `POST target`, wanting JSON, with `body` as JSON if there is one. Blocks.
    ///
    /// Errors: the daemon does not answer, or not to this user.
    pub fn post(&self, target: &str, body: Option<&Value>) -> Result<Answer, AskError> {
        self.block_on(Method::POST, target, "application/json", body)
    }

    fn block_on(&self, method: Method, target: &str, accept: &str, body: Option<&Value>) -> Result<Answer, AskError> {
        let request = request(method, target, accept, body)
            .map_err(|error| AskError::NoAnswer(format!("{target:?} cannot be asked for: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| AskError::NoAnswer(format!("cannot ask the daemon: {error}")))?;
        let answer = runtime.block_on(async { timeout(self.patience, self.exchange(request)).await });
        let too_late = |_| self.no_answer(&format!("no answer within {}", for_people(self.patience)));
        let answer = answer.map_err(too_late)??;
        if answer.status == 403 { Err(AskError::NotAllowed(answer.problem())) } else { Ok(answer) }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, AskError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| self.cannot_connect(&error))?;
        let broken = |_| self.no_answer("the connection broke off");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // What goes wrong with the connection is told to the sender as well.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let (status, content_type, retry_after) = interesting(&response);
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await.map_err(|error| {
            let too_long = error.is::<LengthLimitError>();
            self.no_answer(if too_long { "an answer of more than 64 MiB" } else { "the answer broke off" })
        })?;
        Ok(Answer { status, content_type, retry_after, body: Zeroizing::new(body.to_bytes().into()) })
    }

    fn cannot_connect(&self, error: &io::Error) -> AskError {
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                AskError::NotAllowed(format!("this user may not open the socket {}", self.path.display()))
            }
            io::ErrorKind::NotFound => self.no_answer("there is no such socket"),
            io::ErrorKind::ConnectionRefused => self.no_answer("nobody listens there"),
            _ => self.no_answer(&error.to_string()),
        }
    }

    fn no_answer(&self, why: &str) -> AskError {
        let path = self.path.display();
        AskError::NoAnswer(format!(
            "tokend does not answer on the socket {path} ({why}): is tokend running? See `systemctl status tokend`; \
             `--socket PATH` names another socket"
        ))
    }
}

fn request(
    method: Method,
    target: &str,
    accept: &str,
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let is_post = method == Method::POST;
    let request = Request::builder().method(method).uri(target);
    let request = request.header(HOST, "localhost").header(CONNECTION, "close").header(ACCEPT, accept);
    match body {
        Some(body) => request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body.to_string()))),
        // A POST says that it has no content (RFC 9110 §8.6); hyper leaves that to us.
        None if is_post => request.header(CONTENT_LENGTH, 0).body(Full::default()),
        None => request.body(Full::default()),
    }
}

fn interesting(response: &Response<Incoming>) -> (u16, Option<String>, Option<Duration>) {
    let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(|kind| kind.trim().to_owned());
    let retry_after = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    (response.status().as_u16(), content_type, retry_after)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    /// Listens in `dir`; answers one request with `answer` and gives it back.
    fn answering(dir: &TempDir, answer: &'static [u8]) -> (SocketClient, thread::JoinHandle<String>) {
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut byte = [0];
                assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&request));
                request.push(byte[0]);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(request).unwrap()
        });
        (SocketClient::new(&path), asked)
    }

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        body.len() >= length.map_or(0, |length| length.parse().unwrap())
    }

    fn why(error: AskError) -> (u8, String) {
        let fatal = Fatal::from(error);
        (fatal.code, fatal.to_string())
    }

    #[test]
    fn an_answer_is_given_as_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = answering(
            &dir,
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Type: application/problem+json; a=b\r\n\
              Content-Length: 22\r\n\r\n{\"detail\":\"not ready\"}",
        );
        let answer = client.read("/v1/tokens/a?min_valid=5m", "text/plain").unwrap();
        assert_eq!((answer.status, answer.retry_after), (503, Some(Duration::from_secs(7))));
        assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
        assert_eq!((answer.problem().as_str(), answer.json()), ("not ready", Some(json!({"detail": "not ready"}))));
        assert_eq!(
            asked.join().unwrap(),
            "GET /v1/tokens/a?min_valid=5m HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: text/plain\r\n\r\n"
        );
    }

    #[test]
    fn a_post_carries_json_or_a_length_of_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = answering(&dir, b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.post("/v1/tokens/a/invalidate", Some(&json!({"generation": 7}))).unwrap().status, 202);
        let request = asked.join().unwrap();
        assert!(request.contains("content-type: application/json\r\n") && request.ends_with("{\"generation\":7}"));

        let dir = tempfile::tempdir().unwrap();
        let (client, asked) = answering(&dir, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.post("/v1/reload", None).unwrap().status, 200);
        assert!(asked.join().unwrap().contains("content-length: 0\r\n"));
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let dir = tempfile::tempdir().unwrap();
        let (client, _asked) = answering(&dir, b"HTTP/1.1 200 OK\r\n\r\neyJ.token");
        let answer = client.read("/v1/tokens/a", "text/plain").unwrap();
        assert_eq!(answer.body.as_slice(), b"eyJ.token");
        assert!(!format!("{answer:?}").contains("eyJ"));
    }

    #[test]
    fn a_403_is_not_allowed_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let (client, _asked) =
            answering(&dir, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 22\r\n\r\n{\"detail\":\"only root\"}");
        assert_eq!(why(client.post("/v1/reload", None).unwrap_err()), (77, "only root".into()));
    }

    #[test]
    fn nobody_there_is_said_with_the_socket_and_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let ask = || why(SocketClient::new(&path).read("/v1/status", "application/json").unwrap_err());
        let (code, text) = ask();
        assert_eq!(code, 69);
        assert!(text.contains(path.to_str().unwrap()) && text.contains("no such socket"), "{text}");
        assert!(text.contains("is tokend running?") && text.contains("systemctl status tokend"), "{text}");
        drop(UnixListener::bind(&path).unwrap());
        assert!(ask().1.contains("nobody listens"), "{}", ask().1);
        let long = Path::new("/").join("x".repeat(200));
        assert_eq!(why(SocketClient::new(&long).read("/v1/status", "*/*").unwrap_err()).0, 69);
    }

    #[test]
    fn a_closed_socket_is_not_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        // Root may open every socket, and would wait here.
        let client = SocketClient::new(&path).with_patience(Duration::from_millis(1));
        let expected = if rustix::process::geteuid().is_root() { 69 } else { 77 };
        assert_eq!(why(client.read("/v1/status", "*/*").unwrap_err()).0, expected);
    }

    #[test]
    fn silence_and_broken_answers_are_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let client = SocketClient::new(&path).with_patience(Duration::from_millis(1));
        let (code, text) = why(client.read("/v1/status", "*/*").unwrap_err());
        assert!(code == 69 && text.contains("no answer within"), "{text}");
        drop(listener);
        for broken in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", b"SSH-2.0-OpenSSH_9.6\r\n"] {
            let dir = tempfile::tempdir().unwrap();
            let (client, _asked) = answering(&dir, broken);
            let (code, text) = why(client.read("/v1/status", "*/*").unwrap_err());
            assert!(code == 69 && text.contains("broke off"), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_not_asked() {
        let client = SocketClient::new(Path::new("/nowhere"));
        assert!(client.read("/v1/tokens/a b", "*/*").unwrap_err().to_string().contains("cannot be asked"));
    }
}
