//! The state on a real disk: whole, damaged, held by another, full.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::access_token::{AccessToken, Clock, Generation};
use crate::failure::Failure;
use crate::job::Ask;
use crate::ledger::{
    Attempts, Denied, Held, Intention, Issue, IssueKind, Receipt, Retry, SecretChoice, SinkRetry, Standing,
};
use crate::name::SinkId;

const NOW: Timestamp = Timestamp::from_secs(1_795_248_000);
const SECRET: &str = "eyJhbGciOiJSUzI1NiJ9.e30.\"\\quoted";

fn open(place: &TempDir) -> Opened {
    Store::open(place.path(), None, NOW).unwrap()
}

/// Why it does not open.
fn refusal(directory: &Path, key: Option<&Secret>) -> OpenError {
    Store::open(directory, key, NOW).err().unwrap()
}

fn save(store: &Store, changes: Vec<Change>) -> Result<(), String> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.save(changes))
}

fn put(entry: &Entry) -> Change {
    Change::Put(Box::new(entry.clone()), Persist::Encrypted)
}

fn token(text: &str) -> AccessToken {
    AccessToken {
        secret: Secret::new(text.into()),
        token_type: "BearerToken".into(),
        scopes: vec!["accountinformation".into(), "corporate".into()],
        issued_at: NOW,
        expires_at: NOW + std::time::Duration::from_hours(1),
        generation: Generation(7),
        extra: BTreeMap::from([("user_id".into(), serde_json::json!(["x", 1]))]),
        clock: Clock::Wall,
    }
}

/// An entry with something in every field.
fn full(identity: &str) -> Entry {
    let ask = Ask { scopes: vec!["a".into()], secret_choice: 2, refused: 0, forced: true };
    let held = Held { generation: Generation(6), expires_at: NOW, fingerprint: *b"0123456789abcdef" };
    let retry = SinkRetry { reason: "full".into(), attempts: 3, not_before: NOW, ahead: None, of_withdrawal: false };
    let receipt = Receipt {
        held: Some(held),
        verified: true,
        restate: false,
        retry: Some(retry),
        gone_since: Some(NOW),
        coming: false,
    };
    let failure = Failure::NotReady("no file".into());
    Entry {
        access_token: Some(Arc::new(token(SECRET))),
        generation: Generation(8),
        recalled: true,
        standing: Standing::Failing(Retry {
            failure,
            attempts: Attempts::default(),
            since: NOW,
            not_before: NOW,
            asked_until: None,
        }),
        issues: vec![
            Issue { at: Timestamp::from_secs(1), kind: IssueKind::Issued },
            Issue { at: Timestamp::from_secs(2), kind: IssueKind::Possibly },
        ],
        intention: Some(Intention { at: NOW, ask }),
        denied: Some(Denied { scopes: vec!["b".into()], at: NOW, outright: true }),
        granted: Some(vec!["a".into()]),
        forced: true,
        same_again: Some(NOW),
        secret: SecretChoice { worked: 1, refused: 1, again: None },
        warning: Some("odd".into()),
        receipts: BTreeMap::from([(SinkId::new("/run/a"), Box::new(receipt)), (SinkId::new("/run/b"), Box::default())]),
        ..Entry::new(Identity::stored(identity))
    }
}

/// Everything of an entry in text, the secret as well.
fn print(entry: &Entry) -> String {
    format!("{entry:?} {:?}", entry.access_token.as_ref().map(|token| token.secret.expose().to_owned()))
}

#[test]
fn what_must_outlive_a_restart_does_and_nothing_else() {
    let place = TempDir::new().unwrap();
    let before = full("idp|client|corporate");
    let opened = open(&place);
    assert!(opened.entries.is_empty() && opened.lost.is_none());
    save(&opened.store, vec![put(&before)]).unwrap();
    opened.store.close().unwrap();

    let opened = open(&place);
    let mut expected = Entry { standing: Standing::Good, forced: false, warning: None, ..before };
    expected.secret.refused = 0;
    let held = expected.receipts[&SinkId::new("/run/a")].held;
    expected.receipts = BTreeMap::from([(SinkId::new("/run/a"), Box::new(Receipt { held, ..Receipt::default() }))]);
    assert_eq!(opened.entries.iter().map(print).collect::<Vec<_>>(), [print(&expected)]);
    assert!(opened.lost.is_none());
}

#[test]
fn a_slot_without_history_is_asked_for_its_generation_again() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    save(&opened.store, vec![put(&Entry { recalled: true, ..Entry::new(Identity::stored("a")) })]).unwrap();
    opened.store.close().unwrap();
    assert!(!open(&place).entries[0].recalled);
}

#[test]
fn the_last_change_of_a_slot_counts_and_a_removed_one_is_gone() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    let [a, b] = ["a", "b"].map(full);
    let newer = Entry { generation: Generation(9), ..a.clone() };
    save(&opened.store, vec![put(&a), put(&b), put(&newer)]).unwrap();
    save(&opened.store, vec![Change::Remove(b.identity), Change::Remove(Identity::stored("unknown"))]).unwrap();
    opened.store.close().unwrap();
    let entries = open(&place).entries;
    assert_eq!(entries.iter().map(|entry| entry.generation).collect::<Vec<_>>(), [Generation(9)]);
}

#[test]
fn with_persist_off_the_access_token_is_not_on_disk_and_the_rest_is() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    save(&opened.store, vec![put(&full("a"))]).unwrap();
    save(&opened.store, vec![Change::Put(Box::new(full("a")), Persist::Off)]).unwrap();
    opened.store.close().unwrap();
    let entries = open(&place).entries;
    assert!(entries[0].access_token.is_none());
    assert_eq!((entries[0].generation, entries[0].issues.len()), (Generation(8), 2));
    assert!(entries[0].intention.is_some());
}

#[test]
fn nothing_secret_is_readable_in_the_files_and_nobody_else_reads_them() {
    let place = TempDir::new().unwrap();
    let directory = place.path().join("made/by/us");
    let opened = Store::open(&directory, None, NOW).unwrap();
    save(&opened.store, vec![put(&full("a"))]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let content = fs::read(&path).unwrap();
        assert!(!content.windows(8).any(|part| part == &SECRET.as_bytes()[..8]), "{}", path.display());
    }
    opened.store.close().unwrap();
}

#[test]
fn a_second_daemon_is_refused_and_the_first_is_named() {
    let place = TempDir::new().unwrap();
    let first = open(&place);
    for _ in 0..2 {
        let error = refusal(place.path(), None);
        assert!(matches!(&error, OpenError::HeldBy { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    }
    first.store.close().unwrap();
    open(&place);
}

#[test]
fn what_cannot_be_made_is_named() {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("file"), b"x").unwrap();
    let error = refusal(&place.path().join("file/state"), None);
    assert!(matches!(&error, OpenError::CannotCreate(said) if said.contains("/file is not a directory")), "{error}");
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let error = refusal(place.path(), None);
    assert!(matches!(&error, OpenError::CannotCreate(said) if said.contains("chmod o-w")), "{error}");
}

#[test]
fn a_key_that_could_be_guessed_is_refused_before_anything_is_made() {
    let place = TempDir::new().unwrap();
    assert!(matches!(refusal(place.path(), Some(&Secret::new("short".into()))), OpenError::BadKey(_)));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let place = with_one_entry();
    let path = place.path().join("state.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 2").unwrap();
    connection.close().unwrap();
    for _ in 0..2 {
        let error = refusal(place.path(), None);
        assert!(matches!(&error, OpenError::NewerSchema { found: 2, .. }), "{error}");
        assert!(error.to_string().contains("written by a newer tokend"), "{error}");
    }
}

fn with_one_entry() -> TempDir {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    save(&opened.store, vec![put(&full("a"))]).unwrap();
    opened.store.close().unwrap();
    place
}

fn kept_aside(place: &TempDir) -> Vec<String> {
    let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut aside: Vec<_> = names.filter(|name| name.contains("damaged")).collect();
    aside.sort();
    aside
}

type Damage<'a> = &'a dyn Fn(&TempDir);

#[test]
fn a_damaged_state_is_kept_aside_and_begun_anew() {
    let database = |place: &TempDir| place.path().join("state.db");
    let truncate = |place: &TempDir, to| {
        fs::File::options().write(true).open(database(place)).unwrap().set_len(to).unwrap();
    };
    let garbage = |place: &TempDir| fs::write(database(place), vec![7; 20_000]).unwrap();
    let execute = |place: &TempDir, sql: &str| {
        rusqlite::Connection::open(database(place)).unwrap().execute_batch(sql).unwrap();
    };
    let damages: [(&str, Damage<'_>); 8] = [
        ("empty", &|place| truncate(place, 0)),
        ("cut", &|place| truncate(place, 4096)),
        ("half a page", &|place| truncate(place, 9000)),
        ("garbage", &garbage),
        ("no schema", &|place| execute(place, "PRAGMA user_version = 0")),
        ("no table", &|place| execute(place, "DROP TABLE slots")),
        ("changed row", &|place| execute(place, "UPDATE slots SET facts = zeroblob(300)")),
        ("renamed row", &|place| execute(place, "UPDATE slots SET identity = 'b'")),
    ];
    for (name, damage) in damages {
        let place = with_one_entry();
        damage(&place);
        let before = fs::read(database(&place)).unwrap();
        drop(Store::look(place.path(), None).unwrap());
        assert!(kept_aside(&place).is_empty(), "{name}: whoever only looks changes nothing");
        let opened = open(&place);
        let lost = opened.lost.unwrap();
        assert!(opened.entries.is_empty() && lost.contains("state.db.damaged-20261121T080000Z"), "{name}: {lost}");
        assert_eq!(kept_aside(&place), ["state.db.damaged-20261121T080000Z"], "{name}");
        assert_eq!(fs::read(place.path().join(&kept_aside(&place)[0])).unwrap().len(), before.len(), "{name}");
        save(&opened.store, vec![put(&full("c"))]).unwrap();
        opened.store.close().unwrap();
        let again = open(&place);
        assert!(again.lost.is_none() && again.entries.len() == 1, "{name}");
    }
}

#[test]
fn two_damages_in_one_second_are_both_kept() {
    let place = with_one_entry();
    for _ in 0..2 {
        fs::write(place.path().join("state.db"), b"garbage").unwrap();
        open(&place).store.close().unwrap();
    }
    let name = "state.db.damaged-20261121T080000Z";
    assert_eq!(kept_aside(&place), [name.to_owned(), format!("{name}-2")]);
}

/// Whatever byte the disk turns over: the state is as it was, or it is lost and says so.
#[test]
fn no_flipped_byte_changes_what_is_known_in_silence() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    let entries: Vec<Entry> = (0..12).map(|number| full(&format!("slot {number}"))).collect();
    save(&opened.store, entries.iter().map(put).collect()).unwrap();
    save(&opened.store, vec![Change::Remove(entries[3].identity.clone())]).unwrap();
    opened.store.close().unwrap();
    let database = place.path().join("state.db");
    let whole = fs::read(&database).unwrap();
    let known = known_in(&place).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(61).chain(0..128) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        fs::write(&database, &flipped).unwrap();
        match known_in(&place) {
            Some(now) => assert_eq!(now, known, "byte {at}"),
            None => noticed += 1,
        }
    }
    assert!(noticed > 100, "{noticed}");
}

/// All that is known, in order, or nothing where it is lost or refused.
fn known_in(place: &TempDir) -> Option<Vec<String>> {
    let opened = Store::open(place.path(), None, NOW).ok()?;
    let mut known: Vec<String> = opened.entries.iter().map(print).collect();
    known.sort();
    opened.store.close().unwrap();
    opened.lost.is_none().then_some(known)
}

#[test]
fn a_lost_key_loses_the_state_and_says_so() {
    let place = with_one_entry();
    fs::remove_file(place.path().join("state.key")).unwrap();
    let opened = open(&place);
    assert!(opened.lost.unwrap().contains("its key is gone"));
    assert_eq!(kept_aside(&place).len(), 1);
    opened.store.close().unwrap();
    assert!(open(&place).lost.is_none());
}

#[test]
fn another_key_loses_the_state_and_says_so() {
    let place = with_one_entry();
    let opened = Store::open(place.path(), Some(&Secret::new("another key entirely".into())), NOW).unwrap();
    assert!(opened.lost.unwrap().contains("sealed with another key"));
}

#[test]
fn the_text_of_the_key_file_may_move_to_the_configuration() {
    let place = with_one_entry();
    let text = fs::read_to_string(place.path().join("state.key")).unwrap();
    fs::remove_file(place.path().join("state.key")).unwrap();
    let opened = Store::open(place.path(), Some(&Secret::new(text.trim().into())), NOW).unwrap();
    assert!(opened.lost.is_none() && opened.entries.len() == 1);
    assert!(!place.path().join("state.key").exists());
}

#[test]
fn a_log_whose_database_is_gone_is_kept_aside_and_never_replayed() {
    let place = with_one_entry();
    let opened = open(&place);
    save(&opened.store, vec![put(&full("b"))]).unwrap();
    let copy = TempDir::new().unwrap();
    for name in ["state.key", "state.db-wal"] {
        fs::copy(place.path().join(name), copy.path().join(name)).unwrap();
    }
    let opened = open(&copy);
    assert!(opened.lost.is_some() && opened.entries.is_empty());
    assert_eq!(kept_aside(&copy), ["state.db.damaged-20261121T080000Z-wal"]);
}

#[test]
fn what_was_answered_is_there_after_a_kill() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    for round in 0..20 {
        save(&opened.store, vec![put(&full(&format!("slot {round}")))]).unwrap();
        // What a killed daemon leaves is what is in its files right now.
        let copy = TempDir::new().unwrap();
        for name in ["state.key", "state.db", "state.db-wal"] {
            fs::copy(place.path().join(name), copy.path().join(name)).unwrap();
        }
        let after = open(&copy);
        assert_eq!((after.entries.len(), after.lost), (round + 1, None));
    }
}

#[test]
fn a_start_that_was_killed_half_way_begins_again() {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("state.db.new"), b"half").unwrap();
    fs::write(place.path().join("state.db.new-journal"), b"half").unwrap();
    fs::write(place.path().join("tokend.lock"), b"99999\n").unwrap();
    assert!(open(&place).lost.is_none());
    assert!(!place.path().join("state.db.new").exists());
}

#[test]
fn savers_at_the_same_time_are_all_answered() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let saves = (0..100).map(|number| opened.store.save(vec![put(&full(&format!("slot {number}")))]));
        assert!(futures_util::future::join_all(saves).await.iter().all(Result::is_ok));
    });
    opened.store.close().unwrap();
    assert_eq!(open(&place).entries.len(), 100);
}

/// Not a test: saves one slot after the other into `TOKEND_TEST_STATE` and says each that was
/// answered, until it is killed.
#[test]
#[ignore = "run by the test below as another process"]
fn a_daemon_that_saves() {
    let Ok(place) = std::env::var("TOKEND_TEST_STATE") else { return };
    let opened = Store::open(Path::new(&place), None, NOW).unwrap();
    for number in opened.entries.len().. {
        save(&opened.store, vec![put(&full(&format!("slot {number}")))]).unwrap();
        println!("answered {number}");
    }
}

#[test]
fn a_daemon_killed_at_any_moment_leaves_all_that_was_answered() {
    let place = TempDir::new().unwrap();
    let mut answered = 0;
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::a_daemon_that_saves", "--ignored", "--nocapture"])
            .env("TOKEND_TEST_STATE", place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let numbers = lines.filter_map(|line| line.split("answered ").nth(1)?.parse::<usize>().ok());
        for number in numbers.take(1 + round * 7) {
            answered = number + 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let opened = open(&place);
        assert_eq!(opened.lost, None);
        assert!(opened.entries.len() >= answered, "{} of {answered}", opened.entries.len());
        opened.store.close().unwrap();
    }
}

#[test]
fn a_state_that_was_removed_is_not_written() {
    let place = TempDir::new().unwrap();
    let opened = open(&place);
    fs::remove_file(place.path().join(DATABASE)).unwrap();
    let said = save(&opened.store, vec![put(&full("a"))]).unwrap_err();
    assert!(said.ends_with("state.db was removed while tokend runs: start it again"), "{said}");
}

#[test]
fn the_token_of_a_login_is_kept_sealed_and_forgotten() {
    let place = TempDir::new().unwrap();
    let kept = |login: &str| VaultToken {
        login: login.into(),
        token: Secret::new(SECRET.into()),
        expires_at: Some(NOW),
        renewable: true,
    };
    let opened = open(&place);
    assert!(opened.vault_tokens.is_empty());
    let saver = opened.store.saver();
    saver.keep_vault_token(kept("main https://v"));
    saver.keep_vault_token(kept("other https://v"));
    saver.forget_vault_token("other https://v".into());
    drop(saver);
    opened.store.close().unwrap();
    let opened = open(&place);
    let [token] = opened.vault_tokens.as_slice() else { panic!("{:?}", opened.vault_tokens) };
    assert_eq!((token.login.as_str(), token.expires_at, token.renewable), ("main https://v", Some(NOW), true));
    assert!(token.token.same_as(&Secret::new(SECRET.into())));
    opened.store.close().unwrap();
    let state = fs::read(place.path().join(DATABASE)).unwrap();
    assert!(!state.windows(10).any(|ten| ten == &SECRET.as_bytes()[..10]));
}
