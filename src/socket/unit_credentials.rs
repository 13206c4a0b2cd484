//! The credentials socket: `LoadCredential=NAME:/run/tokend/credentials.sock` in a unit. The service
//! manager connects as root, from an address that names the unit and the credential, and reads until
//! the end. Anything else is closed without a byte.
//!
//! The socket is root's and comes from `tokend-credentials.socket`: only root can make it for root.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;
use tracing::info;

use crate::clock::now;
use crate::document::Document;
use crate::name::Name;
use crate::reloading::Reloads;
use crate::settings::FileFormat;
use crate::shelf::{Item, Shelf};
use crate::socket::conditions::{Conditions, Verdict};

/// How long to wait after accepting failed (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How soon it is noticed that who waits has gone.
const LOOK: Duration = Duration::from_secs(10);

/// Which credential of which unit is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    unit: String,
    token: Name,
}

/// Serves `listener` until the shelf is taken away.
pub async fn serve_credentials(listener: UnixListener, shelf: Shelf, reloads: Reloads) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let name = stream.peer_addr().ok().and_then(|address| address.as_abstract_name().map(<[u8]>::to_vec));
                    let (shelf, reloads) = (shelf.clone(), reloads.clone());
                    tokio::spawn(async move {
                        if let Err(why) = serve_one(stream, name.as_deref(), &shelf, &reloads).await {
                            info!(why, "a credential was not given");
                        }
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            () = shelf.is_taken_away() => return,
        }
    }
}

async fn serve_one(
    mut stream: UnixStream,
    address: Option<&[u8]>,
    shelf: &Shelf,
    reloads: &Reloads,
) -> Result<(), String> {
    let uid = stream.peer_cred().map_err(|error| format!("the kernel does not say who asks: {error}"))?.uid();
    let wanted = wanted(uid, address)?;
    let document = document(&stream, &wanted, shelf).await?;
    let Wanted { unit, token } = &wanted;
    if reloads.audits_reads() {
        info!(%token, generation = %document.generation, unit, "read as a credential");
    }
    let gone = |error| format!("{token}: {unit} did not take it: {error}");
    stream.write_all(&document.render(FileFormat::Raw, "")).await.map_err(gone)?;
    stream.shutdown().await.map_err(gone)
}

/// What a peer with `uid` asks for from `address`. The address alone proves nothing: any process may
/// bind it.
fn wanted(uid: u32, address: Option<&[u8]>) -> Result<Wanted, String> {
    if uid != 0 {
        return Err(format!("uid {uid} asked, and only root speaks for units"));
    }
    let strange = || "the address does not name a unit and a credential: read the socket by LoadCredential=".to_owned();
    let address = address.and_then(|address| std::str::from_utf8(address).ok()).ok_or_else(strange)?;
    let (_, named) = address.split_once("/unit/").ok_or_else(strange)?;
    let (unit, credential) = named.split_once('/').filter(|(unit, _)| !unit.is_empty()).ok_or_else(strange)?;
    let token = Name::parse(credential).map_err(|_| format!("{unit} asked for {credential:?}: no token's name"))?;
    Ok(Wanted { unit: unit.to_owned(), token })
}

/// The document of a valid access token, once one is held.
async fn document(stream: &UnixStream, wanted: &Wanted, shelf: &Shelf) -> Result<Document, String> {
    let Wanted { unit, token } = wanted;
    let news = shelf.news(token);
    loop {
        let heard = news.heard();
        tokio::pin!(heard);
        // Listens before it looks: what is put in between is heard.
        heard.as_mut().enable();
        let item = shelf.find(token).ok_or_else(|| format!("{unit} asked for {token}: there is no such token"))?;
        if !names_unit(&item, wanted) {
            return Err(format!("{unit} asked for {token}: `readers.units` does not name it"));
        }
        if let Verdict::Holds(held) = Conditions::default().judge(&item, now()) {
            return Ok(Document::new(token, &item.slot.id, &held));
        }
        if shelf.is_closing() {
            return Err(format!("{unit} waited for {token}: the daemon is stopping"));
        }
        tokio::select! {
            () = heard => {}
            () = sleep(LOOK) => if has_gone(stream) {
                return Err(format!("{unit} waited for {token} and went"));
            },
        }
    }
}

fn names_unit(item: &Item, wanted: &Wanted) -> bool {
    item.slot.token(&wanted.token).is_some_and(|token| token.readers.units.contains(&wanted.unit))
}

/// The service manager closes its sending side at once; this is about both.
fn has_gone(stream: &UnixStream) -> bool {
    let mut asked = [PollFd::new(stream, PollFlags::empty())];
    let looked = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    looked.is_ok() && asked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "plays the service manager"
)]
mod tests;
