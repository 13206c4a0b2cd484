//! Users and groups by name, as the host knows them (NSS: files, LDAP, systemd), or by number.

use nix::unistd::{Group, User};
use rustix::fs::{Gid, Uid};

/// The user called `name`, or numbered so.
pub fn user(name: &str) -> Result<Uid, String> {
    if let Some(id) = number(name) {
        return Ok(Uid::from_raw(id));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Uid::from_raw(user.uid.as_raw())),
        Ok(None) => Err(format!("there is no user {name:?} on this host: create it, or correct `owner`")),
        Err(errno) => Err(format!("the user {name:?} cannot be looked up: {}", errno.desc())),
    }
}

/// The group called `name`, or numbered so.
pub fn group(name: &str) -> Result<Gid, String> {
    if let Some(id) = number(name) {
        return Ok(Gid::from_raw(id));
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(Gid::from_raw(group.gid.as_raw())),
        Ok(None) => Err(format!("there is no group {name:?} on this host: create it, or correct `group`")),
        Err(errno) => Err(format!("the group {name:?} cannot be looked up: {}", errno.desc())),
    }
}

/// The largest number is none: the system takes it for "unchanged".
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}
