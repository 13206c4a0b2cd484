//! Where lines leave. One that would have to wait is left to a thread of its own: whoever reads the log
//! and stops reading (a terminal after Ctrl-S, a pipe to a logger that hangs) stops the log, and
//! nothing else.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines wait at most; those that come then are lost, and counted.
const MOST_LINES: usize = 10_000;
/// So much goes into a pipe at once if anything does (`PIPE_BUF`).
const AT_ONCE: usize = 4096;
const BREATH: Duration = Duration::from_millis(5);

/// A way out for lines. Clones lead to the same.
pub(crate) struct Outlet<W>(Arc<Shared<W>>);

struct Shared<W> {
    out: fn() -> W,
    is_file: bool,
    queue: Mutex<Option<Sender<Vec<u8>>>>,
    waiting: AtomicUsize,
    lost: AtomicUsize,
}

impl<W> Clone for Outlet<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write + AsFd + 'static> Outlet<W> {
    /// To where `out` leads.
    pub(crate) fn new(out: fn() -> W) -> Self {
        let is_file = fstat(out()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        let (waiting, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Shared { out, is_file, queue: Mutex::default(), waiting, lost }))
    }

    fn say(&self, line: &[u8]) {
        let shared = &self.0;
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.waiting.load(Ordering::Acquire) == 0 && shared.takes_at_once(line.len()) {
            // Nobody is left to tell that nobody listens.
            let _ = (shared.out)().write_all(line);
            return;
        }
        if shared.waiting.load(Ordering::Acquire) >= MOST_LINES {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let sender = queue.get_or_insert_with(|| self.clone().begin());
        shared.waiting.fetch_add(1, Ordering::AcqRel);
        if sender.send(line.to_vec()).is_err() {
            shared.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Begins to bring out what waits.
    fn begin(self) -> Sender<Vec<u8>> {
        let (sender, lines) = channel();
        // Without a thread the lines are lost, and the daemon goes on.
        let _ = thread::Builder::new().name("log".into()).spawn(move || self.bring_out(&lines));
        sender
    }

    fn bring_out(&self, lines: &Receiver<Vec<u8>>) {
        for line in lines {
            let _ = (self.0.out)().write_all(&line);
            if self.0.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                let lost = self.0.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    warn!(lines = lost, "nobody read the log for a while, and these were lost");
                }
            }
        }
    }

    /// Waits until all lines are out, for `patience` at most.
    pub(crate) fn drain(&self, patience: Duration) {
        let began = Instant::now();
        while self.0.waiting.load(Ordering::Acquire) > 0 && began.elapsed() < patience {
            thread::sleep(BREATH);
        }
    }
}

impl<W: AsFd> Shared<W> {
    fn takes_at_once(&self, length: usize) -> bool {
        if self.is_file {
            return true;
        }
        let out = (self.out)();
        let mut polled = [PollFd::new(&out, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        length <= AT_ONCE && !matches!(poll(&mut polled, Some(&now)), Ok(0))
    }
}

impl<'w, W: Write + AsFd + 'static> MakeWriter<'w> for Outlet<W> {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl<W: Write + AsFd + 'static> Write for Outlet<W> {
    /// A line is written whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use rustix::fs::{CWD, Mode, mknodat};
    use tempfile::TempDir;

    use super::*;

    fn place() -> PathBuf {
        static PLACE: OnceLock<TempDir> = OnceLock::new();
        PLACE.get_or_init(|| TempDir::new().unwrap()).path().join("pipe")
    }

    fn pipe() -> File {
        OpenOptions::new().read(true).write(true).open(place()).unwrap()
    }

    #[test]
    fn whoever_does_not_read_holds_nobody_up_and_finds_all_lines_in_order() {
        mknodat(CWD, place(), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        let _open = pipe();
        let outlet = Outlet::new(pipe);
        // Far more than a pipe takes, and some of it longer than it takes at once.
        let line = |n: usize| format!("{n} {}\n", "x".repeat(if n.is_multiple_of(100) { 5000 } else { 100 }));
        for n in 0..2000 {
            outlet.clone().write_all(line(n).as_bytes()).unwrap();
        }
        assert!(outlet.0.waiting.load(Ordering::Acquire) > 0);
        let mut reader = BufReader::new(pipe());
        for n in 0..2000 {
            let mut read = String::new();
            reader.read_line(&mut read).unwrap();
            assert_eq!(read, line(n));
        }
        outlet.drain(Duration::from_secs(9));
        assert_eq!(outlet.0.waiting.load(Ordering::Acquire), 0);
        for _ in 0..MOST_LINES + 2000 {
            outlet.clone().write_all(&[b'x'; 100]).unwrap();
        }
        assert!(outlet.0.lost.load(Ordering::Relaxed) > 0, "and there is an end to what waits");
    }
}
