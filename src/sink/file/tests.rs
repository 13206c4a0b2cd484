//! What is of files alone; what every sink promises is in `sink::contract`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;

fn settings(path: PathBuf) -> FileSettings {
    FileSettings { path, content: FileContent::Format(FileFormat::Raw), mode: 0o600, owner: None, group: None }
}

fn put<'a>(settings: &'a FileSettings, content: &str) -> FilePut<'a> {
    FilePut { settings, content: Content::Made(Zeroizing::new(content.into())) }
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
            Ok(delivered) => {
                assert!(reason.is_empty() && delivered.written);
                assert_eq!(fs::read(&file.path).unwrap(), file.path.to_str().unwrap().as_bytes());
            }
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

#[test]
fn removing_from_a_directory_that_is_gone_is_fine() {
    assert_eq!(remove(Path::new("/no/such/place/token"), Fingerprint::default()), Ok(()));
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
    let files = ["one/a", "two/a", "gone/a"].map(|name| settings(at(name)));
    assert_eq!(sweep(&files), 2);
    assert!(at("one/.b.tokend-abcdef").exists());
}
