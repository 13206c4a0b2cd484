//! One peer's stream, shared between the conversation and those who ask the kernel who it is. It says
//! when a request begins to come, and gives up a peer that does not read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Sleep, sleep};

use crate::socket::door::Bell;

/// How long a peer may leave unread what it asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether one that writes no more is still there.
const PAUSE: Duration = Duration::from_secs(1);

/// A stream that can be looked at while it is read and written.
#[derive(Debug)]
pub(crate) struct PeerStream {
    stream: Arc<UnixStream>,
    bell: Bell,
    /// Runs while the peer does not read.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs while the peer, which writes no more, waits for its answer.
    silent: Option<Pin<Box<Sleep>>>,
}

impl PeerStream {
    pub(crate) fn new(stream: Arc<UnixStream>, bell: Bell) -> Self {
        Self { stream, bell, stalled: None, silent: None }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(ready) = self.stream.poll_write_ready(cx) {
            self.stalled = None;
            return Poll::Ready(ready);
        }
        let patience = self.stalled.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the peer reads no more either.
    fn has_gone(&self) -> bool {
        let mut polled = [PollFd::new(&*self.stream, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
    }

    /// Waits a little: the kernel does not tell when a peer that writes no more goes.
    fn poll_look_again(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pause = self.silent.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
        ready!(pause.as_mut().poll(cx));
        self.silent = None;
        Poll::Ready(())
    }
}

/// Reads what is there. Where that is less than there is room for, nothing is left, and the next read
/// waits without asking the kernel first: as tokio's own reads do.
fn read_once(stream: &UnixStream, room: &mut [u8]) -> io::Result<usize> {
    let mut length = None;
    let read = stream.try_io(Interest::READABLE, || {
        let read = rustix::io::read(stream, &mut *room)?;
        length = Some(read);
        let is_drained = read > 0 && read < room.len();
        if is_drained { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    length.map_or_else(|| read.and(Err(io::ErrorKind::WouldBlock.into())), Ok)
}

impl AsyncRead for PeerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match read_once(&self.stream, buf.initialize_unfilled()) {
                Ok(0) if self.has_gone() => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                // It has said all it had to say, and waits for the answer.
                Ok(0) if self.bell.is_asking() || self.stalled.is_some() => ready!(self.poll_look_again(cx)),
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(length) => {
                    buf.advance(length);
                    self.bell.sending();
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            match self.stream.try_write_vectored(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&*self.stream, rustix::net::Shutdown::Write).map_err(Into::into))
    }
}
