//! What a Vault server's answer means to us, in words for a person. No token, no secret and no body
//! reaches them.

use reqwest::StatusCode;
use rustify::errors::ClientError;
use serde_json::Value;
use vaultrs::api::EndpointError;

use crate::http::words_of;

/// How much of a server's own words is shown, in characters.
const SHOWN: usize = 200;

/// Why a call did not bring what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// 403: the token holds no more, or its policies do not allow it.
    #[error("{0}")]
    Denied(String),
    /// The version that was named is not the one there.
    #[error("somebody else wrote there at the same moment")]
    Conflict,
    /// There is nothing; of what was deleted the version.
    #[error("there is nothing at this path")]
    Absent(Option<u32>),
    /// The server said no: credentials, a path, a mount.
    #[error("{0}")]
    Refused(String),
    /// Anything else: not reached, sealed, standby, in trouble.
    #[error("{0}")]
    Failed(String),
}

impl Trouble {
    /// The server called `name` is none.
    pub(crate) fn nonsense(name: &str) -> Self {
        Self::Failed(format!("{name} answered something that is not Vault's"))
    }
}

/// What `error` of the server called `name` means; `token` is never shown.
pub(crate) fn trouble(error: &ClientError, name: &str, token: &str) -> Trouble {
    match error {
        ClientError::ServerResponseError { code, content } => {
            let body = content.as_deref().unwrap_or_default();
            match serde_json::from_str::<EndpointError>(body) {
                Ok(said) => answered(*code, &shown(&said.errors, token), name),
                Err(_) if *code == 404 => Trouble::Absent(version_in(body)),
                Err(_) => answered(*code, "", name),
            }
        }
        ClientError::RequestError { source, .. } | ClientError::ResponseError { source } => {
            Trouble::Failed(match source.downcast_ref::<reqwest::Error>() {
                Some(error) => words_of(error, name, super::PATIENCE),
                None => format!("no answer from {name}"),
            })
        }
        ClientError::ResponseParseError { .. } => Trouble::nonsense(name),
        _ => Trouble::Failed(format!("the request to {name} cannot be made")),
    }
}

fn answered(code: u16, said: &str, name: &str) -> Trouble {
    let reason = StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let quoted = if said.is_empty() { String::new() } else { format!(": {said}") };
    let words = format!("{name} answered {code} {reason}{quoted}").replace("  ", " ");
    match code {
        400 if said.contains("check-and-set") => Trouble::Conflict,
        403 => Trouble::Denied(words),
        404 if said.is_empty() => Trouble::Absent(None),
        300..=399 => Trouble::Failed(format!(
            "{name} leads elsewhere (HTTP {code}): it is a standby; name the active server's address"
        )),
        503 if said.contains("sealed") => Trouble::Failed(format!("{name} is sealed: unseal it")),
        429 | 472 | 473 | 500..=599 => Trouble::Failed(words),
        _ => Trouble::Refused(words),
    }
}

/// The server's first words: printable, short, without `token`.
fn shown(errors: &[String], token: &str) -> String {
    let Some(first) = errors.iter().find(|text| !text.trim().is_empty()) else { return String::new() };
    if !token.is_empty() && first.contains(token) {
        return String::new();
    }
    let last_line = first.lines().rev().map(|line| line.trim_start_matches(['\t', ' ', '*'])).find(|l| !l.is_empty());
    last_line.unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// The version that the body of a 404 still names: the secret was deleted, and check-and-set counts on.
fn version_in(body: &str) -> Option<u32> {
    let body: Value = serde_json::from_str(body).ok()?;
    let version = body.get("data")?.get("metadata")?.get("version")?.as_u64()?;
    u32::try_from(version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, said: &str) -> Trouble {
        let errors = if said.is_empty() { Vec::new() } else { vec![said] };
        server(code, &serde_json::json!({ "errors": errors }).to_string())
    }

    fn server(code: u16, body: &str) -> Trouble {
        trouble(&ClientError::ServerResponseError { code, content: Some(body.to_owned()) }, "vault:8200", "s.token")
    }

    #[test]
    fn each_answer_means_one_thing() {
        let denied = "vault:8200 answered 403 Forbidden: permission denied".to_owned();
        assert_eq!(api(403, "1 error occurred:\n\t* permission denied\n\n"), Trouble::Denied(denied));
        assert_eq!(api(400, "check-and-set parameter did not match the current version"), Trouble::Conflict);
        assert_eq!(api(404, ""), Trouble::Absent(None));
        assert_eq!(api(503, "Vault is sealed"), Trouble::Failed("vault:8200 is sealed: unseal it".into()));
        assert!(matches!(api(400, "invalid role or secret ID"), Trouble::Refused(_)));
        assert!(matches!(api(404, "no handler for route \"x/data/y\""), Trouble::Refused(_)));
        assert!(matches!(server(307, ""), Trouble::Failed(words) if words.contains("standby")));
    }

    #[test]
    fn the_404_of_a_deleted_secret_still_names_its_version() {
        let body = r#"{"data":{"data":null,"metadata":{"version":7,"destroyed":false}}}"#;
        assert_eq!(server(404, body), Trouble::Absent(Some(7)));
        assert_eq!(server(404, "<html>"), Trouble::Absent(None));
    }

    #[test]
    fn the_token_is_never_shown() {
        assert!(!format!("{:?}", api(403, "bad token s.token")).contains("s.token"));
    }
}
