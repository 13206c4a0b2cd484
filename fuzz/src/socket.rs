//! Requests on the socket: the bytes that a peer sends, in whatever pieces, to the server that the
//! daemon has, with one valid and one expired access token on the shelf.

use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;

use tokend::clock::now;
use tokend::config::{Config, Privacy, SourceText};
use tokend::daemon::Event;
use tokend::failure::{Failure, Reach};
use tokend::inbox::{Answer, Askers, Inbox};
use tokend::keeper::Keeper;
use tokend::metrics::Metrics;
use tokend::name::Name;
use tokend::reloading::{Beginning, Reloads};
use tokend::shelf::{Item, Shelf};
use tokend::socket::{Desk, Peer, converse, router};
use tokend::store::row::decode;
use tokend::systemd::Service;
use tokend::task::RefreshAnswer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const VALID: &str = "v4lid-access-token-0123456789";
const EXPIRED: &str = "exp1red-access-token-0123456789";
const CONFIG: &str = r#"
[providers.p]
preset = "oauth2"
token_url = "https://idp.example/token"
client_id = "one"
client_secret = "s3cret"
[tokens.valid]
provider = "p"
sinks = [{ file = "/run/valid" }]
[tokens.expired]
provider = "p"
sinks = []
"#;
/// Far longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(3);

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        Builder::new_current_thread().enable_time().build().unwrap_or_else(|wrong| panic!("{wrong}"))
    });
}

/// Whatever is sent: the server comes to an end, answers in HTTP, serves no expired access token,
/// and none at all to a stranger.
pub fn run(input: &[u8]) {
    RUNTIME.with(|runtime| {
        let stranger = runtime.block_on(answers(input, Peer::new(65_534, &[])));
        assert!(!holds(&stranger, VALID), "a stranger was served: {}", String::from_utf8_lossy(&stranger));
        let root = runtime.block_on(answers(input, Peer::new(0, &[])));
        for answer in [&stranger, &root] {
            let shown = String::from_utf8_lossy(answer);
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{shown}");
            assert!(!holds(answer, EXPIRED), "an expired access token was served: {shown}");
            assert!(!holds(answer, "HTTP/1.1 500"), "{shown}");
        }
    });
}

fn holds(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|part| part == text.as_bytes())
}

/// All that `peer` gets for `input`.
async fn answers(input: &[u8], peer: Peer) -> Vec<u8> {
    let config = config();
    let (inbox, mut events, askers) = Inbox::new();
    let beginning = Beginning {
        path: "/nowhere/tokend.toml".into(),
        config: Arc::clone(&config),
        fingerprint: String::new(),
        inbox: inbox.clone(),
        notice: Service::new(now()).reloads(),
    };
    let reloads = Reloads::new(beginning);
    let metrics = Metrics::new(inbox.clone(), reloads.clone());
    let app = router(Desk::new(shelf(&config), inbox, reloads, metrics));
    let (here, there) = duplex(64 * 1024);
    let serving = converse(there, peer, app);
    let asking = async {
        let (mut reader, mut writer) = split(here);
        let sending = async {
            // In two pieces: where one ends means nothing.
            let (first, second) = input.split_at(input.len() / 2);
            for piece in [first, second] {
                let _ = writer.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let _ = writer.shutdown().await;
        };
        let mut answer = Vec::new();
        let _ = tokio::join!(sending, reader.read_to_end(&mut answer));
        answer
    };
    let looping = async {
        let keeper = Keeper::new(Arc::clone(&config), Vec::new(), now());
        while let Some(event) = events.recv().await {
            reply(&keeper, &askers, event);
        }
    };
    let conversation = async { tokio::join!(serving, asking, looping).1 };
    timeout(PATIENCE, conversation).await.unwrap_or_else(|_| panic!("the conversation does not end"))
}

fn config() -> Arc<Config> {
    let source = SourceText { path: "t.toml".into(), text: CONFIG.into(), privacy: Privacy::Private };
    Config::parse(&[source], &[]).map_or_else(|problems| panic!("{problems:?}"), Arc::new)
}

fn shelf(config: &Config) -> Shelf {
    let shelf = Shelf::default();
    for (name, text, expires_at) in
        [("valid", VALID, now() + Duration::from_hours(1)), ("expired", EXPIRED, now() - Duration::from_secs(1))]
    {
        let name = Name::parse(name).unwrap_or_else(|wrong| panic!("{wrong}"));
        let slot = config.slot_of(&name).unwrap_or_else(|| panic!("{name} has no slot"));
        let (from, to) = ((now() - Duration::from_hours(1)).as_millis(), expires_at.as_millis());
        let facts = format!(
            "{{\"generation\":7,\"access_token\":{{\"type\":\"Bearer\",\"scopes\":[],\"issued_at\":{from},\
             \"expires_at\":{to},\"generation\":7}}}}"
        );
        let length = u32::try_from(text.len()).unwrap_or_default().to_le_bytes();
        let entry = decode(slot.identity.clone(), &[&length, text.as_bytes(), facts.as_bytes()].concat());
        let access_token = entry.and_then(|entry| entry.access_token).unwrap_or_else(|| panic!("no row: {facts}"));
        shelf.put(name, Item::new(Arc::clone(slot), Some(access_token)));
    }
    shelf
}

/// What the loop would answer to `event`, with nothing under way.
fn reply(keeper: &Keeper, askers: &Askers, event: Event) {
    match event {
        Event::Status(asker) => askers.answer(asker, Answer::Status(Box::new(keeper.status(now())))),
        Event::StatusOf(name, asker) => {
            askers.answer(asker, Answer::Status(Box::new(keeper.status_of(&name, now()))));
        }
        Event::Readings(asker) => askers.answer(asker, Answer::Readings(keeper.readings(now()))),
        Event::Refresh(_, asker) => {
            let failure = Failure::Unreachable { reason: "nobody answers".into(), reach: Reach::NotSent };
            askers.answer(asker, Answer::Refresh(RefreshAnswer::Failed(failure)));
        }
        Event::WantLonger(_, _, asker) => {
            askers.answer(asker, Answer::Refresh(RefreshAnswer::NotBefore(now(), String::new())));
        }
        Event::Invalidate(_, _, asker) => askers.answer(asker, Answer::Refresh(RefreshAnswer::Accepted)),
        Event::Pause(_, asker) => askers.answer(asker, Answer::Refresh(RefreshAnswer::Paused(now()))),
        Event::Resume(_, asker) => askers.answer(asker, Answer::Refresh(RefreshAnswer::Resumed)),
        Event::Reload(_)
        | Event::FilesChanged(..)
        | Event::Moment(_)
        | Event::LookAgain
        | Event::LoggedIn(_)
        | Event::LogStatus
        | Event::Stop => panic!("a peer cannot say {event:?}"),
    }
}
