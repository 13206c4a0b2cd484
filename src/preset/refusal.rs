//! Answers that issue nothing: who must act, and what the provider said.

use serde_json::Value;

use crate::failure::{Failure, Refusal};
use crate::preset::Answer;
use crate::preset::language::ClassText;
use crate::preset::program::{Program, Rule};
use crate::preset::redact::Redactor;

/// The longest error code.
const MAX_CODE: usize = 64;

/// The failure that `answer` is; `document` is its body where that is JSON.
pub(crate) fn read(program: &Program, answer: &Answer, document: Option<&Value>, redactor: &Redactor) -> Failure {
    let rule = rule(program, answer.status, document);
    let code = document.and_then(|document| code(program, document, redactor));
    let description = document.and_then(|document| description(program, document, redactor));
    match rule.and_then(|rule| rule.class).unwrap_or_else(|| class_of(answer.status)) {
        ClassText::Busy => Failure::Busy {
            reason: busy(answer, code.as_deref(), description.as_deref(), redactor),
            status: answer.status,
            retry_after: answer.retry_after,
        },
        ClassText::Refused => {
            let by_default = match &code {
                Some(code) => code == "invalid_client",
                None => answer.status == 401,
            };
            let credentials = rule.and_then(|rule| rule.credentials).unwrap_or(by_default);
            let (status, retry_after) = (answer.status, answer.retry_after);
            Failure::Refused(Refusal { status, code, description, credentials, retry_after })
        }
    }
}

/// The first of the preset's rules that holds.
pub(crate) fn rule<'a>(program: &'a Program, status: u16, document: Option<&Value>) -> Option<&'a Rule> {
    program.rules.iter().find(|rule| {
        let status_fits = rule.status.is_empty() || rule.status.contains(&status);
        let condition = rule.condition.as_ref();
        status_fits && condition.is_none_or(|condition| document.is_some_and(|document| condition.holds(document)))
    })
}

/// The error code, if it looks like one and holds no secret.
pub(crate) fn code(program: &Program, document: &Value, redactor: &Redactor) -> Option<String> {
    let found = program.error.code.iter().find_map(|pointer| text(document.pointer(pointer)?))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_code = (1..=MAX_CODE).contains(&found.len()) && found.chars().all(fits);
    (is_code && !redactor.occurs_in(&found)).then_some(found)
}

fn description(program: &Program, document: &Value, redactor: &Redactor) -> Option<String> {
    let found = program.error.description.iter().find_map(|pointer| text(document.pointer(pointer)?))?;
    Some(redactor.show(&found)).filter(|shown| !shown.is_empty())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn class_of(status: u16) -> ClassText {
    match status {
        400..=499 if !matches!(status, 408 | 425 | 429) => ClassText::Refused,
        200..=299 => ClassText::Refused,
        _ => ClassText::Busy,
    }
}

fn busy(answer: &Answer, code: Option<&str>, description: Option<&str>, redactor: &Redactor) -> String {
    let status = answer.status;
    if (300..400).contains(&status) {
        let host = answer.location_host.as_deref().filter(|host| !redactor.occurs_in(host));
        let whereto = host.map(|host| format!(" to {host}")).unwrap_or_default();
        return format!("HTTP {status}, a redirect{whereto}, which is not followed: is the URL right?");
    }
    let mut reason = format!("HTTP {status}{}", phrase(status));
    for said in [code, description].into_iter().flatten() {
        reason.push_str(": ");
        reason.push_str(said);
    }
    reason
}

/// The words of RFC 9110 and RFC 6585 for what a busy server says.
fn phrase(status: u16) -> &'static str {
    match status {
        408 => " Request Timeout",
        425 => " Too Early",
        429 => " Too Many Requests",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    }
}
