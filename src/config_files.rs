//! Reads the texts of the configuration from disk: the file that was named and `conf.d/*.toml`
//! beside it. Does not look into them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::{OpenOptions, read_dir};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::SourceText;
use crate::privacy;

/// A file or directory of the configuration could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}: {reason}", path.display())]
pub struct Unreadable {
    /// Which.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

/// The file at `path`, then every `conf.d/*.toml` beside it by name: beside the path as it is
/// given, not as a link resolves. Names that begin with a dot are passed over.
///
/// Errors: the first that cannot be read. `conf.d` may be absent.
pub fn read(path: &Path) -> Result<Vec<SourceText>, Unreadable> {
    let mut sources = vec![read_one(path).map_err(|error| main_file(path, &error))?];
    let directory = path.parent().unwrap_or(Path::new("")).join("conf.d");
    let beside = list(&directory).map_err(|error| Unreadable { path: directory, reason: reason(&error) })?;
    for path in beside {
        match read_one(&path) {
            Ok(source) => sources.push(source),
            Err(error) => return Err(Unreadable { reason: reason(&error), path }),
        }
    }
    Ok(sources)
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn read_one(path: &Path) -> io::Result<SourceText> {
    // A FIFO or a device would be waited for.
    let mut file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file; remove it"));
    }
    let privacy = privacy::of(&file)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(SourceText { path: path.into(), text, privacy })
}

fn main_file(path: &Path, error: &io::Error) -> Unreadable {
    let reason = match error.kind() {
        ErrorKind::NotFound => "there is no such file; write it, or name another with --config PATH".into(),
        _ => reason(error),
    };
    Unreadable { path: path.into(), reason }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "the link leads nowhere; remove it".into(),
        ErrorKind::PermissionDenied => "permission denied; give the user that runs tokend read access".into(),
        ErrorKind::InvalidData => "it is not UTF-8 text; TOML must be".into(),
        ErrorKind::IsADirectory => "it is a directory, not a file".into(),
        ErrorKind::NotADirectory => "it is not a directory".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::config::Privacy;

    fn names(sources: &[SourceText], below: &Path) -> Vec<String> {
        sources.iter().map(|source| source.path.strip_prefix(below).unwrap().display().to_string()).collect()
    }

    #[test]
    fn the_files_of_conf_d_follow_by_name_and_backups_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokend.toml");
        write(&path, "main").unwrap();
        assert_eq!(names(&read(&path).unwrap(), directory.path()), ["tokend.toml"]);
        create_dir(directory.path().join("conf.d")).unwrap();
        for name in ["b.toml", "a.toml", ".hidden.toml", "a.toml~", "a.toml.bak", "#a.toml#", "README", "10.toml"] {
            write(directory.path().join("conf.d").join(name), name).unwrap();
        }
        let sources = read(&path).unwrap();
        let expected = ["tokend.toml", "conf.d/10.toml", "conf.d/a.toml", "conf.d/b.toml"];
        assert_eq!(names(&sources, directory.path()), expected);
        assert_eq!(sources[2].text, "a.toml");
    }

    #[test]
    fn conf_d_stands_beside_the_path_as_given_not_as_a_link_resolves() {
        let directory = tempfile::tempdir().unwrap();
        for place in ["real", "given"] {
            create_dir(directory.path().join(place)).unwrap();
            create_dir(directory.path().join(place).join("conf.d")).unwrap();
            write(directory.path().join(place).join("conf.d/x.toml"), place).unwrap();
        }
        write(directory.path().join("real/tokend.toml"), "").unwrap();
        let given = directory.path().join("given/tokend.toml");
        symlink(directory.path().join("real/tokend.toml"), &given).unwrap();
        assert_eq!(read(&given).unwrap()[1].text, "given");
    }

    #[test]
    fn privacy_is_that_of_each_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokend.toml");
        create_dir(directory.path().join("conf.d")).unwrap();
        let other = directory.path().join("conf.d/secret.toml");
        for (path, mode) in [(&path, 0o644), (&other, 0o600)] {
            write(path, "").unwrap();
            set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let privacy: Vec<_> = read(&path).unwrap().into_iter().map(|source| source.privacy).collect();
        assert_eq!(privacy, [Privacy::World, Privacy::Private]);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_a_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokend.toml");
        let told = || read(&path).unwrap_err().to_string().replace(&directory.path().display().to_string(), "DIR");
        assert_eq!(
            told(),
            "cannot read DIR/tokend.toml: there is no such file; write it, or name another with --config PATH"
        );
        write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(told(), "cannot read DIR/tokend.toml: it is not UTF-8 text; TOML must be");
        write(&path, "").unwrap();
        create_dir(directory.path().join("conf.d")).unwrap();
        symlink("/nowhere", directory.path().join("conf.d/a.toml")).unwrap();
        assert_eq!(told(), "cannot read DIR/conf.d/a.toml: the link leads nowhere; remove it");
    }
}
