//! A door before a server, which counts who comes in.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::spawn;

/// Passes connections on, as long as there is a server behind it.
pub struct Door {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Door {
    /// A door before the server at `address`, `http://HOST:PORT`.
    pub fn before(address: &str) -> Self {
        let behind = address.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                if let Ok(server) = TcpStream::connect(&behind) {
                    pass(&stream, &server);
                }
            }
        });
        Self { address, connections }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many came in so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn pass(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}
