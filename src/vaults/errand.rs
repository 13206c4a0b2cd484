//! What is wanted of a place at a server, and what came of it.

use crate::sink::vault::{Put, VaultPut};
use crate::vault::Found;

/// What is wanted of a place.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    /// That it holds this.
    Put(&'a VaultPut<'a>),
    /// What it holds.
    Read,
}

/// What came of it.
pub(crate) enum Reply {
    Put(Put),
    Read(Found),
}

impl What<'_> {
    /// What its policies must allow there.
    pub(crate) fn capabilities(self) -> &'static str {
        match self {
            Self::Put(_) => "read and update",
            Self::Read => "read",
        }
    }
}
