//! How long after a token is on the shelf those who wait for it have it. The server is the daemon's,
//! in this process, so that the moment is known.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokend::access_token::{AccessToken, Clock, Generation};
use tokend::clock::now;
use tokend::config::{Config, Privacy, SourceText};
use tokend::inbox::Inbox;
use tokend::metrics::Metrics;
use tokend::name::Name;
use tokend::reloading::{Beginning, Reloads};
use tokend::secret::Secret;
use tokend::shelf::{Item, Shelf};
use tokend::socket::{Desk, bind, serve};
use tokend::systemd::Service;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::load::wait_each;
use crate::{Outcome, SERVER, pin};

const CONFIG: &str = "[providers.p]\npreset = \"oauth2\"\ntoken_url = \"https://idp.example/token\"\nclient_id = \"a\"\n\
                      client_secret = \"secret\"\n[tokens.a]\nprovider = \"p\"\nsinks = []\n";
const ROUNDS: u64 = 5;

/// The median of several rounds' 99th percentile.
pub fn measure(directory: &Path, count: u32) -> Outcome<Duration> {
    let source = SourceText { path: "t.toml".into(), text: CONFIG.into(), privacy: Privacy::Private };
    let config = Arc::new(Config::parse(&[source], &[]).map_err(|problems| format!("{problems:?}"))?);
    let (shelf, socket) = (Shelf::default(), directory.join("waking.sock"));
    offer(&shelf, &config, 1)?;
    start(&shelf, &config, &socket)?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        offer(&shelf, &config, 1)?;
        let streams = wait_each(&socket, count)?;
        // The last of them waits when somebody who came later was answered.
        crate::load::ask(&socket)?;
        rounds.push(one(streams, || offer(&shelf, &config, 2 + round))?);
    }
    rounds.sort_unstable();
    Ok(rounds[rounds.len() / 2])
}

/// Puts the token on the shelf; how long until 99 of 100 have it.
fn one(streams: Vec<std::os::unix::net::UnixStream>, put: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let count = streams.len();
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut readers = tokio::task::JoinSet::new();
        for stream in streams {
            stream.set_nonblocking(true)?;
            let mut stream = UnixStream::from_std(stream)?;
            readers.spawn(async move {
                let mut answer = [0; 4096];
                let length = stream.read(&mut answer).await?;
                let at = Instant::now();
                let is_new = answer[..length].starts_with(b"HTTP/1.1 200");
                if is_new { Ok((at, stream)) } else { Err(std::io::Error::other("not 200")) }
            });
        }
        // So that all of them listen.
        tokio::task::yield_now().await;
        let began = Instant::now();
        put()?;
        let (mut waits, mut open) = (Vec::with_capacity(count), Vec::with_capacity(count));
        while let Some(read) = readers.join_next().await {
            let (at, stream) = read??;
            waits.push(at.duration_since(began));
            // Hanging up is not what is measured.
            open.push(stream);
        }
        waits.sort_unstable();
        Ok(waits[count * 99 / 100 - 1])
    })
}

fn start(shelf: &Shelf, config: &Arc<Config>, socket: &Path) -> Outcome<()> {
    let (shelf, config, path) = (shelf.clone(), Arc::clone(config), socket.to_owned());
    let runtime = runtime()?;
    thread::spawn(move || {
        pin(None, SERVER);
        runtime.block_on(async move {
            let (inbox, _events, _askers) = Inbox::new();
            let notice = Service::new(now()).reloads();
            let beginning = Beginning {
                path: "/nowhere/tokend.toml".into(),
                config,
                fingerprint: String::new(),
                inbox: inbox.clone(),
                notice,
            };
            if let Ok(listener) = bind(&path, 0o600).await {
                let reloads = Reloads::new(beginning);
                let metrics = Metrics::new(inbox.clone(), reloads.clone());
                serve(listener, Desk::new(shelf, inbox, reloads, metrics)).await;
            }
        });
    });
    while crate::load::ask(socket).is_err() {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn offer(shelf: &Shelf, config: &Config, generation: u64) -> Outcome<()> {
    let name = Name::parse("a").map_err(|why| format!("a name: {why}"))?;
    let slot = config.slot_of(&name).ok_or("no slot")?;
    let access_token = Arc::new(AccessToken {
        secret: Secret::new(format!("{}-{generation}", "0123456789abcdef".repeat(50))),
        token_type: "Bearer".into(),
        scopes: Vec::new(),
        issued_at: now(),
        expires_at: now() + Duration::from_hours(1),
        generation: Generation(generation),
        extra: BTreeMap::new(),
        clock: Clock::Boot,
    });
    shelf.put(name, Item::new(Arc::clone(slot), Some(access_token)));
    Ok(())
}
