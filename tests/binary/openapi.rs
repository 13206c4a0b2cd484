//! The socket as `packaging/openapi.yaml` describes it: schemathesis asks the real daemon whatever it
//! can think of. It speaks TCP, so a bridge stands between.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::setup::Setup;

/// Where `.ci/run` puts it.
fn schemathesis() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/schemathesis")
}

/// A port on loopback that leads to `socket`.
fn bridge(socket: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), UnixStream::connect(&socket).unwrap());
            thread::spawn(move || carry(&near, &far));
        }
    });
    url
}

fn carry(near: &TcpStream, far: &UnixStream) {
    let (mut there, mut back) = ((near, far), (far, near));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut there.0, &mut there.1);
            let _ = far.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut back.0, &mut back.1);
        let _ = near.shutdown(Shutdown::Both);
    });
}

#[test]
fn the_daemon_answers_as_its_description_says() {
    if !schemathesis().exists() {
        return eprintln!("skipped: there is no schemathesis in target/tools; .ci/run installs it");
    }
    let setup = Setup::with_tokens(&["accounts-corporate", "other"]);
    let daemon = setup.run_ready();
    let url = bridge(setup.path("tokend.sock"));
    setup.write(
        "schemathesis.toml",
        "[checks]\nnot_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 502, 503]\n",
    );
    let output = Command::new(schemathesis())
        .arg("--config-file")
        .arg(setup.path("schemathesis.toml"))
        .args(["run", "--url", &url, "--max-examples", "25", "--seed", "1", "--no-color", "--request-timeout", "60"])
        .args(["--generation-database", "none", "--suppress-health-check", "all"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/openapi.yaml"))
        .current_dir(setup.dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(daemon.get("/healthz").status, 200, "and it lives");
}
