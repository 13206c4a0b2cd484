//! Makes access tokens: they look like a JWT, are as long as one, and no two are the same. The
//! signature is noise; nobody is to verify it.

use std::hash::{BuildHasher, RandomState};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::demo::standin::account::Account;
use crate::time::Timestamp;

const HEADER: &str = r#"{"alg":"RS256","kid":"7D1B0C5F4E6A9832","typ":"at+jwt","x5t":"fRsMX05qmDLrY0xYz9w2Hn3kQ1E"}"#;
/// An RS256 signature has 256 bytes.
const SIGNATURE_DIGESTS: u8 = 8;

/// Where access tokens are made.
#[derive(Debug)]
pub(super) struct Mint {
    seed: u64,
    made: u64,
}

impl Mint {
    /// A mint whose access tokens no other mint makes.
    pub(super) fn new() -> Self {
        Self { seed: RandomState::new().hash_one("mint"), made: 0 }
    }

    /// A new access token.
    pub(super) fn make(&mut self, account: &Account, scope: Option<&str>, from: Timestamp, to: Timestamp) -> String {
        self.made += 1;
        let id = format!("{:016X}{:016X}", self.seed, self.made);
        let payload = json!({
            "iss": format!("https://{}.example", account.vendor.preset()),
            "aud": [format!("https://api.{}.example", account.vendor.preset()), "00000002-0000-0000-c000-000000000000"],
            "client_id": account.client_id,
            "sub": account.client_id,
            "scope": scope,
            "nbf": from.as_secs(),
            "iat": from.as_secs(),
            "exp": to.as_secs(),
            "tid": "e5116785-4f5e-4f0a-9a5e-0c1b51a9e7d3",
            "oid": "3f6b9a1e-77c8-4e53-8f53-2f0e6dbf6a11",
            "jti": id,
        });
        let noise: Vec<u8> = (0..SIGNATURE_DIGESTS)
            .flat_map(|part| digest(&SHA256, format!("{id}{part}").as_bytes()).as_ref().to_vec())
            .collect();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}.{}", part(HEADER.as_bytes()), part(payload.to_string().as_bytes()), part(&noise))
    }
}
