//! A server that asks to be left alone (`Retry-After`).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::spawn;

use crate::setup::{Setup, wait_until};

#[test]
fn a_server_that_asked_for_patience_is_asked_nothing_before_that_is_over() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    spawn(move || {
        for mut stream in busy.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let answer =
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let setup = Setup::new();
    setup.write("secrets/token", "hvs.something");
    let vault = format!(
        "[vaults.main]\naddress = \"http://{address}\"\nauth = {{ method = \"token\", token = {{ file = \"@DIR@/secrets/token\" }} }}\n"
    );
    let sinks = "{ vault = \"secret/a\", required = false }, { vault = \"secret/b\", required = false }";
    let token = format!("[tokens.api]\nprovider = \"api\"\nsinks = [{sinks}]\n");
    setup.configure(&[vault, setup.oauth2("api", ""), token]);
    let daemon = setup.run_ready();
    wait_until("both were tried again", || {
        let sinks = daemon.slot("api").tokens[0].sinks.clone();
        sinks.iter().all(|sink| sink.error.as_ref().is_some_and(|why| why.contains("asked for patience for 59m")))
    });
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}
