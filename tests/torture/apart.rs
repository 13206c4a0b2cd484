//! Tests that mount something run in a mount namespace of their own, which ends with them.

use std::process::Command;

use crate::strace::skip;

/// Says to the test that it runs where nobody else sees its mounts.
const APART: &str = "TORTURE_APART";

/// Whether this runs where nobody else sees its mounts.
pub fn is_apart() -> bool {
    std::env::var_os(APART).is_some()
}

/// Runs the test of this name there.
pub fn run_apart(name: &str) {
    let mut command = Command::new("unshare");
    command.arg("--mount").arg(std::env::current_exe().unwrap());
    let output = command.args(["--nocapture", "--exact", name]).env(APART, "1").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if said.contains("unshare failed") {
        skip(&format!("no mount namespace can be had: {}", said.trim()));
        return;
    }
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"));
}
