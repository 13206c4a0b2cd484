//! `tokend status --watch`: how things stand, drawn anew every second until somebody has seen enough.

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cli::asking::ask;
use crate::cli::complain;
use crate::display::standing::lines;
use crate::display::{Reading, is_coloured, print_while_read};
use crate::fatal::{Fatal, SOFTWARE};
use crate::status::Status;

const PERIOD: Duration = Duration::from_secs(1);
/// Ctrl-C and Ctrl-D, where the terminal makes no signals of them.
const ENDS: [u8; 4] = [b'q', b'Q', 3, 4];

pub(crate) fn watch(socket: &Path, json: bool) -> Result<u8, Fatal> {
    let over = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let cannot = |error| Fatal::new(SOFTWARE, format!("cannot listen for signals: {error}"));
        signal_hook::flag::register(signal, Arc::clone(&over)).map_err(cannot)?;
    }
    let keys = Keys::listen();
    let picture = match json {
        true => Picture::Json,
        false if stdout().is_terminal() => Picture::Screen,
        false => Picture::Lines,
    };
    // The first answer decides whether there is anything to watch.
    let mut status: Result<Status, Fatal> = Ok(ask(socket, "/v1/status")?);
    print_while_read(picture.opening())?;
    loop {
        let seen = print_while_read(&picture.of(&status)?)?;
        if seen == Reading::HasEnded || keys.is_end_within(PERIOD) || over.load(Ordering::Relaxed) {
            break;
        }
        status = ask(socket, "/v1/status");
    }
    print_while_read(picture.closing())?;
    Ok(0)
}

/// How it is shown.
enum Picture {
    /// A table that fills the terminal.
    Screen,
    /// One table after the other.
    Lines,
    /// A line of JSON each.
    Json,
}

impl Picture {
    /// A page of its own, without a cursor: what stood there comes back at the end.
    fn opening(&self) -> &'static str {
        if matches!(self, Self::Screen) { "\x1b[?1049h\x1b[?25l\x1b[?7l" } else { "" }
    }

    fn closing(&self) -> &'static str {
        if matches!(self, Self::Screen) { "\x1b[?7h\x1b[?25h\x1b[?1049l" } else { "" }
    }

    fn of(&self, status: &Result<Status, Fatal>) -> Result<String, Fatal> {
        match (self, status) {
            (Self::Json, Ok(status)) => json_line(status),
            (Self::Json, Err(gone)) => {
                complain(&gone);
                Ok(String::new())
            }
            (_, Ok(status)) => Ok(self.table(&lines(status, is_coloured()))),
            (_, Err(gone)) => Ok(self.table(&gone.lines)),
        }
    }

    fn table(&self, lines: &[String]) -> String {
        if !matches!(self, Self::Screen) {
            return format!("{}\n\n", lines.join("\n"));
        }
        // Line by line over the last picture, so that nothing flickers; the rest is cut.
        let rows = tcgetwinsize(stdout()).map_or(24, |Winsize { ws_row, .. }| usize::from(ws_row.max(3)));
        let shown = &lines[..lines.len().min(rows - 2)];
        format!("\x1b[H{}\x1b[K\r\n\x1b[K\r\n\x1b[Jq quits", shown.join("\x1b[K\r\n"))
    }
}

fn json_line(status: &Status) -> Result<String, Fatal> {
    let line = serde_json::to_string(status).map_err(|error| Fatal::new(SOFTWARE, error.to_string()))?;
    Ok(format!("{line}\n"))
}

/// Hears keys as they are pressed; the terminal is as it was when this is dropped.
struct Keys(Option<Termios>);

impl Keys {
    fn listen() -> Self {
        let before = stdin().is_terminal().then(|| tcgetattr(stdin()).ok()).flatten();
        if let Some(before) = &before {
            let mut bare = before.clone();
            bare.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            let _ = tcsetattr(stdin(), OptionalActions::Now, &bare);
        }
        Self(before)
    }

    /// Whether a key that ends it is pressed within `period`.
    fn is_end_within(&self, period: Duration) -> bool {
        let wait = Timespec::try_from(period).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        if self.0.is_none() {
            // Nobody to press a key: a signal ends it.
            return matches!(poll(&mut [], Some(&wait)), Err(Errno::INTR));
        }
        let stdin = stdin();
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&wait)) {
            // A signal ends it by itself; a mere change of the terminal's size does not.
            Ok(0) | Err(Errno::INTR) => false,
            Ok(_) => {
                let mut keys = [0; 16];
                let pressed = read(&stdin, &mut keys).unwrap_or(0);
                pressed == 0 || keys[..pressed].iter().any(|key| ENDS.contains(key))
            }
            Err(_) => true,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
