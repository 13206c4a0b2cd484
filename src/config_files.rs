//! Reads the texts of the configuration from disk: the file that was named and `conf.d/*.toml`
//! beside it. Does not look into them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::{OpenOptions, read_dir};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::config::SourceText;
use crate::privacy;
use crate::problem::{Place, Problem, in_one_line};

/// The file at `path`, then every `conf.d/*.toml` beside it by name, and a problem for each that cannot be
/// read: beside the path as it is given, not as a link resolves. Names that begin with a dot are passed
/// over; `conf.d` may be absent.
#[must_use]
pub fn read(path: &Path) -> (Vec<SourceText>, Vec<Problem>) {
    let directory = path.parent().unwrap_or(Path::new("")).join("conf.d");
    let (mut sources, mut unread) = (Vec::new(), Vec::new());
    let beside = list(&directory).unwrap_or_else(|error| {
        unread.push(problem(&directory, (1, 1), &reason(&error)));
        Vec::new()
    });
    for file in std::iter::once(path).chain(beside.iter().map(PathBuf::as_path)) {
        match read_one(file) {
            Ok(Ok(source)) => sources.push(source),
            Ok(Err(strange)) => unread.push(strange),
            Err(error) if file == path && error.kind() == ErrorKind::NotFound => {
                let text = "there is no such file; write it, or name another with --config PATH";
                unread.push(problem(file, (1, 1), text));
            }
            Err(error) => unread.push(problem(file, (1, 1), &reason(&error))),
        }
    }
    (sources, unread)
}

fn problem(path: &Path, (line, column): (usize, usize), text: &str) -> Problem {
    Problem { place: Place::File { path: Arc::new(path.into()), line, column }, text: in_one_line(text) }
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

/// The text at `path`, or where it is none.
fn read_one(path: &Path) -> io::Result<Result<SourceText, Problem>> {
    // A FIFO or a device would be waited for.
    let mut file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file; remove it"));
    }
    let privacy = privacy::of(&file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceText { path: path.into(), text, privacy }),
        Err(error) => {
            let place = end_of(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
            Err(problem(path, place, "this is not UTF-8 text; TOML must be"))
        }
    })
}

/// Line and column after `text`, which is UTF-8.
fn end_of(text: &[u8]) -> (usize, usize) {
    let text = str::from_utf8(text).unwrap_or_default();
    let last = text.rsplit('\n').next().unwrap_or_default();
    (1 + text.matches('\n').count(), 1 + last.chars().count())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "the link leads nowhere; remove it".into(),
        ErrorKind::PermissionDenied => "permission denied; give the user that runs tokend read access".into(),
        ErrorKind::IsADirectory => "it is a directory, not a file".into(),
        ErrorKind::NotADirectory => "it is not a directory".into(),
        ErrorKind::InvalidInput => error.to_string(),
        _ => format!("it cannot be read: {error}"),
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
        assert_eq!(names(&read(&path).0, directory.path()), ["tokend.toml"]);
        create_dir(directory.path().join("conf.d")).unwrap();
        for name in ["b.toml", "a.toml", ".hidden.toml", "a.toml~", "a.toml.bak", "#a.toml#", "README", "10.toml"] {
            write(directory.path().join("conf.d").join(name), name).unwrap();
        }
        let (sources, unread) = read(&path);
        assert_eq!(unread, []);
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
        assert_eq!(read(&given).0[1].text, "given");
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
        let privacy: Vec<_> = read(&path).0.into_iter().map(|source| source.privacy).collect();
        assert_eq!(privacy, [Privacy::World, Privacy::Private]);
    }

    #[test]
    fn all_that_cannot_be_read_is_named_with_a_remedy_and_the_rest_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokend.toml");
        let told = || {
            let (sources, unread) = read(&path);
            let words = |problem: Problem| problem.to_string().replace(&directory.path().display().to_string(), "DIR");
            (names(&sources, directory.path()), unread.into_iter().map(words).collect::<Vec<_>>())
        };
        let missing = "DIR/tokend.toml:1:1: there is no such file; write it, or name another with --config PATH";
        assert_eq!(told(), (vec![], vec![missing.to_owned()]));
        write(&path, b"# one\n# \xc3\xa9\xff").unwrap();
        let strange = "DIR/tokend.toml:2:4: this is not UTF-8 text; TOML must be";
        assert_eq!(told(), (vec![], vec![strange.to_owned()]));
        write(&path, "").unwrap();
        create_dir(directory.path().join("conf.d")).unwrap();
        create_dir(directory.path().join("conf.d/b.toml")).unwrap();
        symlink("/nowhere", directory.path().join("conf.d/a.toml")).unwrap();
        write(directory.path().join("conf.d/c.toml"), "").unwrap();
        let link = "DIR/conf.d/a.toml:1:1: the link leads nowhere; remove it".to_owned();
        let other = "DIR/conf.d/b.toml:1:1: it is not a regular file; remove it".to_owned();
        assert_eq!(told(), (vec!["tokend.toml".into(), "conf.d/c.toml".into()], vec![link, other]));
    }
}
