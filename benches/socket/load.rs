//! Clients: as little as it takes to ask and to see the answer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const READ: &[u8] = b"GET /v1/tokens/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const READ_ONCE: &[u8] = b"GET /v1/tokens/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const WAIT: &[u8] = b"GET /v1/tokens/a?wait=5m HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"1\"\r\n\r\n";

/// One whole answer, on a connection of its own.
pub fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(READ_ONCE)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Reads a second, one after the other on one connection.
pub fn keep_alive(socket: &Path, span: Duration) -> crate::Outcome<f64> {
    let mut stream = UnixStream::connect(socket)?;
    let mut answer = vec![0; first(&mut stream)?];
    let (began, mut reads) = (Instant::now(), 0_u32);
    while began.elapsed() < span {
        stream.write_all(READ)?;
        stream.read_exact(&mut answer)?;
        reads += 1;
    }
    if !answer.starts_with(b"HTTP/1.1 200") || !answer.ends_with(b"}") {
        return Err("the answers changed their length".into());
    }
    Ok(f64::from(reads) / began.elapsed().as_secs_f64())
}

/// Asks once; how long the answer is.
fn first(stream: &mut UnixStream) -> crate::Outcome<usize> {
    stream.write_all(READ)?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut part)?;
        answer.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let body = head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
        let whole = head.len() + 4 + body.parse::<usize>()?;
        if answer.len() >= whole {
            return Ok(whole);
        }
    }
}

/// Reads a second by so many clients at once, each on a connection of its own.
pub fn connect_each(socket: &Path, clients: usize, span: Duration) -> crate::Outcome<f64> {
    let began = Instant::now();
    let reads = thread::scope(|scope| {
        let client = || {
            let mut reads = 0_u32;
            while began.elapsed() < span {
                if !ask(socket)?.starts_with(b"HTTP/1.1 200") {
                    return Err(io::Error::other("not 200"));
                }
                reads += 1;
            }
            Ok(reads)
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let joined = clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(io::Error::other("a bug"))));
        joined.sum::<io::Result<u32>>()
    })?;
    Ok(f64::from(reads) / began.elapsed().as_secs_f64())
}

/// Clients that begin a request and do not go on.
pub fn stall(socket: &Path, count: u32) -> io::Result<Vec<UnixStream>> {
    connected(socket, count, b"GET /v1/tok")
}

/// Clients that have read once and keep their connection.
pub fn rest(socket: &Path, count: u32) -> io::Result<Vec<UnixStream>> {
    let mut streams = connected(socket, count, READ)?;
    let mut answer = [0; 4096];
    streams.iter_mut().try_for_each(|stream| stream.read(&mut answer).map(|_| ()))?;
    Ok(streams)
}

/// Clients that wait for the second generation.
pub fn wait_each(socket: &Path, count: u32) -> io::Result<Vec<UnixStream>> {
    connected(socket, count, WAIT)
}

fn connected(socket: &Path, count: u32, said: &[u8]) -> io::Result<Vec<UnixStream>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(said)?;
        streams.push(stream);
    }
    Ok(streams)
}
