//! Who may read a token over the socket.

use std::fmt;

/// `readers`: any one suffices; nobody unless something is said. Root and the daemon's own user may
/// always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// Users by name or number as the host knows them.
    pub users: Vec<String>,
    /// Groups, primary or supplementary, by name or number.
    pub groups: Vec<String>,
    /// Units of the system manager, such as `api.service`.
    pub units: Vec<String>,
}

impl Readers {
    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.units.is_empty()
    }
}

/// `users api; units api.service`, and nothing where nobody is named.
impl fmt::Display for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("users", &self.users), ("groups", &self.groups), ("units", &self.units)];
        let named = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        for (index, (kind, names)) in named.enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{kind} {}", names.join(" "))?;
        }
        Ok(())
    }
}
