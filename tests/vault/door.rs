//! A door before a server, which notes what is asked and can keep it to itself.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// Passes requests on, as long as there is a server behind it.
pub struct Door {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    inside: Arc<Mutex<Vec<TcpStream>>>,
}

struct Keeper<F> {
    behind: String,
    asked: Arc<Mutex<Vec<String>>>,
    passes: F,
}

impl Door {
    /// A door before the server at `address`, `SCHEME://HOST:PORT`.
    pub fn before(address: &str) -> Self {
        Self::kept(address, |_| true)
    }

    /// The same with a keeper who hears of each request, as [`Self::asked`] gives it, before the server
    /// does: what does not pass is never answered.
    pub fn kept(address: &str, passes: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let (scheme, behind) = address.split_once("://").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let keeper = Arc::new(Keeper { behind: behind.to_owned(), asked: Arc::clone(&asked), passes });
        let inside = Arc::<Mutex<Vec<TcpStream>>>::default();
        let entering = Arc::clone(&inside);
        spawn(move || {
            for client in listener.incoming().flatten() {
                entering.lock().unwrap().push(client.try_clone().unwrap());
                let keeper = Arc::clone(&keeper);
                spawn(move || keeper.attend(&client));
            }
        });
        Self { address, asked, inside }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Hangs up on all who are connected.
    pub fn hang_up(&self) {
        for client in self.inside.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// What was asked so far: `METHOD /path` of each request; of what is encrypted `TLS` for each
    /// connection.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl<F: Fn(&str) -> bool> Keeper<F> {
    /// Without a server behind it one request is heard, and the connection closed.
    fn attend(&self, mut client: &TcpStream) {
        let server = TcpStream::connect(&self.behind).ok();
        if let Some(server) = &server {
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            spawn(move || {
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        let (mut buffer, mut passes, mut first) = ([0; 16 * 1024], true, true);
        while let Some(read) = client.read(&mut buffer).ok().filter(|read| *read > 0) {
            let request = request_in(&buffer[..read]);
            if let Some(request) = request.or_else(|| first.then(|| "TLS".to_owned())) {
                self.asked.lock().unwrap().push(request.clone());
                passes = (self.passes)(&request);
            }
            first = false;
            let Some(mut server) = server.as_ref() else { break };
            if passes && server.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.map(|server| server.shutdown(Shutdown::Both));
    }
}

/// `METHOD /path`, where a request begins.
fn request_in(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    version.starts_with("HTTP/").then(|| format!("{method} {}", path.trim_end_matches('?')))
}
