//! The socket that the service manager opened and passed on (socket activation): it stays when the
//! daemon goes, so that who connects meanwhile waits instead of being refused. Path, owner and mode
//! of such a socket are the socket unit's business; it is neither made nor removed here.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// The name of its socket unit, which systemd passes with the descriptor unless told otherwise.
const NAME: &str = "tokend.socket";
/// What `tokend-credentials.socket` calls its own, and what systemd calls it if nobody does.
const CREDENTIALS: [&str; 2] = ["credentials", "tokend-credentials.socket"];

/// The sockets that were passed on.
#[derive(Debug, Default)]
pub struct Passed {
    /// That of `tokend.socket`.
    pub socket: Option<Inherited>,
    /// That of `tokend-credentials.socket`.
    pub credentials: Option<Inherited>,
}

/// A socket that was passed on.
#[derive(Debug)]
pub struct Inherited {
    /// The socket, listening.
    pub listener: UnixListener,
    /// Where it is; `None` for an abstract one.
    pub path: Option<PathBuf>,
}

impl Inherited {
    /// The socket of `tokend.socket`, or the only one if it has no name, and that of
    /// `tokend-credentials.socket`. To be called before the
    /// process has opened anything: a number that was not passed after all is then found to be none.
    /// Nothing at the second call: a descriptor has one owner.
    ///
    /// Errors: why what was passed on cannot be used, and what to do.
    pub fn take() -> Result<Passed, String> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Passed::default());
        }
        // What was passed to a process that started this one is none of its business.
        let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        if !ours {
            return Ok(Passed::default());
        }
        let passed = sd_notify::listen_fds_with_names();
        let passed = passed.map_err(|error| format!("sockets of the service manager: {error}"))?;
        let (credentials, others): (Vec<_>, Vec<_>) =
            passed.partition(|(_, name)| CREDENTIALS.contains(&name.as_str()));
        let take = |fd| checked(owned(fd));
        let socket = choose(&others)?.map(take).transpose()?;
        Ok(Passed { socket, credentials: credentials.first().map(|(fd, _)| take(*fd)).transpose()? })
    }
}

/// Which of the descriptors is the socket to serve.
fn choose(passed: &[(RawFd, String)]) -> Result<Option<RawFd>, String> {
    let ours = passed.iter().find(|(_, name)| name == NAME);
    match (ours, passed) {
        (Some((fd, _)), _) | (None, [(fd, _)]) => Ok(Some(*fd)),
        (None, []) => Ok(None),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            Err(format!(
                "the service manager passed the sockets {}, and none is called {NAME}: \
                 set FileDescriptorName={NAME} in its socket unit",
                names.join(", ")
            ))
        }
    }
}

#[expect(unsafe_code, reason = "what is passed by number can be owned in no other way")]
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: `sd_notify` has found this number to be an open descriptor that the environment says was
    // passed to this very process; the process has opened none of its own yet; `take` asks for it once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn checked(socket: OwnedFd) -> Result<Inherited, String> {
    let is = sockopt::socket_domain(&socket) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(&socket) == Ok(SocketType::STREAM)
        && sockopt::socket_acceptconn(&socket) == Ok(true);
    if !is {
        return Err(format!(
            "what the service manager passed is no listening Unix stream socket: \
             {NAME} takes ListenStream= with a path, and no Accept="
        ));
    }
    let listener = UnixListener::from(socket);
    let wrong = |error| format!("the socket that the service manager passed: {error}");
    listener.set_nonblocking(true).map_err(wrong)?;
    let path = listener.local_addr().map_err(wrong)?.as_pathname().map(PathBuf::from);
    Ok(Inherited { listener, path })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn passed(names: &[&str]) -> Vec<(RawFd, String)> {
        (3..).zip(names.iter().map(|name| (*name).to_owned())).collect()
    }

    #[test]
    fn the_socket_is_the_one_of_its_unit_or_the_only_one() {
        assert_eq!(choose(&passed(&[])), Ok(None));
        assert_eq!(choose(&passed(&["unknown"])), Ok(Some(3)));
        assert_eq!(choose(&passed(&["other.socket", "tokend.socket"])), Ok(Some(4)));
        let said = choose(&passed(&["a.socket", "b.socket"])).unwrap_err();
        assert!(said.contains("a.socket, b.socket") && said.contains("FileDescriptorName=tokend.socket"), "{said}");
    }

    #[test]
    fn only_a_listening_unix_stream_socket_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let inherited = checked(UnixListener::bind(&path).unwrap().into()).unwrap();
        assert_eq!(inherited.path, Some(path.clone()));
        let connected = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let listening_on_tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for wrong in [OwnedFd::from(connected), listening_on_tcp.into()] {
            assert!(checked(wrong).unwrap_err().contains("ListenStream="));
        }
    }
}
