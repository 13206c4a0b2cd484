//! Work that may hang (a file system, a directory service), on a thread apart: at most one such
//! thread for each purpose, however often it is asked for.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// One purpose.
#[derive(Debug)]
pub struct Blocking<T> {
    under_way: Option<JoinHandle<T>>,
}

impl<T> Default for Blocking<T> {
    fn default() -> Self {
        Self { under_way: None }
    }
}

impl<T: Send + 'static> Blocking<T> {
    /// Does `work`, and waits for it as long as `patience` says; `None` when that was too short.
    /// While an earlier work hangs, nothing new is begun.
    pub async fn run(&mut self, patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if let Some(earlier) = &mut self.under_way {
            // What it found is old by now.
            let _ = timeout(patience, earlier).await.ok()?;
            self.under_way = None;
        }
        let done = timeout(patience, self.under_way.insert(spawn_blocking(work))).await.ok()?;
        self.under_way = None;
        done.ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_given_up_and_not_begun_twice() {
        let (let_go, hangs) = channel::<()>();
        let mut blocking = Blocking::default();
        let first = move || {
            let _ = hangs.recv();
            1
        };
        assert_eq!(blocking.run(Duration::ZERO, first).await, None);
        assert_eq!(blocking.run(Duration::ZERO, || panic!("begun while the first hangs")).await, None);
        let_go.send(()).unwrap();
        assert_eq!(blocking.run(Duration::from_mins(1), || 3).await, Some(3));
    }
}
