//! What a process of another user could take from the running daemon: nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::setup::Setup;
use crate::strace::skip;

#[test]
fn the_process_is_not_dumpable_so_that_its_memory_is_for_root_alone() {
    if !rustix::process::geteuid().is_root() {
        skip("what belongs to another user than root is seen by root alone");
        return;
    }
    let setup = Setup::with_tokens(&["a"]);
    // As another user: then what is not dumpable shows as root's.
    for directory in [".", "secrets", "tokens"] {
        std::os::unix::fs::chown(setup.path(directory), Some(65_534), Some(65_534)).unwrap();
    }
    for file in ["tokend.toml", "secrets/a"] {
        std::os::unix::fs::chown(setup.path(file), Some(65_534), Some(65_534)).unwrap();
    }
    let binary = setup.path("tokend");
    fs::copy(env!("CARGO_BIN_EXE_tokend"), &binary).unwrap();
    let of_tokend = setup.command(&["run"]);
    let mut command = std::process::Command::new(&binary);
    command.args(of_tokend.get_args()).env_clear().current_dir(setup.dir());
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    std::os::unix::process::CommandExt::gid(&mut command, 65_534);
    let mut daemon = setup.spawn(command);
    daemon.wait_socket();
    daemon.wait_ready();
    let owner = |file: &str| fs::metadata(format!("/proc/{}/{file}", daemon.pid())).unwrap().uid();
    assert_eq!((owner("mem"), owner("environ"), owner("maps")), (0, 0, 0));
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    assert!(status.contains("\nUid:\t65534\t65534"), "{status}");
}
