//! Asked as the service manager asks, and by others.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketType, bind, connect, shutdown, socket};
use tokio::task::spawn_blocking;

use super::*;
use crate::access_token::{AccessToken, Clock, Generation};
use crate::fixtures::{config, own_slot};
use crate::inbox::Inbox;
use crate::reloading::Beginning;
use crate::secret::Secret;
use crate::systemd::Service;

fn offer(shelf: &Shelf, units: &[&str], text: Option<&str>) {
    let mut slot = own_slot("a");
    slot.tokens[0].readers.units = units.iter().map(|unit| (*unit).to_owned()).collect();
    let access_token = text.map(|text| {
        Arc::new(AccessToken {
            secret: Secret::new(text.to_owned()),
            token_type: "Bearer".into(),
            scopes: Vec::new(),
            issued_at: now(),
            expires_at: now() + Duration::from_hours(1),
            generation: Generation(1),
            extra: std::collections::BTreeMap::default(),
            clock: Clock::Boot,
        })
    });
    shelf.put(Name::parse("a").unwrap(), Item::new(Arc::new(slot), access_token));
}

/// A served socket in `directory`.
fn serving(directory: &Path, shelf: &Shelf) -> std::path::PathBuf {
    let path = directory.join("credentials.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (inbox, _, _) = Inbox::new();
    let reloads = Reloads::new(Beginning {
        path: "/nowhere/tokend.toml".into(),
        config: config(&[own_slot("a")]),
        fingerprint: String::new(),
        inbox,
        notice: Service::new(now()).reloads(),
    });
    tokio::spawn(serve_credentials(listener, shelf.clone(), reloads));
    path
}

/// Asks as the service manager does: from an abstract address, without a word.
fn ask(path: &Path, address: &str) -> String {
    let stream = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    if !address.is_empty() {
        bind(&stream, &SocketAddrUnix::new_abstract_name(address.as_bytes()).unwrap()).unwrap();
    }
    connect(&stream, &SocketAddrUnix::new(path).unwrap()).unwrap();
    shutdown(&stream, Shutdown::Write).unwrap();
    let mut answer = String::new();
    StdStream::from(stream).read_to_string(&mut answer).unwrap();
    answer
}

async fn answer(path: &Path, address: &str) -> String {
    let (path, address) = (path.to_owned(), address.to_owned());
    spawn_blocking(move || ask(&path, &address)).await.unwrap()
}

/// An address that nobody else has.
fn address(rest: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{}x{}{rest}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn only_root_speaks_for_units_and_the_address_names_one() {
    let ask = |uid, address: &str| wanted(uid, Some(address.as_bytes())).map(|w| (w.unit, w.token.to_string()));
    assert_eq!(ask(0, "b3a1/unit/api.service/a-token"), Ok(("api.service".into(), "a-token".into())));
    assert_eq!(ask(0, "b3a1/unit/api@1.service/a"), Ok(("api@1.service".into(), "a".into())));
    for (uid, address) in [
        (1000, "b3a1/unit/api.service/a"),
        (65_534, "b3a1/unit/api.service/a"),
        (0, "b3a1/unit/api.service"),
        (0, "b3a1/unit//a"),
        (0, "b3a1/unit/api.service/"),
        (0, "b3a1/unit/api.service/a/b"),
        (0, "b3a1/api.service/a"),
        (0, ""),
    ] {
        assert!(ask(uid, address).is_err(), "{uid} {address}");
    }
    assert!(wanted(0, None).is_err() && wanted(0, Some(b"b/unit/\xff/a")).is_err());
}

#[tokio::test]
async fn a_unit_that_readers_name_gets_its_token_and_nobody_else_a_byte() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can play the service manager");
    }
    let (directory, shelf) = (tempfile::tempdir().unwrap(), Shelf::default());
    offer(&shelf, &["api.service"], Some("the-token"));
    let path = serving(directory.path(), &shelf);
    assert_eq!(answer(&path, &address("/unit/api.service/a")).await, "the-token");
    for rest in ["/unit/other.service/a", "/unit/api.service/b", "/unit/api.service/..", "/nothing"] {
        assert_eq!(answer(&path, &address(rest)).await, "", "{rest}");
    }
    assert_eq!(answer(&path, "").await, "", "without an address");
}

#[tokio::test]
async fn a_unit_waits_until_a_valid_token_is_held() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can play the service manager");
    }
    let (directory, shelf) = (tempfile::tempdir().unwrap(), Shelf::default());
    offer(&shelf, &["api.service"], None);
    let path = serving(directory.path(), &shelf);
    let waiting = tokio::spawn(async move { answer(&path, &address("/unit/api.service/a")).await });
    while !shelf.is_awaited() {
        tokio::task::yield_now().await;
    }
    offer(&shelf, &["api.service"], Some("the-token"));
    assert_eq!(waiting.await.unwrap(), "the-token");
}

#[tokio::test]
async fn an_impostor_that_binds_the_same_address_gets_nothing() {
    let script = "import socket, sys\npeer = socket.socket(socket.AF_UNIX)\npeer.bind('\\0' + sys.argv[2])\n\
                  peer.connect(sys.argv[1])\nsys.stdout.buffer.write(b'got:' + peer.recv(4096))";
    let (directory, shelf) = (tempfile::tempdir().unwrap(), Shelf::default());
    offer(&shelf, &["api.service"], Some("the-token"));
    let path = serving(directory.path(), &shelf);
    for path in [directory.path(), &path] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut impostor = Command::new("setpriv");
    impostor.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/env", "python3", "-c", script]);
    impostor.arg(&path).arg(address("/unit/api.service/a"));
    let Ok(output) = spawn_blocking(move || impostor.output()).await.unwrap() else {
        return eprintln!("skipped: there is no setpriv here");
    };
    if !output.status.success() {
        return eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "got:");
}
