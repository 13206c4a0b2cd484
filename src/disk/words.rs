//! What is wrong with a place on disk, in words for a person, with the remedy. No content ever.

use std::io::Error;
use std::path::Path;

use rustix::fs::{FileType, Gid, Uid};
use rustix::io::Errno;

/// `doing` something with `path` failed.
pub fn failed(doing: &str, path: &Path, errno: Errno) -> String {
    let path = path.display();
    match errno {
        Errno::ACCESS | Errno::PERM => {
            format!("cannot {doing} {path}: permission denied; let tokend's user read and write that directory")
        }
        Errno::BUSY => format!("cannot {doing} {path}: it is a mount point; mount the directory, not the file"),
        Errno::NOSPC => format!("cannot {doing} {path}: no space left on its file system; make room there"),
        Errno::DQUOT => format!("cannot {doing} {path}: the disk quota is used up; raise it or make room"),
        Errno::ROFS => format!(
            "cannot {doing} {path}: its file system is read-only here; \
             under systemd add the directory to ReadWritePaths= (`tokend check --unit` prints it) and restart tokend"
        ),
        Errno::NAMETOOLONG => format!("cannot {doing} {path}: the name is too long; 240 bytes are the most"),
        errno => format!("cannot {doing} {path}: {}", Error::from(errno)),
    }
}

/// A directory is not there and is not ours to make.
pub fn missing(directory: &Path) -> String {
    let hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"].iter().any(|place| directory.starts_with(place));
    let remedy = if hidden {
        "; if it does, the service does not see it: `tokend check --unit` prints the BindPaths= that it takes"
    } else {
        " (tokend makes directories only below its runtime and state directories)"
    };
    format!("the directory {} does not exist: create it{remedy}", directory.display())
}

/// Something on the way is no directory.
pub fn not_a_directory(path: &Path) -> String {
    format!("{} is not a directory", path.display())
}

/// Anyone could replace files in the directory.
pub fn open_to_all(directory: &Path) -> String {
    format!(
        "everybody can replace files in {}: take that away (chmod o-w), or set its sticky bit (chmod +t)",
        directory.display()
    )
}

/// A link on the way could have been made by a stranger.
pub fn untrusted_link(link: &Path) -> String {
    format!(
        "{} is a symbolic link that is not followed: link and directory must belong to root or tokend's user, \
         and others must not be able to write to that directory; name the place that it leads to instead",
        link.display()
    )
}

/// Links lead in a circle.
pub fn too_many_links(path: &Path) -> String {
    format!("too many symbolic links on the way to {}", path.display())
}

/// Something is at the place of a file that is none.
pub fn not_a_file(path: &Path, kind: FileType) -> String {
    let kind = match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no regular file",
    };
    format!("{} is {kind}, and only regular files are replaced: remove it, or name another path", path.display())
}

/// A file is larger than anything that was written there by us.
pub fn too_large(path: &Path) -> String {
    format!("{} is larger than any file that tokend writes", path.display())
}

/// The system does not let us give a file to this user or group.
pub fn may_not_give(path: &Path, owner: Option<Uid>, group: Option<Gid>) -> String {
    let path = path.display();
    match (owner, group) {
        (Some(owner), _) => format!(
            "cannot give {path} to the user with number {}: \
             that takes the capability CAP_CHOWN; leave `owner` out and use `group` if you can",
            owner.as_raw()
        ),
        (None, Some(group)) => format!(
            "cannot give {path} to the group with number {}: tokend's user is not in it; \
             under systemd add it to SupplementaryGroups= (`tokend check --unit` prints it) and restart tokend",
            group.as_raw()
        ),
        (None, None) => format!("cannot give {path} away: permission denied"),
    }
}
