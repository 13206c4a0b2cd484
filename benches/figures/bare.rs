//! The other side of a refresh: a loop around reqwest, with nothing but what it cannot do without.
//! 8 requests at a time; every answer is parsed, written to a temporary file, synced, renamed, and
//! the directory synced. It keeps no state, checks nothing and hardly looks at an error.

use std::fs::{File, rename};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use tokend::demo::standin::Vendor;
use tokio::task::{JoinSet, spawn_blocking};

use crate::Outcome;
use crate::fleet::Fleet;

const AT_A_TIME: usize = 8;

/// What of the answer is needed.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
}

/// Fetches every token of `fleet` and writes its file; says how long it took.
pub fn run(fleet: &Fleet) -> Outcome<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    runtime.block_on(fetch_all(fleet))?;
    Ok(began.elapsed())
}

async fn fetch_all(fleet: &Fleet) -> Outcome<()> {
    let client = Client::builder().no_proxy().build()?;
    let url: Arc<str> = fleet.standin.url(Vendor::OAuth2).into();
    let next = Arc::new(AtomicUsize::new(0));
    let credentials: Arc<[(String, String)]> = (0..fleet.count).map(|index| fleet.credentials(index)).collect();
    let directory: Arc<Path> = fleet.tokens().into();
    let mut lanes = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (client, url, next) = (client.clone(), Arc::clone(&url), Arc::clone(&next));
        let (credentials, directory) = (Arc::clone(&credentials), Arc::clone(&directory));
        lanes.spawn(async move {
            while let Some((index, (id, secret))) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                credentials.get(index).map(|pair| (index, pair))
            } {
                let token = fetch(&client, &url, id, secret).await.map_err(|error| error.to_string())?;
                let directory = Arc::clone(&directory);
                let written = spawn_blocking(move || replace(&directory, index, token.as_bytes())).await;
                written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

async fn fetch(client: &Client, url: &str, id: &str, secret: &str) -> Result<String, reqwest::Error> {
    let form = [("grant_type", "client_credentials"), ("scope", "read write")];
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let request = client.post(url).basic_auth(encoded(id), Some(encoded(secret))).form(&form);
    let answer: Answer = request.send().await?.error_for_status()?.json().await?;
    Ok(answer.access_token)
}

fn replace(directory: &Path, index: usize, content: &[u8]) -> std::io::Result<()> {
    let temporary = directory.join(format!(".t{index}.new"));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    rename(&temporary, directory.join(format!("t{index}")))?;
    File::open(directory)?.sync_all()
}
