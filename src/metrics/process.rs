//! What every process tells Prometheus of itself, as far as the kernel says it in `/proc/self`.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Ticks of a second in `/proc` (`USER_HZ`), the same on all machines that Linux runs on nowadays.
const TICKS: f64 = 100.0;

/// The process at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) most_files: Option<u64>,
}

impl Process {
    pub(crate) fn look() -> Self {
        Self {
            cpu_seconds: cpu_seconds(),
            resident_bytes: resident_bytes(),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            most_files: getrlimit(Resource::Nofile).current,
        }
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // What comes after the name, which may hold anything: fields 3 and on.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS)
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Process;

    #[test]
    fn the_kernel_says_how_large_the_process_is() {
        let process = Process::look();
        assert!(process.resident_bytes.unwrap() > 1_000_000, "{process:?}");
        assert!(process.cpu_seconds.unwrap() >= 0.0 && process.open_files.unwrap() >= 3, "{process:?}");
        assert!(process.most_files.unwrap() >= process.open_files.unwrap(), "{process:?}");
    }
}
