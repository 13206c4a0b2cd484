//! The one suite that holds every sink to what [`Sink`] promises. What a sink cannot show by itself
//! (what its readers see, a stranger's hand) comes with its stand.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::settings::{FileContent, FileFormat, FileSettings};
use crate::sink::file::FileSink;
use crate::sink::{Sink, fingerprint};

/// What readers and strangers can do to a place.
trait Stand {
    fn with_sink<T>(&self, then: impl FnOnce(&dyn Sink) -> T) -> T;
    /// What a reader finds, or nothing.
    fn look(&self) -> Option<Vec<u8>>;
    /// A stranger writes there.
    fn overwrite(&self, content: &[u8]);
    /// Makes every put fail until `mend`.
    fn spoil(&self);
    fn mend(&self);
}

struct FileStand {
    place: TempDir,
    settings: FileSettings,
    own_roots: [PathBuf; 1],
}

impl FileStand {
    fn new() -> Self {
        let place = TempDir::new().unwrap();
        let path = place.path().join("run/tokens/accounts");
        let settings =
            FileSettings { path, content: FileContent::Format(FileFormat::Raw), mode: 0o640, owner: None, group: None };
        let own_roots = [place.path().join("run")];
        Self { place, settings, own_roots }
    }
}

impl Stand for FileStand {
    fn with_sink<T>(&self, then: impl FnOnce(&dyn Sink) -> T) -> T {
        then(&FileSink { settings: &self.settings, own_roots: &self.own_roots })
    }

    fn look(&self) -> Option<Vec<u8>> {
        fs::read(&self.settings.path).ok()
    }

    fn overwrite(&self, content: &[u8]) {
        fs::write(&self.settings.path, content).unwrap();
    }

    fn spoil(&self) {
        fs::rename(self.place.path().join("run/tokens"), self.place.path().join("run/aside")).unwrap();
        fs::write(self.place.path().join("run/tokens"), b"in the way").unwrap();
    }

    fn mend(&self) {
        fs::remove_file(self.place.path().join("run/tokens")).unwrap();
        fs::rename(self.place.path().join("run/aside"), self.place.path().join("run/tokens")).unwrap();
    }
}

const OLD: &[u8] = b"the-old-access-token";
const NEW: &[u8] = b"the-new-access-token";

fn put(stand: &impl Stand, content: &[u8]) -> Result<bool, String> {
    let delivered = stand.with_sink(|sink| sink.put(content))?;
    assert_eq!(delivered.fingerprint, fingerprint(content));
    Ok(delivered.written)
}

fn remove(stand: &impl Stand, content: &[u8]) -> Result<(), String> {
    stand.with_sink(|sink| sink.remove(fingerprint(content)))
}

fn it_holds_what_was_put_last(stand: &impl Stand) {
    for content in [OLD, NEW] {
        assert_eq!(put(stand, content), Ok(true));
        assert_eq!(stand.look().as_deref(), Some(content));
    }
}

fn it_is_idempotent(stand: &impl Stand) {
    put(stand, NEW).unwrap();
    assert_eq!(put(stand, NEW), Ok(false));
    assert_eq!(stand.look().as_deref(), Some(NEW));
    assert_eq!((remove(stand, NEW), remove(stand, NEW)), (Ok(()), Ok(())));
    assert_eq!(stand.look(), None);
}

fn it_heals_what_a_stranger_wrote(stand: &impl Stand) {
    put(stand, NEW).unwrap();
    stand.overwrite(OLD);
    assert_eq!(put(stand, NEW), Ok(true));
    assert_eq!(stand.look().as_deref(), Some(NEW));
}

fn it_removes_only_what_it_wrote(stand: &impl Stand) {
    put(stand, NEW).unwrap();
    stand.overwrite(b"precious");
    assert!(remove(stand, NEW).unwrap_err().contains("somebody else"));
    assert_eq!(stand.look().as_deref(), Some(&b"precious"[..]));
}

fn it_fails_whole_once_and_without_showing_a_secret(stand: &impl Stand) {
    put(stand, OLD).unwrap();
    stand.spoil();
    let reason = put(stand, NEW).unwrap_err();
    assert!(!reason.contains("access-token"), "{reason}");
    stand.mend();
    assert_eq!(stand.look().as_deref(), Some(OLD));
    assert_eq!(put(stand, NEW), Ok(true));
}

fn it_is_empty_of_what_was_never_put(stand: &impl Stand) {
    assert_eq!(remove(stand, NEW), Ok(()));
    assert_eq!(stand.look(), None);
}

#[test]
fn a_file_keeps_the_contract_of_sinks() {
    it_holds_what_was_put_last(&FileStand::new());
    it_is_idempotent(&FileStand::new());
    it_heals_what_a_stranger_wrote(&FileStand::new());
    it_removes_only_what_it_wrote(&FileStand::new());
    it_fails_whole_once_and_without_showing_a_secret(&FileStand::new());
    it_is_empty_of_what_was_never_put(&FileStand::new());
}
