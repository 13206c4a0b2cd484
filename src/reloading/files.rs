//! The files that providers and templates name, and whether they changed. What is in them is digested and
//! forgotten; a file that looks untouched is not even opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, OpenOptions, metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::name::Name;
use crate::settings::{FileContent, FileKind, FollowedPlace, Provider, SecretSource};
use crate::time::Timestamp;

/// More is no secret and no certificate.
const LONGEST: u64 = 4 << 20;
/// A file that was written so lately may be written again without looking otherwise: clocks of file
/// systems are coarse.
const COARSE: i64 = 2;

/// Who needs a file, and what for.
pub(crate) type Needs = BTreeMap<PathBuf, BTreeSet<(FileKind, Name)>>;

/// What files are like.
pub(crate) type Seen = BTreeMap<PathBuf, Look>;

/// What a file is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    content: Content,
    /// What tells without opening it that it is the same; `None`: it must be opened again.
    stamp: Option<Stamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// Who may read it, and the digest of what they read.
    Of(Access, [u8; 32]),
    Unusable(ErrorKind),
}

/// Owner, group and mode.
type Access = (u32, u32, u32);
/// Device, inode, length, and when it was changed in whatever way.
type Stamp = (u64, u64, u64, i64, i64);

/// Who needs which file by `config`.
pub(crate) fn needs(config: &Config) -> Needs {
    let mut needs = Needs::new();
    for provider in config.providers.values() {
        for (path, kind) in files_of(provider) {
            needs.entry(path.clone()).or_default().insert((kind, provider.name.clone()));
        }
    }
    for slot in &config.slots {
        let Some(FollowedPlace::File(path)) = slot.follows().map(|followed| &followed.place) else { continue };
        let users = slot.tokens.iter().map(|token| (FileKind::Followed, token.name.clone()));
        needs.entry(path.clone()).or_default().extend(users);
    }
    for (token, sink) in config.slots.iter().flat_map(|slot| slot.sinks()) {
        if let Some(FileContent::TemplateFile(path)) = sink.file().map(|file| &file.content) {
            needs.entry(path.clone()).or_default().insert((FileKind::Template, token.name.clone()));
        }
    }
    needs
}

fn files_of(provider: &Provider) -> impl Iterator<Item = (&PathBuf, FileKind)> {
    let secrets = provider.secrets.values().flatten().filter_map(|source| match source {
        SecretSource::File(path) => Some((path, FileKind::Secret)),
        _ => None,
    });
    let tls = [&provider.tls.ca_file, &provider.tls.cert_file, &provider.tls.key_file];
    secrets.chain(tls.into_iter().flatten().map(|path| (path, FileKind::Tls)))
}

/// Looks at all files that are needed, at `now`, knowing what they were like.
pub(crate) fn look(needs: &Needs, known: &Seen, now: Timestamp) -> Seen {
    let now = now.as_millis() / 1000;
    needs.keys().map(|path| (path.clone(), look_at(path, known.get(path), now))).collect()
}

/// For each kind the providers, or tokens, that need a file which is not what it was.
pub(crate) fn changed(needs: &Needs, known: &Seen, seen: &Seen) -> BTreeMap<FileKind, BTreeSet<Name>> {
    let mut changed: BTreeMap<FileKind, BTreeSet<Name>> = BTreeMap::new();
    for (path, users) in needs {
        let (Some(before), Some(now)) = (known.get(path), seen.get(path)) else { continue };
        if before.content != now.content {
            for (kind, name) in users {
                changed.entry(*kind).or_default().insert(name.clone());
            }
        }
    }
    changed
}

fn look_at(path: &Path, known: Option<&Look>, now: i64) -> Look {
    let stamp = metadata(path).ok().and_then(|data| stamp(&data, now));
    if let Some(known) = known.filter(|known| stamp.is_some() && known.stamp == stamp) {
        return known.clone();
    }
    match read(path) {
        Ok((access, content)) => Look { content: Content::Of(access, content), stamp },
        Err(kind) => Look { content: Content::Unusable(kind), stamp: None },
    }
}

fn stamp(data: &Metadata, now: i64) -> Option<Stamp> {
    let stamp = (data.dev(), data.ino(), data.len(), data.ctime(), data.ctime_nsec());
    (data.ctime() + COARSE < now).then_some(stamp)
}

fn read(path: &Path) -> Result<(Access, [u8; 32]), ErrorKind> {
    // A FIFO would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| error.kind())?;
    let data = file.metadata().map_err(|error| error.kind())?;
    if !data.is_file() || data.len() > LONGEST {
        return Err(ErrorKind::InvalidInput);
    }
    // Room from the beginning: a buffer that grew would leave copies behind.
    let room = usize::try_from(data.len()).unwrap_or_default() + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST).read_to_end(&mut content).map_err(|error| error.kind())?;
    let mut short = [0; 32];
    short.copy_from_slice(digest(&SHA256, &content).as_ref());
    Ok(((data.uid(), data.gid(), data.mode()), short))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{Permissions, remove_file, rename, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_file_has_changed_when_its_content_or_its_readers_have() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let name = Name::parse("bank").unwrap();
        let needs = Needs::from([(path.clone(), [(FileKind::Secret, name.clone())].into())]);
        let mut known = look(&needs, &Seen::new(), NOW);
        let mut has_changed = || {
            let seen = look(&needs, &known, NOW);
            let changed = changed(&needs, &known, &seen);
            known = seen;
            assert!(changed.is_empty() || changed == [(FileKind::Secret, [name.clone()].into())].into());
            !changed.is_empty()
        };
        assert!(!has_changed(), "it is still missing");
        write(&path, "one").unwrap();
        assert!(has_changed(), "it appeared");
        assert!(!has_changed());
        write(&path, "one").unwrap();
        assert!(!has_changed(), "a touch is no change");
        write(&path, "two").unwrap();
        assert!(has_changed());
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(has_changed(), "others cannot read it any more");
        write(directory.path().join("new"), "two").unwrap();
        set_permissions(directory.path().join("new"), Permissions::from_mode(0o600)).unwrap();
        rename(directory.path().join("new"), &path).unwrap();
        assert!(!has_changed(), "another file with the same content");
        remove_file(&path).unwrap();
        assert!(has_changed());
    }

    #[test]
    fn a_stamp_is_trusted_only_when_the_clock_of_the_file_system_has_moved_on() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let data = file.as_file().metadata().unwrap();
        assert_eq!(stamp(&data, data.ctime()), None);
        assert_eq!(stamp(&data, data.ctime() + COARSE), None);
        assert!(stamp(&data, data.ctime() + COARSE + 1).is_some());
    }
}
