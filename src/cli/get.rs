//! `tokend get`: prints a token that the daemon holds, perhaps after a wait.

#![allow(clippy::disallowed_methods, reason = "asks what kubectl wants")]

use std::io::IsTerminal;
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::asking::{Wanted, fetch, fetch_header};
use crate::display::print;
use crate::document::Document;
use crate::fatal::Fatal;
use crate::settings::FileFormat;

/// The newest version of what kubectl reads, which it takes unless it says another.
const EXEC_API: &str = "client.authentication.k8s.io/v1";

/// How to print a token: as a file would hold it, or as a program wants it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// The access token, no newline when piped
    Raw,
    /// `Authorization: Bearer TOKEN`; the preset may say another scheme
    Header,
    /// One JSON object
    Json,
    /// Lines for a shell
    Env,
    /// What kubectl wants of a credential plugin
    ExecCredential,
}

pub(crate) fn get(socket: &Path, name: &str, wanted: Wanted, format: Format) -> Result<u8, Fatal> {
    let in_format = |format| fetch(socket, name, wanted).map(|document| render(&document, format));
    let mut content = match format {
        Format::Raw => in_format(FileFormat::Raw)?,
        // The daemon knows the scheme.
        Format::Header => fetch_header(socket, name, wanted)?,
        Format::Json => in_format(FileFormat::Json)?,
        Format::Env => in_format(FileFormat::Env)?,
        Format::ExecCredential => {
            let info = std::env::var("KUBERNETES_EXEC_INFO").ok();
            format!("{}\n", exec_credential(&fetch(socket, name, wanted)?, &exec_api(info.as_deref())))
        }
    };
    if !content.ends_with('\n') && std::io::stdout().is_terminal() {
        content.push('\n');
    }
    print(&content)?;
    Ok(0)
}

fn render(document: &Document, format: FileFormat) -> String {
    String::from_utf8_lossy(&document.render(format, "Bearer")).into_owned()
}

/// Kubernetes, client-go credential plugins.
fn exec_credential(document: &Document, api: &str) -> Value {
    json!({
        "apiVersion": api,
        "kind": "ExecCredential",
        "status": { "token": document.access_token, "expirationTimestamp": document.expires_at },
    })
}

/// The version that kubectl asks for in `KUBERNETES_EXEC_INFO`.
fn exec_api(info: Option<&str>) -> String {
    let info: Option<Value> = info.and_then(|info| serde_json::from_str(info).ok());
    let asked = info.as_ref().and_then(|info| info.get("apiVersion")?.as_str());
    asked.filter(|api| api.starts_with("client.authentication.k8s.io/")).unwrap_or(EXEC_API).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_is_answered_in_the_version_that_it_asks_for() {
        let beta = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{}}"#;
        assert_eq!(exec_api(Some(beta)), "client.authentication.k8s.io/v1beta1");
        for other in [None, Some(""), Some("{}"), Some(r#"{"apiVersion":"v1"}"#)] {
            assert_eq!(exec_api(other), EXEC_API);
        }
    }
}
