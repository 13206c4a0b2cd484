//! What a loop of vaultrs by itself takes to write as many secrets: a lower bound of what it costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};

use crate::bao::ROOT;

const AT_A_TIME: usize = 8;

/// How long `count` secrets with these `fields` take, with eight requests at a time.
pub fn write(address: &str, fields: &Value, count: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = VaultClientSettingsBuilder::default().address(address).token(ROOT).build().unwrap();
    let client = Arc::new(VaultClient::new(settings).unwrap());
    let (next, fields) = (Arc::new(AtomicUsize::new(0)), Arc::new(fields.clone()));
    let began = Instant::now();
    runtime.block_on(async {
        let mut writers = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (client, next, fields) = (Arc::clone(&client), Arc::clone(&next), Arc::clone(&fields));
            writers.spawn(async move {
                let more = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count);
                while let Some(number) = more() {
                    vaultrs::kv2::set(&*client, "secret", &format!("bare/{number}"), &*fields).await.unwrap();
                }
            });
        }
        writers.join_all().await;
    });
    began.elapsed()
}
