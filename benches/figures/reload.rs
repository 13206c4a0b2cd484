//! A reload. From the last byte of an edit of one token among 1,000 until its file is as it says: what
//! a person waits for, of which a quarter of a second is waiting for more writing. And `tokend reload`
//! at 10,000 tokens, with nothing changed and with a remark changed: the whole command, from before
//! its process is made.

use std::fs::{metadata, read_to_string, write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::fleet::{Fleet, Kind};
use crate::process::{BINARY, Daemon, run_once};
use crate::report::{Report, median_seconds, quantile};

const FEW: usize = 1_000;
const MANY: usize = 10_000;
const EDITS: usize = 50;
const ROUNDS: usize = 11;
/// How often the file is looked at.
const TICK: Duration = Duration::from_millis(1);
/// Nothing here takes longer, but on a machine that hangs.
const PATIENCE: Duration = Duration::from_mins(1);

pub fn measure(report: &mut Report) -> Outcome<()> {
    edits(report)?;
    nothing(report)
}

fn edits(report: &mut Report) -> Outcome<()> {
    let fleet = Fleet::new(Kind::OneAccount, FEW)?;
    run_once(&fleet)?;
    let daemon = Daemon::start(&fleet)?;
    let text = read_to_string(fleet.config())?;
    let sink = fleet.tokens().join("t500");
    let (before, mut times) = (format!("{}\" }}", sink.display()), Vec::new());
    for edit in 0..EDITS {
        let mode = if edit % 2 == 0 { 0o640 } else { 0o600 };
        let after = format!("{}\", mode = \"{mode:04o}\" }}", sink.display());
        let edited = text.replace(&before, &after);
        let began = Instant::now();
        write(fleet.config(), edited)?;
        while metadata(&sink)?.permissions().mode() & 0o777 != mode {
            if began.elapsed() > PATIENCE {
                return Err("an edit was not taken".into());
            }
            sleep(TICK);
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    daemon.stop()?;
    if fleet.standin.journal().entries().len() != FEW {
        return Err("an edit asked for an access token".into());
    }
    let name = "one token among 1,000: edit to effect";
    report.tell(&format!("{name}, p50"), format!("{:.0} ms", quantile(times.clone(), 0.5)));
    report.tell(&format!("{name}, p99"), format!("{:.0} ms", quantile(times, 0.99)));
    Ok(())
}

fn nothing(report: &mut Report) -> Outcome<()> {
    let fleet = Fleet::new(Kind::OneAccount, MANY)?;
    run_once(&fleet)?;
    let daemon = Daemon::start(&fleet)?;
    let text = read_to_string(fleet.config())?;
    let (mut same, mut remark) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        same.push(reload(&fleet)?);
        write(fleet.config(), format!("{text}# {round}\n"))?;
        remark.push(reload(&fleet)?);
    }
    daemon.stop()?;
    let told = |times: &[Duration]| format!("{:.0} ms", median_seconds(times) * 1e3);
    report.tell("10,000 tokens: a reload with nothing changed", told(&same));
    report.tell("10,000 tokens: a reload with a remark changed", told(&remark));
    Ok(())
}

fn reload(fleet: &Fleet) -> Outcome<Duration> {
    let began = Instant::now();
    let mut command = Command::new(BINARY);
    let status =
        command.arg("reload").arg("--socket").arg(fleet.beside("tokend.sock")).stdout(Stdio::null()).status()?;
    if status.success() { Ok(began.elapsed()) } else { Err(format!("tokend reload ended with {status}").into()) }
}
