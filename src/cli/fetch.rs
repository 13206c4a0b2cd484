//! `tokend fetch`: asks the provider of one token once, as its slot would, without the daemon, and
//! explains what came back; of a token that follows, what another tokend wrote. For setting up.

use std::path::Path;
use std::sync::Arc;

use crate::access_token::Generation;
use crate::cli::asking::ask;
use crate::cli::complain;
use crate::cli::run::{protect, runtime};
use crate::clock;
use crate::config::Config;
use crate::display::print;
use crate::document::Document;
use crate::failure::Failure;
use crate::fatal::{CONFIG, Fatal, TRY_AGAIN, USAGE};
use crate::following::look;
use crate::http::Http;
use crate::job::{Ask, JobResult};
use crate::ledger::{Entry, Standing};
use crate::life::open_state;
use crate::loading::load;
use crate::name::Name;
use crate::places::Places;
use crate::plan::next_issue;
use crate::provider::Providers;
use crate::record::{adopt_stored, begin, note_lost_state, record};
use crate::sink::file::generation;
use crate::slot::Slot;
use crate::status::Status;
use crate::store::{Change, Opened, Store};
use crate::telemetry::{Destination, start};
use crate::time::for_people;
use crate::vaults::Vaults;

pub(crate) fn fetch(config_path: &Path, name: &str, show_token: bool) -> Result<u8, Fatal> {
    protect();
    let config = load(config_path)?;
    start(&config.log, Destination::Stderr).map_err(|why| Fatal::new(CONFIG, why))?;
    let unknown = || Fatal::new(USAGE, format!("there is no token {name:?} in the configuration"));
    let name = Name::parse(name).map_err(|_| unknown())?;
    let slot = Arc::clone(config.slot_of(&name).ok_or_else(unknown)?);
    // An exclusive slot's pause is in the state, which it must hold.
    if !slot.policy.exclusive
        && let Some(since) = paused_since(&config, &slot)
    {
        return Err(not_asked(&slot, &name, &is_paused(&name, &since)));
    }
    runtime()?.block_on(async {
        let vaults = Vaults::new(Http::new(), &config);
        if slot.policy.exclusive {
            fetch_exclusive((&config, &vaults), &slot, &name, show_token).await
        } else {
            let mut entry = Entry::new(slot.identity.clone());
            ask_once(&slot, &mut entry, None, &vaults).await?;
            explain(&slot, &entry, &name, show_token)
        }
    })
}

/// Since when an admin wants no requests for `slot`, as far as a daemon runs and says so.
fn paused_since(config: &Config, slot: &Slot) -> Option<String> {
    let socket = Places::find(&config.daemon).ok()?.socket?;
    let status: Status = ask(&socket, "/v1/status").ok()?;
    status.slots.into_iter().find(|known| known.slot == slot.id.as_str())?.paused_since
}

fn is_paused(name: &Name, since: &str) -> String {
    format!("it is paused since {since}; resume it first: tokend resume {name}")
}

fn not_asked(slot: &Slot, name: &Name, why: &str) -> Fatal {
    Fatal::new(TRY_AGAIN, format!("{name} ({}): the provider was not asked: {why}", slot.id))
}

/// An exclusive slot is asked only by the one who holds the state, and what comes is kept there.
async fn fetch_exclusive(
    (config, vaults): (&Config, &Vaults),
    slot: &Slot,
    name: &Name,
    show_token: bool,
) -> Result<u8, Fatal> {
    let places = Places::find(&config.daemon)?;
    let Opened { store, entries, lost, .. } =
        open_state(config, &places, vaults).await.map_err(|fatal| busy(fatal, name))?;
    let stored = entries.into_iter().find(|entry| entry.identity == slot.identity);
    let mut entry = stored.unwrap_or_else(|| Entry::new(slot.identity.clone()));
    adopt_stored(&mut entry);
    if let Some(lost) = lost {
        complain(&lost);
        note_lost_state(&mut entry, clock::now());
    }
    if !entry.recalled {
        let held = slot.sinks().filter_map(|(_, sink)| generation(sink.file()?)).max();
        record(slot, &mut entry, JobResult::Recalled(held.unwrap_or(Generation::NONE)), clock::now());
    }
    let (due, _) = next_issue(slot, &entry, clock::now());
    let asked = if due <= clock::now() { ask_once(slot, &mut entry, Some(&store), vaults).await } else { Ok(()) };
    let closed = store.close();
    asked?;
    closed.map_err(|why| Fatal::new(TRY_AGAIN, why))?;
    if due > clock::now() {
        if let Some(since) = entry.paused {
            return Err(not_asked(slot, name, &is_paused(name, &since.to_string())));
        }
        if entry.live(clock::now()).is_none() {
            return Err(not_asked(slot, name, &format!("not before {due}")));
        }
        print("This slot is exclusive and not due: the provider was not asked. What is held:\n")?;
    }
    explain(slot, &entry, name, show_token)
}

fn busy(fatal: Fatal, name: &Name) -> Fatal {
    let line = fatal.lines.join("; ");
    let remedy = format!("{line}: while the daemon runs, ask it: tokend refresh {name}");
    if line.contains("holds the state") { Fatal::new(TRY_AGAIN, remedy) } else { fatal }
}

/// Asks once and notes what came of it; where there is a store, the intention is saved first.
async fn ask_once(slot: &Slot, entry: &mut Entry, store: Option<&Store>, vaults: &Vaults) -> Result<(), Fatal> {
    let (_, mut ask) = next_issue(slot, entry, clock::now());
    if let Some(followed) = slot.follows() {
        let (looked_at, found) = look(followed, vaults, &clock::now).await;
        record(slot, entry, JobResult::Looked { ask, looked_at, found }, clock::now());
        return Ok(());
    }
    begin(entry, &ask, clock::now());
    save(slot, entry, store).await?;
    let (asked_at, answer) = ask_provider(slot, &mut ask, vaults).await;
    record(slot, entry, JobResult::Issued { ask, asked_at, answer }, clock::now());
    save(slot, entry, store).await
}

async fn ask_provider(
    slot: &Slot,
    ask: &mut Ask,
    vaults: &Vaults,
) -> (crate::time::Timestamp, Result<crate::access_token::Issued, Failure>) {
    match vaults.secrets_for(slot, ask).await {
        Ok(secrets) => Providers::new(Http::new()).ask(slot, ask, &secrets, &clock::now).await,
        Err(why) => (clock::now(), Err(Failure::NotReady(why))),
    }
}

async fn save(slot: &Slot, entry: &Entry, store: Option<&Store>) -> Result<(), Fatal> {
    let Some(store) = store else { return Ok(()) };
    let entry = Entry { anchor: clock::anchor(), ..entry.clone() };
    let change = Change::Put(Box::new(entry), slot.policy.persist);
    store.save(vec![change]).await.map_err(|why| Fatal::new(TRY_AGAIN, why))
}

fn explain(slot: &Slot, entry: &Entry, name: &Name, show_token: bool) -> Result<u8, Fatal> {
    if let Standing::Failing(retry) = &entry.standing {
        let line = format!("{name} ({}): {} ({})", slot.id, retry.failure, retry.failure.class());
        return Err(Fatal::new(TRY_AGAIN, line));
    }
    let Some(token) = &entry.access_token else {
        return Err(Fatal::new(TRY_AGAIN, format!("{name} ({}): no access token", slot.id)));
    };
    let document = Document::new(name, &slot.id, token);
    let shown = if show_token {
        document.access_token.clone()
    } else {
        format!("{} characters (--show-token prints it)", document.access_token.len())
    };
    let mut lines = vec![
        format!(
            "{}{}",
            if slot.follows().is_some() { "followed      " } else { "asked         " },
            slot.endpoint().shown()
        ),
        format!("slot          {}", slot.id),
        format!("access_token  {shown}"),
        format!("token_type    {}", document.token_type),
        format!("scope         {}", if document.scope.is_empty() { "-" } else { &document.scope }),
        format!("expires_at    {} ({} after it was asked for)", document.expires_at, for_people(token.lifetime())),
    ];
    lines.extend(document.extra.iter().map(|(field, value)| format!("extra         {field} = {value}")));
    lines.extend(entry.warning.iter().map(|warning| format!("warning       {warning}")));
    lines.push(String::new());
    print(&lines.join("\n"))?;
    Ok(0)
}
