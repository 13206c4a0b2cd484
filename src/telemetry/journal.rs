//! Lines for systemd's journal, by its own protocol: every field by its name (`TOKEND_SLOT=`), and
//! all of them once more in MESSAGE, because that is what `journalctl` and `systemctl status` show.

use std::fmt::{Debug, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

const SOCKET: &str = "/run/systemd/journal/socket";
/// A journal that hangs costs a line, not the loop.
const PATIENCE: Duration = Duration::from_secs(1);

/// The journal of this host.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: UnixDatagram,
    /// It let the last line wait too long: until it takes one again none waits.
    hangs: AtomicBool,
}

impl Journal {
    /// Errors: there is none.
    pub(crate) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::at(socket))
    }

    fn at(socket: UnixDatagram) -> Self {
        Self { socket, hangs: AtomicBool::new(false) }
    }

    fn send(&self, datagram: &[u8]) {
        let flags = if self.hangs.load(Ordering::Relaxed) { SendFlags::DONTWAIT } else { SendFlags::empty() };
        let hangs = matches!(send(&self.socket, datagram, flags | SendFlags::NOSIGNAL), Err(Errno::AGAIN));
        self.hangs.store(hangs, Ordering::Relaxed);
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.send(&line.datagram(*event.metadata().level(), event.metadata().target()));
    }
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    /// ` key=value` for people.
    tail: String,
    fields: Vec<u8>,
}

impl Line {
    fn datagram(mut self, level: Level, target: &str) -> Vec<u8> {
        let message = self.message + &self.tail;
        put(&mut self.fields, "MESSAGE", &message);
        put(&mut self.fields, "PRIORITY", priority(level));
        put(&mut self.fields, "SYSLOG_IDENTIFIER", "tokend");
        put(&mut self.fields, "TARGET", target);
        self.fields
    }

    fn add(&mut self, field: &Field, for_people: &str, value: &str) {
        let _ = write!(self.tail, " {}={for_people}", field.name());
        put(&mut self.fields, &format!("TOKEND_{}", field.name().to_ascii_uppercase().replace('.', "_")), value);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.add(field, &format!("{value:?}"), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = value;
        } else {
            self.add(field, &value, &value);
        }
    }
}

/// `NAME=value`, or the form for values that have newlines: their length goes before them.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

/// As syslog counts.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::Registry;

    #[test]
    fn the_journal_gets_every_field_by_its_name_and_all_of_them_in_the_message() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        tracing::subscriber::with_default(Registry::default().with(Journal::at(ours)), || {
            tracing::warn!(slot = %"op/corporate", reason = "two\nlines", attempts = 2, held = Option::<&str>::None, "it failed");
        });
        let mut datagram = [0; 4096];
        let length = theirs.recv(&mut datagram).unwrap();
        let mut wanted = b"TOKEND_SLOT=op/corporate\nTOKEND_REASON\n\x09\0\0\0\0\0\0\0two\nlines\n".to_vec();
        wanted.extend_from_slice(b"TOKEND_ATTEMPTS=2\n");
        wanted.extend_from_slice(b"MESSAGE=it failed slot=op/corporate reason=\"two\\nlines\" attempts=2\n");
        wanted.extend_from_slice(b"PRIORITY=4\nSYSLOG_IDENTIFIER=tokend\nTARGET=tokend::telemetry::journal::tests\n");
        assert_eq!(String::from_utf8_lossy(&datagram[..length]), String::from_utf8_lossy(&wanted));
    }
}
