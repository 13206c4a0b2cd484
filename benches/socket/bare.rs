//! The other sides: servers with nothing but what they cannot do without, that answer the same bytes.

use std::convert::Infallible;
use std::fs::{read, write};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Response};
use hyper_util::rt::TokioIo;
use rustix::process::Pid;

use crate::{Outcome, SERVER, pin};

pub const BARE_HYPER: &str = "bare-hyper";
pub const BARE_LOOP: &str = "bare-loop";

/// A bare server, as a process of its own.
pub struct Bare {
    child: Child,
    pub socket: PathBuf,
}

impl Bare {
    pub fn start(word: &str, directory: &Path, answer: &[u8]) -> Outcome<Self> {
        let (socket, file) = (directory.join(word), directory.join(format!("{word}.answer")));
        write(&file, answer)?;
        let child = Command::new(std::env::current_exe()?).arg(word).arg(&socket).arg(&file).spawn()?;
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            pin(Some(pid), SERVER);
        }
        while UnixStream::connect(&socket).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { child, socket })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves for ever.
pub fn serve(word: &str, socket: &Path, answer: &Path) -> Outcome<ExitCode> {
    let answer = read(answer)?;
    if word == BARE_LOOP {
        return loop_for_ever(socket, &answer);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(hyper_for_ever(socket, &answer))
}

/// Accepts, reads once, answers, closes.
fn loop_for_ever(socket: &Path, answer: &[u8]) -> Outcome<ExitCode> {
    let listener = UnixListener::bind(socket)?;
    let mut request = [0; 4096];
    loop {
        let (mut stream, _) = listener.accept()?;
        // Who goes away meanwhile is no reason to end.
        if stream.read(&mut request).is_ok() {
            let _ = stream.write_all(answer);
        }
    }
}

async fn hyper_for_ever(socket: &Path, answer: &[u8]) -> Outcome<ExitCode> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").ok_or("no head")?;
    let body = Bytes::copy_from_slice(&answer[end + 4..]);
    let mut headers = HeaderMap::new();
    for line in std::str::from_utf8(&answer[..end])?.lines().skip(1) {
        let (name, value) = line.split_once(": ").ok_or("no header")?;
        // It makes these itself.
        if !["content-length", "date", "connection"].contains(&name) {
            headers.insert(hyper::header::HeaderName::try_from(name)?, value.parse()?);
        }
    }
    let listener = tokio::net::UnixListener::bind(socket)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (headers, body) = (headers.clone(), body.clone());
        let service = service_fn(move |_| {
            let mut response = Response::new(Full::new(body.clone()));
            response.headers_mut().clone_from(&headers);
            async { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
