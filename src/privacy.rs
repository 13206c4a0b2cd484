//! Who can read an open file. Looks at its permission bits alone and opens nothing.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world"))]

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Mode, Stat, fstat};
use rustix::process::getegid;

use crate::config::Privacy;

/// Who can read `file`, which is open: so that nobody can exchange it between this and reading.
pub fn of(file: impl AsFd) -> io::Result<Privacy> {
    Ok(judge(&fstat(file)?, getegid().as_raw()))
}

/// An access control list counts as well: its mask shows where the group's bits do.
fn judge(stat: &Stat, own_group: u32) -> Privacy {
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.contains(Mode::ROTH) {
        Privacy::World
    } else if mode.contains(Mode::RGRP) && stat.st_gid != own_group {
        Privacy::Group
    } else {
        Privacy::Private
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_private_while_only_owner_and_own_group_can_read_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, own, other) in [
            (0o600, Privacy::Private, Privacy::Private),
            (0o622, Privacy::Private, Privacy::Private),
            (0o640, Privacy::Private, Privacy::Group),
            (0o644, Privacy::World, Privacy::World),
            (0o604, Privacy::World, Privacy::World),
        ] {
            std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let stat = fstat(file.as_file()).unwrap();
            assert_eq!(judge(&stat, stat.st_gid), own, "{mode:o}");
            assert_eq!(judge(&stat, stat.st_gid + 1), other, "{mode:o}");
        }
        assert_eq!(of(File::open(file.path()).unwrap()).unwrap(), Privacy::World);
    }
}
