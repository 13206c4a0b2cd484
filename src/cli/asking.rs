//! Asks the daemon on its socket; what it answers becomes a result or an exit code.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::fatal::{CONFIG, Fatal, NOT_ALLOWED, SOFTWARE, TRY_AGAIN, USAGE};
use crate::name::Name;
use crate::socket_client::{Answer, SocketClient};

/// How long an answer may take that need not be waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any request to a provider takes that an order may have to wait for.
const ORDER_PATIENCE: Duration = Duration::from_mins(3);

/// The JSON document at `target`.
pub(crate) fn ask<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, Fatal> {
    judge(&SocketClient::new(socket).read(target, "application/json")?)
}

/// What is wanted of a token that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// It lives at least so long.
    pub(crate) min_valid: Duration,
    /// How long to wait for one that does.
    pub(crate) wait: Duration,
}

/// The token called `name`, as `wanted`.
pub(crate) fn fetch<T: DeserializeOwned>(socket: &Path, name: &str, wanted: Wanted) -> Result<T, Fatal> {
    judge(&read(socket, name, wanted, "application/json")?)
}

/// The same as the line of a header, with the scheme that its preset names.
pub(crate) fn fetch_header(socket: &Path, name: &str, wanted: Wanted) -> Result<String, Fatal> {
    let answer = read(socket, name, wanted, "text/plain; format=header")?;
    if answer.status != 200 {
        return Err(fault(&answer));
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

fn read(socket: &Path, name: &str, wanted: Wanted, accept: &str) -> Result<Answer, Fatal> {
    let Wanted { min_valid, wait } = wanted;
    let target = format!("{}?min_valid={}ms&wait={}ms", target_of(name)?, min_valid.as_millis(), wait.as_millis());
    Ok(SocketClient::new(socket).with_patience(PATIENCE + wait).read(&target, accept)?)
}

/// Orders something of the daemon, and waits until it is done.
pub(crate) fn order<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, Fatal> {
    judge(&SocketClient::new(socket).with_patience(ORDER_PATIENCE).post(target, None)?)
}

/// Where the token called `name` is found on the socket.
///
/// Errors: no token can have this name.
pub(crate) fn target_of(name: &str) -> Result<String, Fatal> {
    let unknown = |_| Fatal::new(USAGE, format!("there is no token {name:?} in the configuration"));
    Name::parse(name).map(|name| format!("/v1/tokens/{name}")).map_err(unknown)
}

fn judge<T: DeserializeOwned>(answer: &Answer) -> Result<T, Fatal> {
    let strange = "the daemon's answer is not what this version knows: restart the daemon";
    match answer.status {
        200..300 => answer.json().ok_or_else(|| Fatal::new(SOFTWARE, strange)),
        _ => Err(fault(answer)),
    }
}

fn fault(answer: &Answer) -> Fatal {
    let code = match answer.status {
        400 | 404 => USAGE,
        403 => NOT_ALLOWED,
        422 => return Fatal { code: CONFIG, lines: answer.problems() },
        409 | 429 | 502 | 503 => TRY_AGAIN,
        _ => SOFTWARE,
    };
    Fatal::new(code, answer.problem())
}
