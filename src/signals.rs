//! Signals: TERM and INT stop, a second one ends at once, HUP and USR1 ask for something.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::io;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Origin;
use signal_hook_tokio::SignalsInfo;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Come to an end; requests under way may come home.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Log the status.
    Status,
}

/// The signals that arrive from now on.
pub struct Signals {
    arriving: SignalsInfo<WithOrigin>,
    stopping: bool,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> io::Result<Self> {
        let arriving = SignalsInfo::<WithOrigin>::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        Ok(Self { arriving, stopping: false })
    }

    /// The next wish, and who had it. The second wish to stop ends the process at once, as the
    /// signal would have done.
    pub async fn next(&mut self) -> Option<(Wish, String)> {
        let origin = self.arriving.next().await?;
        let wish = match origin.signal {
            SIGHUP => Wish::Reload,
            SIGUSR1 => Wish::Status,
            signal if self.stopping => {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                Wish::Stop
            }
            _ => Wish::Stop,
        };
        self.stopping |= wish == Wish::Stop;
        Some((wish, sender(&origin)))
    }
}

fn sender(origin: &Origin) -> String {
    let name = signal_hook::low_level::signal_name(origin.signal).unwrap_or("signal");
    match &origin.process {
        Some(process) if process.pid > 0 => format!("{name} from pid {} (uid {})", process.pid, process.uid),
        _ => name.to_owned(),
    }
}
