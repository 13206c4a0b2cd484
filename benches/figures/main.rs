//! The figures that tokend promises, each measured on the real binary and held against its limit:
//!
//! `cargo bench --bench figures [-- throughput restart reload idle]`
//!
//! Where a figure is a ratio, both sides run in turn, several rounds, and the median counts: what
//! else the machine does falls on both. Ends with 1 when a limit is missed. `TMPDIR` chooses the
//! disk. It needs no privilege and no network but loopback.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures the world")]

mod bare;
mod fleet;
mod idle;
mod plain;
mod process;
mod reload;
mod report;
mod restart;
mod throughput;

use std::error::Error;
use std::process::ExitCode;

use crate::report::Report;

/// What goes wrong ends the run, in words.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// A part of the run: its word on the command line, and how it is measured.
type Part = (&'static str, fn(&mut Report) -> Outcome<()>);

const PARTS: [Part; 4] = [
    ("idle", idle::measure),
    ("throughput", throughput::measure),
    ("restart", restart::measure),
    ("reload", reload::measure),
];

fn main() -> Outcome<ExitCode> {
    // cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [first, expected, directory] = arguments.as_slice()
        && first == plain::WORD
    {
        return plain::compare(expected.as_ref(), directory.as_ref());
    }
    if let Some(unknown) = arguments.iter().find(|argument| PARTS.iter().all(|(word, _)| word != argument)) {
        return Err(format!("{unknown}: not a part; the parts are idle, throughput, restart and reload").into());
    }
    let mut report = Report::default();
    for (word, measure) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == word) {
            measure(&mut report)?;
        }
    }
    println!("{report}");
    Ok(if report.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
