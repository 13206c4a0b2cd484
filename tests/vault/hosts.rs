//! Two hosts, each a network namespace with a loopback of its own, share one Open Payments account
//! through Vault: one asks, the other follows.

use std::io::{self, copy};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokend::demo::standin::Vendor;

use crate::bao::Bao;
use crate::setup::{Setup, skip, wait_until};
use crate::sinks::vault_with_token;

const IP: &str = "/usr/sbin/ip";
const CONTEXTS: [&str; 2] = ["private", "corporate"];

/// A network namespace that a cable joins to ours; it is gone when this is dropped.
struct Host {
    name: String,
    /// Our end of the cable.
    near: Ipv4Addr,
}

impl Host {
    /// `None` after saying why there is none.
    fn or_skip(number: u8) -> Option<Self> {
        match Self::new(number) {
            Ok(host) => Some(host),
            Err(why) => {
                skip(&why);
                None
            }
        }
    }

    fn new(number: u8) -> Result<Self, String> {
        let pid = std::process::id();
        let subnet = (pid % 250) as u8 + 1;
        let (near, far) = (Ipv4Addr::new(10, 199 + number, subnet, 1), Ipv4Addr::new(10, 199 + number, subnet, 2));
        let (name, cable, end) =
            (format!("tokend-{pid}-{number}"), format!("tk{pid}{number}a"), format!("tk{pid}{number}b"));
        ip(&["netns", "add", &name])?;
        let host = Self { name, near };
        ip(&["link", "add", &cable, "type", "veth", "peer", "name", &end, "netns", &host.name])?;
        ip(&["addr", "add", &format!("{near}/24"), "dev", &cable])?;
        ip(&["link", "set", &cable, "up"])?;
        ip(&["-n", &host.name, "link", "set", "lo", "up"])?;
        ip(&["-n", &host.name, "addr", "add", &format!("{far}/24"), "dev", &end])?;
        ip(&["-n", &host.name, "link", "set", &end, "up"])?;
        Ok(host)
    }

    /// Whoever on the host connects to `port` on its loopback gets over the cable to that of ours.
    fn reach(&self, port: u16) {
        let ours = TcpListener::bind((self.near, port)).unwrap();
        thread::spawn(move || forward(&ours, (Ipv4Addr::LOCALHOST, port).into()));
        let (name, near) = (self.name.clone(), self.near);
        let (bound, is_bound) = channel();
        thread::spawn(move || {
            let namespace = std::fs::File::open(Path::new("/run/netns").join(name)).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let its = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
            bound.send(()).unwrap();
            forward(&its, (near, port).into());
        });
        is_bound.recv().unwrap();
    }

    /// The daemon of `setup` as a command on this host.
    fn daemon(&self, setup: &Setup) -> Command {
        let mut command = Command::new(IP);
        command.args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_tokend"), "run", "--config"]);
        command.arg(setup.path("tokend.toml")).env_clear().current_dir(setup.dir());
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(IP).args(arguments).output().map_err(|error| format!("{IP} (iproute2): {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {said}", arguments.join(" "))) }
}

/// Joins everyone who connects to `listener` to `to`. The connection is made by the thread that
/// listens, and so in its namespace.
fn forward(listener: &TcpListener, to: SocketAddr) {
    for near in listener.incoming() {
        let (Ok(near), Ok(far)) = (near, TcpStream::connect(to)) else { continue };
        let back = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || carry(&near, &far));
        thread::spawn(move || carry(&back.1, &back.0));
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let _: io::Result<u64> = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn port_of(url: &str) -> u16 {
    url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
}

/// The tokens `private` and `corporate` of one account, in files and in Vault.
fn issuing(setup: &Setup) -> String {
    let token = |context: &str| {
        let file = setup.path("tokens").join(context).display().to_string();
        format!(
            "[tokens.{context}]\nprovider = \"bank\"\npsu_context = \"{context}\"\nscopes = [\"accountinformation\"]\n\
             sinks = [{{ file = \"{file}\" }}, {{ vault = \"secret/psd2/{context}\" }}]\n"
        )
    };
    CONTEXTS.map(token).concat()
}

fn following(setup: &Setup) -> String {
    let token = |context: &str| {
        let file = setup.path("tokens").join(context).display().to_string();
        format!(
            "[tokens.{context}]\nfollow = {{ vault = \"secret/psd2/{context}\", server = \"main\" }}\n\
             sinks = [{{ file = \"{file}\" }}]\n"
        )
    };
    CONTEXTS.map(token).concat()
}

#[test]
fn two_hosts_that_share_an_account_through_vault_issue_once_per_context() {
    let Some(bao) = Bao::or_skip() else { return };
    let (Some(first), Some(second)) = (Host::or_skip(0), Host::or_skip(1)) else { return };
    let issuer = Setup::with_lifetime(Duration::from_secs(20));
    let bank = issuer.open_payments("bank", "");
    issuer.configure(&[vault_with_token(&issuer, &bao, ""), bank, issuing(&issuer)]);
    let follower = Setup::new();
    follower.configure(&[vault_with_token(&follower, &bao, ""), following(&follower)]);
    for port in [port_of(&bao.address()), port_of(issuer.standin.base())] {
        first.reach(port);
        second.reach(port);
    }
    let here = follower.run_command(second.daemon(&follower));
    let there = issuer.run_command(first.daemon(&issuer));
    there.wait_ready();
    here.wait_ready();
    let mut before = [0; CONTEXTS.len()];
    for issued in [1, 2] {
        for (context, before) in CONTEXTS.into_iter().zip(&mut before) {
            let file = format!("tokens/{context}");
            let path = format!("/v1/tokens/{context}");
            let generation = |daemon: &crate::setup::Daemon<'_>| daemon.get(&path).json()["generation"].as_u64();
            wait_until("both hosts hold the same one, and another than before", || {
                let (mine, its) = (generation(&here), generation(&there));
                let same = mine == its && follower.read(&file) == issuer.read(&file);
                same && mine > Some(*before) && follower.read(&file).is_some()
            });
            *before = generation(&here).unwrap();
            assert_eq!(*before, issued, "{context}");
        }
        assert_eq!(issuer.issued(Vendor::OpenPayments), issued * 2, "one for each context");
    }
    let asked = issuer.standin.look(|journal| journal.entries().len());
    assert_eq!(asked, 4, "and nobody asked for anything else");
    assert!(follower.standin.look(|journal| journal.entries().is_empty()));
}
