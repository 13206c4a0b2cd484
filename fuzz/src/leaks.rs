//! Whether a text that is shown holds what must not be seen.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use url::form_urlencoded;

/// Ends the run if `shown` holds `secret`, as it is or as it is sent.
#[track_caller]
pub fn must_not_show(shown: &str, secret: &str) {
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let coded = [BASE64_STANDARD.encode(secret), BASE64_URL_SAFE_NO_PAD.encode(secret)];
    for shape in [secret, &form, &form.to_lowercase()].into_iter().chain(coded.iter().map(String::as_str)) {
        assert!(!shown.contains(shape), "a secret is shown: {shown}");
    }
}

/// Ends the run if `shown` is not one line of a length that a person reads.
#[track_caller]
pub fn must_be_one_line(shown: &str, longest: usize) {
    assert!(!shown.is_empty(), "nothing is said");
    assert!(!shown.contains(char::is_control), "a control character is shown: {shown:?}");
    assert!(shown.len() <= longest, "{} bytes: {shown}", shown.len());
}
