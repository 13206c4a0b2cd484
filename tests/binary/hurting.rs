//! What peers may do to the socket: stall, crowd, send junk, not read. Others are served all the same.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::setup::{Daemon, Setup};

/// A daemon with room for 32 connections.
fn run_small(setup: &Setup) -> Daemon<'_> {
    let inner = setup.command(&["run"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    let daemon = setup.run_command(command);
    daemon.wait_ready();
    daemon
}

fn stalled(setup: &Setup) -> UnixStream {
    let mut stream = UnixStream::connect(setup.path("tokend.sock")).unwrap();
    stream.write_all(b"GET /v1/tok").unwrap();
    stream
}

#[test]
fn stalled_clients_make_room_and_hold_up_nobody() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: others than root hold a quarter at most");
    }
    let setup = Setup::with_tokens(&["a"]);
    let daemon = run_small(&setup);
    let mut stalled: Vec<UnixStream> = (0..40).map(|_| stalled(&setup)).collect();
    for _ in 0..3 {
        assert_eq!(daemon.get("/v1/tokens/a").status, 200);
    }
    // The longest in the middle of a request went first.
    assert_eq!(stalled[0].read(&mut [0]).unwrap_or(0), 0);
    let last = stalled.last_mut().unwrap();
    last.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(last.read(&mut [0]).is_err(), "the last one is still there");
}

#[test]
fn another_user_takes_a_quarter_of_the_places_and_no_more() {
    let setup = Setup::with_tokens(&["a"]);
    let script = "import socket, sys, time\npeers = []\nfor _ in range(12):\n    peer = socket.socket(socket.AF_UNIX)\n    \
                  peer.connect(sys.argv[1])\n    peer.sendall(b'GET /v1/tok')\n    peers.append(peer)\n\
                  gone = sum(1 for peer in peers[:4] if peer.recv(1) == b'')\nprint(gone, flush=True)\ninput()";
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let daemon = run_small(&setup);
    std::fs::set_permissions(setup.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut crowd = Command::new("setpriv");
    crowd.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/env", "python3", "-c", script]);
    crowd.arg(setup.path("tokend.sock")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut crowd) = crowd.spawn() else { return eprintln!("skipped: there is no setpriv here") };
    let mut said = [0; 2];
    if crowd.stdout.as_mut().unwrap().read_exact(&mut said).is_err() {
        crowd.wait().unwrap();
        return eprintln!("skipped: another user has no python3 here");
    }
    assert_eq!(&said, b"4\n", "of twelve the first four had to go");
    assert_eq!(daemon.get("/v1/tokens/a").status, 200);
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
}

#[test]
fn junk_harms_nobody() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let long = [b"GET /".to_vec(), vec![b'a'; 100_000]].concat();
    let junk: [&[u8]; 7] = [
        b"\0\xff\x16\x03\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/tokens/a/invalidate HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/tokens/a/invalidate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/tokens/a?wait=%ff&min_valid=%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        &long,
    ];
    for bytes in junk {
        let mut stream = UnixStream::connect(setup.path("tokend.sock")).unwrap();
        // It may be cut off before all of it was sent.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(daemon.get("/v1/tokens/a").status, 200);
    }
}

#[test]
fn who_does_not_read_is_cut_off() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let mut greedy = UnixStream::connect(setup.path("tokend.sock")).unwrap();
    greedy.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let requests = b"GET /v1/tokens/a HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    // Until its own requests are no longer taken, because the answers are not.
    while greedy.write_all(&requests).is_ok() {}
    assert_eq!(daemon.get("/v1/tokens/a").status, 200, "nobody else notices");
    let held = || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let before = held();
    crate::setup::wait_until("it is cut off", || held() < before);
}
