//! Waits for the disk, but not for ever: one that hangs is waited for in the background, and nothing
//! more is given to it before it has answered (L16).

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

/// As long as saving is tried before access tokens come first.
const PATIENCE: Duration = Duration::from_secs(5);

type Save = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The save that hangs, if one does.
pub(crate) struct Saving {
    directory: PathBuf,
    patience: Duration,
    hanging: Option<Save>,
}

impl Saving {
    /// Saves go to `directory`.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, patience: PATIENCE, hanging: None }
    }

    /// Whether a save that hung has not answered yet.
    pub(crate) async fn is_hanging(&mut self) -> bool {
        if let Some(hanging) = &mut self.hanging
            && timeout(Duration::ZERO, hanging).await.is_ok()
        {
            // What came of it does not matter: all of it is saved again.
            self.hanging = None;
        }
        self.hanging.is_some()
    }

    /// Waits for `save`.
    ///
    /// Errors: what went wrong, or that it takes too long; it goes on all the same.
    pub(crate) async fn wait(
        &mut self,
        save: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Result<(), String> {
        let mut save: Save = Box::pin(save);
        if let Ok(result) = timeout(self.patience, &mut save).await {
            return result;
        }
        self.hanging = Some(save);
        Err(self.words())
    }

    /// What is wrong, in words.
    pub(crate) fn words(&self) -> String {
        let (directory, seconds) = (self.directory.display(), self.patience.as_secs());
        format!("{directory}: its disk has not answered for {seconds} s; look at that disk")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[test]
    fn a_disk_that_hangs_is_waited_for_in_the_background_and_given_nothing_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut saving = Saving { directory: "/state".into(), patience: Duration::from_millis(1), hanging: None };
            let (answer, answered) = oneshot::channel();
            let hangs = async move { answered.await.map_err(|_| "gone".to_owned())? };
            let error = saving.wait(hangs).await.unwrap_err();
            assert!(error.starts_with("/state: its disk has not answered"), "{error}");
            assert!(saving.is_hanging().await);
            answer.send(Ok(())).unwrap();
            assert!(!saving.is_hanging().await, "it came home");
            assert_eq!(saving.wait(async { Ok(()) }).await, Ok(()));
            assert_eq!(saving.wait(async { Err("full".to_owned()) }).await, Err("full".to_owned()));
            assert!(!saving.is_hanging().await, "an error is an answer");
        });
    }
}
