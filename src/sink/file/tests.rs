//! What is of files alone; what every sink promises is in `sink::contract`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::access_token::{AccessToken, Clock};
use crate::secret::Secret;

fn settings(path: PathBuf) -> FileSettings {
    FileSettings { path, content: FileContent::Format(FileFormat::Raw), mode: 0o600, owner: None, group: None }
}

fn put<'a>(settings: &'a FileSettings, content: &str) -> FilePut<'a> {
    FilePut { settings, content: Content::Made(Zeroizing::new(content.into())), number: None }
}

#[test]
fn a_file_that_fails_delays_no_other_and_results_keep_their_order() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("one/dir")).unwrap();
    fs::create_dir(at("two")).unwrap();
    let files = [
        settings(at("one/a")),
        settings(at("one/dir")),
        FileSettings { owner: Some("no-such-user".into()), ..settings(at("one/b")) },
        settings(at("gone/c")),
        settings(at("two/d")),
        settings(at("one/e")),
    ];
    let puts: Vec<_> = files.iter().map(|file| put(file, file.path.to_str().unwrap())).collect();
    let results = put_all(&puts, &[]);
    let reasons = ["", "a directory", "no user \"no-such-user\"", "gone does not exist", "", ""];
    for ((result, reason), file) in results.iter().zip(reasons).zip(&files) {
        match result {
            Ok(Put::Done(delivered)) => {
                assert!(reason.is_empty() && delivered.written);
                assert_eq!(fs::read(&file.path).unwrap(), file.path.to_str().unwrap().as_bytes());
            }
            Ok(other) => panic!("{other:?}"),
            Err(said) => assert!(!reason.is_empty() && said.contains(reason), "{said}"),
        }
    }
    assert_eq!(results.len(), files.len());
}

#[test]
fn a_directory_of_ours_is_open_to_others_when_any_of_its_files_is() {
    let place = TempDir::new().unwrap();
    let roots = [place.path().join("run")];
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let private = settings(place.path().join("run/private/a"));
    let shared = settings(place.path().join("run/shared/a"));
    let group = FileSettings { mode: 0o640, ..settings(place.path().join("run/shared/b")) };
    let puts = [put(&private, "x"), put(&shared, "y"), put(&group, "z")];
    assert!(put_all(&puts, &roots).iter().all(Result::is_ok));
    assert_eq!([mode(directory_of(&private.path)), mode(directory_of(&shared.path))], [0o700, 0o755]);
}

#[test]
fn the_generation_is_read_back_from_json_only() {
    let place = TempDir::new().unwrap();
    let json = FileSettings { content: FileContent::Format(FileFormat::Json), ..settings(place.path().join("a")) };
    assert_eq!(generation(&json), None);
    fs::write(&json.path, r#"{"access_token": "x", "generation": 41}"#).unwrap();
    assert_eq!(generation(&json), Some(Generation(41)));
    assert_eq!(generation(&settings(json.path.clone())), None);
    fs::write(&json.path, vec![b' '; 2 << 20]).unwrap();
    assert_eq!(generation(&json), None);
}

const WRITTEN: Written = Written { fingerprint: Some([0; 16]), access_token: None };

#[test]
fn removing_from_a_directory_that_is_gone_is_fine() {
    assert_eq!(remove(Path::new("/no/such/place/token"), &WRITTEN), Ok(()));
}

#[test]
fn what_a_killed_daemon_left_is_swept_in_every_directory() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("one")).unwrap();
    fs::create_dir_all(at("two")).unwrap();
    for left in ["one/.a.tokend-abcdef", "one/.b.tokend-abcdef", "two/.a.tokend-abcdef"] {
        fs::write(at(left), b"half a tok").unwrap();
    }
    let files = ["one/a", "two/a", "gone/a"].map(at);
    assert_eq!(sweep(files.iter().map(|file| (file.as_path(), None))), 2);
    assert!(at("one/.b.tokend-abcdef").exists());
}

/// What a `format` file at `path` holds of the slot and generation named by `number`, until `expires_at`.
fn told(slot: &str, generation: u64, expires_at: &str) -> String {
    format!(r#"{{"access_token": "x", "slot": "{slot}", "generation": {generation}, "expires_at": "{expires_at}"}}"#)
}

#[test]
fn a_higher_generation_of_the_same_slot_is_never_written_over() {
    let place = TempDir::new().unwrap();
    let file = settings(place.path().join("a"));
    let number = Some(Number { slot: "bank/corporate", generation: Generation(5) });
    let put = |number| FilePut { settings: &file, content: Content::Bare(b"ours"), number };
    for expires_at in ["2100-01-01T00:00:00Z", "2020-01-01T00:00:00Z"] {
        fs::write(&file.path, told("bank/corporate", 6, expires_at)).unwrap();
        let expires_at = Timestamp::parse_rfc3339(expires_at);
        let result = put_all(&[put(number)], &[]).remove(0);
        assert_eq!(result, Ok(Put::Overtaken { generation: Generation(6), expires_at }));
        assert_ne!(fs::read(&file.path).unwrap(), b"ours");
    }
    let overwritten = [
        (told("bank/corporate", 5, "2100-01-01T00:00:00Z"), number, "the same one"),
        (told("bank/private", 6, "2100-01-01T00:00:00Z"), number, "of another slot"),
        (told("bank/corporate", 6, "2100-01-01T00:00:00Z"), None, "where generations are not named"),
        ("not json".to_owned(), number, "of somebody else"),
    ];
    for (before, number, what) in overwritten {
        fs::write(&file.path, before).unwrap();
        let result = put_all(&[put(number)], &[]).remove(0);
        assert!(matches!(result, Ok(Put::Done(Delivered { written: true, .. }))), "{what}: {result:?}");
        assert_eq!(fs::read(&file.path).unwrap(), b"ours", "{what}");
    }
}

#[test]
fn what_a_kill_left_is_known_by_the_access_token_in_it_and_nothing_else_is_removed() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("a");
    let written = |text: &str, fingerprint| Written { fingerprint, access_token: Some(Arc::new(token(text))) };
    let long = r#"a-long-access"token"#;
    let ours = [
        (long, long.to_owned()),
        (long, format!("Authorization: Bearer {long}\n")),
        (long, serde_json::json!({ "access_token": long }).to_string()),
        ("short", "short".to_owned()),
    ];
    for (text, content) in ours {
        for fingerprint in [None, Some([0; 16])] {
            fs::write(&path, &content).unwrap();
            assert_eq!(remove(&path, &written(text, fingerprint)), Ok(()));
            assert!(!path.exists(), "{content}");
        }
    }
    for (text, content) in [(long, "precious"), ("short", "shorter"), (long, "")] {
        fs::write(&path, content).unwrap();
        assert_eq!(remove(&path, &written(text, None)), Ok(()), "it was never ours");
        assert!(remove(&path, &written(text, Some([0; 16]))).unwrap_err().contains("somebody else"));
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

fn token(text: &str) -> AccessToken {
    let moment = Timestamp::from_secs(0);
    AccessToken {
        secret: Secret::new(text.to_owned()),
        token_type: "Bearer".into(),
        scopes: vec![],
        issued_at: moment,
        expires_at: moment,
        generation: Generation(1),
        extra: BTreeMap::new(),
        clock: Clock::Boot,
    }
}
