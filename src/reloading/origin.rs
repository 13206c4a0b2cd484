//! Why there are reloads, and how many came to what.

/// Why there is a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file may have been written.
    Files,
    /// Somebody asked: who, in words.
    Asked(String),
}

/// How many reloads came to what, of those that were asked for or found something new.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReloadTally {
    /// Another configuration was taken.
    pub taken: u64,
    /// The files say what holds already.
    pub unchanged: u64,
    /// The old one stays.
    pub refused: u64,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files => f.write_str("a file was written"),
            Self::Asked(who) => f.write_str(who),
        }
    }
}
