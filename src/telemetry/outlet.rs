//! Where lines leave. One that would have to wait is left to a thread of its own: whoever reads the log
//! and stops reading (a terminal after Ctrl-S, a pipe to a logger that hangs) stops the log, and
//! nothing else.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
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
    kind: Kind,
    queue: Mutex<Option<Sender<Vec<u8>>>>,
    waiting: AtomicUsize,
    lost: AtomicUsize,
}

/// What is there, as far as it says what can be written without waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A file takes everything.
    File,
    /// A pipe that takes anything takes [`AT_ONCE`].
    Pipe,
    /// A terminal may take a part of a line.
    Other,
}

impl<W> Clone for Outlet<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write + AsFd + 'static> Outlet<W> {
    /// To where `out` leads.
    pub(crate) fn new(out: fn() -> W) -> Self {
        let kind = match fstat(out()).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => Kind::File,
            Ok(FileType::Fifo) => Kind::Pipe,
            _ => Kind::Other,
        };
        let (waiting, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Shared { out, kind, queue: Mutex::default(), waiting, lost }))
    }

    fn say(&self, line: &[u8]) {
        let shared = &self.0;
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = line;
        if shared.waiting.load(Ordering::Acquire) == 0 && shared.takes_at_once(line.len()) {
            match write_out(&mut (shared.out)(), &mut rest) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return shared.lose(),
                Ok(()) => return,
            }
        }
        if shared.waiting.load(Ordering::Acquire) >= MOST_LINES {
            return shared.lose();
        }
        let sender = queue.get_or_insert_with(|| self.clone().begin());
        shared.waiting.fetch_add(1, Ordering::AcqRel);
        if sender.send(rest.to_vec()).is_err() {
            shared.waiting.fetch_sub(1, Ordering::AcqRel);
            shared.lose();
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
            let mut rest = line.as_slice();
            let mut out = (self.0.out)();
            while let Err(error) = write_out(&mut out, &mut rest) {
                if error.kind() != ErrorKind::WouldBlock || wait_for_room(&out).is_err() {
                    self.0.lose();
                    break;
                }
            }
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

/// Writes what `rest` holds, as far as it goes; `rest` is what is left.
fn write_out(out: &mut impl Write, rest: &mut &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => *rest = &rest[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(out: &impl AsFd) -> Result<usize, Errno> {
    poll(&mut [PollFd::new(out, PollFlags::OUT)], None)
}

impl<W: AsFd> Shared<W> {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn takes_at_once(&self, length: usize) -> bool {
        match self.kind {
            Kind::File => true,
            Kind::Other => false,
            Kind::Pipe => {
                let out = (self.out)();
                let mut polled = [PollFd::new(&out, PollFlags::OUT)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                length <= AT_ONCE && !matches!(poll(&mut polled, Some(&now)), Ok(0))
            }
        }
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
    fn what_may_take_a_part_of_a_line_is_left_to_the_thread() {
        let outlet = Outlet::new(|| OpenOptions::new().write(true).open("/dev/null").unwrap());
        outlet.clone().write_all(b"a line\n").unwrap();
        outlet.drain(Duration::from_secs(9));
        assert!(outlet.0.queue.lock().unwrap().is_some());
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
