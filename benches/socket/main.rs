//! The figures of the socket, each held against its limit:
//!
//! `cargo bench --bench socket`
//!
//! Servers run as processes of their own on one processor, clients on another; both sides of a ratio
//! run in turn, several rounds, and the median counts. Ends with 1 when a limit is missed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures the world")]

mod bare;
mod daemon;
mod load;
mod waking;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::bare::{BARE_HYPER, BARE_LOOP, Bare};
use crate::daemon::Daemon;
use crate::load::{connect_each, keep_alive, stall};

/// What goes wrong ends the run, in words.
type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5;
const SPAN: Duration = Duration::from_secs(1);
const CLIENTS: usize = 16;
const STALLED: u32 = 300;
const CROWD: u32 = 1000;
/// Which processor is the servers', and which the clients'.
const SERVER: usize = 0;
const CLIENT: usize = 1;

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, socket, answer] = arguments.as_slice()
        && (word == BARE_HYPER || word == BARE_LOOP)
    {
        return bare::serve(word, &PathBuf::from(socket), &PathBuf::from(answer));
    }
    raise_descriptors()?;
    pin(None, CLIENT);
    let directory = tempfile::tempdir()?;
    let daemon = Daemon::start(directory.path())?;
    let answer = daemon.answer()?;
    let hyper = Bare::start(BARE_HYPER, directory.path(), &answer)?;
    let plain = Bare::start(BARE_LOOP, directory.path(), &answer)?;
    let mut all_hold = true;
    let mut tell = |what: &str, value: f64, limit: f64| {
        all_hold &= value >= limit;
        println!("{what:<66} {value:>6.2}   at least {limit}");
    };

    let kept = ratios(|| Ok((keep_alive(&daemon.socket, SPAN)?, keep_alive(&hyper.socket, SPAN)?)))?;
    tell("reads on one keep-alive connection, of a bare hyper server", kept.ratio, 0.7);
    let each =
        ratios(|| Ok((connect_each(&daemon.socket, CLIENTS, SPAN)?, connect_each(&plain.socket, CLIENTS, SPAN)?)))?;
    tell("reads with a connection each, 16 clients, of a bare loop", each.ratio, 0.6);
    let beside = ratios(|| {
        let alone = connect_each(&daemon.socket, CLIENTS, SPAN)?;
        let stalled = stall(&daemon.socket, STALLED)?;
        let crowded = connect_each(&daemon.socket, CLIENTS, SPAN)?;
        drop(stalled);
        Ok((crowded, alone))
    })?;
    tell("the same beside 300 stalled clients, of it without them", beside.ratio, 0.9);
    println!("{:<66} {:>6.0} and {:.0} a second", "  reads: keep-alive, a connection each", kept.ours, each.ours);

    let (idle, waiter) = daemon.memory(CROWD)?;
    println!("{:<66} {idle:>6.1} kB", "memory per idle connection");
    println!("{:<66} {waiter:>6.1} kB", "memory per waiter");
    let wake = waking::measure(directory.path(), CROWD)?;
    let holds = wake < Duration::from_millis(20);
    println!("{:<66} {:>6.1} ms   under 20", "wake-up of 1000 who wait, p99", wake.as_secs_f64() * 1000.0);
    Ok(if all_hold && holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The median of a ratio, and of our side of it.
struct Ratio {
    ratio: f64,
    ours: f64,
}

fn ratios(mut round: impl FnMut() -> Outcome<(f64, f64)>) -> Outcome<Ratio> {
    let (mut ratios, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (one, other) = round()?;
        ratios.push(one / other);
        ours.push(one);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Ratio { ratio: median(&mut ratios), ours: median(&mut ours) })
}

/// Puts a process, or this thread and those that it starts, on one processor, where there are two.
pub fn pin(pid: Option<Pid>, processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    let _ = sched_setaffinity(pid, &set);
}

/// Children have them as well.
fn raise_descriptors() -> Outcome<()> {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(limit.maximum.unwrap_or(16_384).min(16_384));
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
}
