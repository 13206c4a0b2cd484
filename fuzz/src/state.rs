//! Rows of the state, as they are once their seal is opened.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use tokend::config::{Config, Privacy, SourceText};
use tokend::failure::{Failure, Reach, Refusal};
use tokend::job::{Job, JobResult};
use tokend::keeper::Keeper;
use tokend::ledger::Entry;
use tokend::plan::{plan, plan_departed};
use tokend::record::record;
use tokend::settings::Persist;
use tokend::store::row::{decode, encode};
use tokend::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_795_244_400);

/// One exclusive slot, whose entry the row is taken for.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let text = r#"
[providers.op]
preset = "open-payments"
client_id = "one"
client_secret = ["first", "second"]
[tokens.a]
provider = "op"
psu_context = "corporate"
scopes = ["accountinformation"]
sinks = [{ file = "/run/a" }, { file = "/run/a.json", format = "json" }]
"#;
    let source = SourceText { path: "t.toml".into(), text: text.into(), privacy: Privacy::Private };
    Config::parse(&[source], &[]).map_or_else(|problems| panic!("{problems:?}"), Arc::new)
});

/// Whatever a row holds: what can be read can be written and read again, without its access token
/// where that is not to be kept; and everything that decides can go on from it.
pub fn run(input: &[u8]) {
    let slot = &CONFIG.slots[0];
    let Some(entry) = decode(slot.identity.clone(), input) else { return };
    let row = encode(&entry, Persist::Encrypted).unwrap_or_else(|wrong| panic!("{wrong}"));
    let again = decode(slot.identity.clone(), &row).unwrap_or_else(|| panic!("what was written cannot be read"));
    assert_eq!(format!("{entry:?}"), format!("{again:?}"));
    assert_eq!(*row, *encode(&again, Persist::Encrypted).unwrap_or_default(), "written twice, it differs");
    let bare = encode(&entry, Persist::Off).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(decode(slot.identity.clone(), &bare).is_some_and(|entry| entry.access_token.is_none()));
    if let (Some(one), Some(other)) = (&entry.access_token, &again.access_token) {
        assert!(one.secret.same_as(&other.secret));
    }
    go_on_from(entry);
}

/// A turn of everything that decides, and what comes of a request that failed or was refused.
fn go_on_from(mut entry: Entry) {
    let slot = &CONFIG.slots[0];
    let mut keeper = Keeper::new(Arc::clone(&CONFIG), vec![entry.clone()], NOW);
    let _ = keeper.turn(NOW);
    keeper.saved();
    let _ = (keeper.release(NOW), keeper.status(NOW), keeper.wake(NOW));

    let due = plan(slot, &entry, &BTreeSet::new(), NOW).due;
    let _ = plan_departed(&entry, &BTreeSet::new(), NOW);
    for job in due {
        if let Job::Issue(ask) = job {
            let refusal = Refusal { status: 401, code: None, description: None, credentials: true, retry_after: None };
            let answer = Err(Failure::Refused(refusal));
            let _ = record(slot, &mut entry, JobResult::Issued { ask: ask.clone(), asked_at: NOW, answer }, NOW);
            let _ = plan(slot, &entry, &BTreeSet::new(), NOW);
            let failure = Failure::Unreachable { reason: "nobody answers".into(), reach: Reach::Sent };
            let _ = record(slot, &mut entry, JobResult::Issued { ask, asked_at: NOW, answer: Err(failure) }, NOW);
        }
    }
    let later = plan(slot, &entry, &BTreeSet::new(), NOW);
    assert!(!later.due.iter().any(|job| matches!(job, Job::Issue(_))), "it is asked again in the same moment");
}
