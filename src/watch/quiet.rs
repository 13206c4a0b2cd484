//! When to look after files stirred: when they have been quiet for a moment and nobody is in the
//! middle of writing, but not later than a few seconds after the first stir.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How long it must be quiet.
const QUIET: Duration = Duration::from_millis(250);
/// How long a file that is written all the time can put it off.
const LONGEST: Duration = Duration::from_secs(5);

/// Something happened to a file that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stir {
    /// It was made, replaced, removed, or something may have been missed.
    Touched,
    /// Somebody writes to it.
    Writing(PathBuf),
    /// Whoever wrote to it has closed it.
    Written(PathBuf),
    /// This directory is no longer where it was.
    Lost(PathBuf),
}

/// What stirred since the last look. Times count from any one moment.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    first: Option<Duration>,
    last: Duration,
    writing: BTreeSet<PathBuf>,
    /// Directories that are no longer where they were.
    pub(crate) lost: BTreeSet<PathBuf>,
}

impl Quiet {
    /// Notes what happened at `now`.
    pub(crate) fn note(&mut self, stir: Stir, now: Duration) {
        self.first.get_or_insert(now);
        self.last = now;
        match stir {
            Stir::Touched => {}
            Stir::Writing(path) => drop(self.writing.insert(path)),
            Stir::Written(path) => drop(self.writing.remove(&path)),
            Stir::Lost(directory) => drop(self.lost.insert(directory)),
        }
    }

    /// When to look; `None` while nothing stirred.
    pub(crate) fn due(&self) -> Option<Duration> {
        let latest = self.first? + LONGEST;
        Some(if self.writing.is_empty() { latest.min(self.last + QUIET) } else { latest })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// When to look after these stirs, in milliseconds.
    fn due(stirs: &[(u64, Stir)]) -> Option<u128> {
        let mut quiet = Quiet::default();
        for (at, stir) in stirs {
            quiet.note(stir.clone(), Duration::from_millis(*at));
        }
        quiet.due().map(|due| due.as_millis())
    }

    #[test]
    fn it_looks_when_it_is_quiet_and_nobody_is_writing_but_not_too_late() {
        let (writing, written) = (Stir::Writing("/a".into()), Stir::Written("/a".into()));
        let (touched, other) = (Stir::Touched, Stir::Writing("/b".into()));
        for (stirs, expected) in [
            (vec![], None),
            (vec![(10, touched.clone())], Some(260)),
            (vec![(10, touched.clone()), (200, touched.clone())], Some(450)),
            (vec![(10, writing.clone())], Some(5010)),
            (vec![(10, writing.clone()), (2000, written.clone())], Some(2250)),
            (vec![(10, writing.clone()), (20, other), (30, written.clone())], Some(5010)),
            (vec![(10, writing.clone()), (20, written.clone()), (100, writing)], Some(5010)),
            ((0..100).map(|n| (n * 100, touched.clone())).collect(), Some(5000)),
            (vec![(7, written)], Some(257)),
        ] {
            assert_eq!(due(&stirs), expected, "{stirs:?}");
        }
    }
}
