//! The configuration that the demo runs with: a real one, commented for the person who opens it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::{DirBuilder, OpenOptions, read_to_string};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::demo::standin::{
    CORE_BANKING, OPEN_PAYMENTS, PLAIN_ID, Standin, VIPPS, VIPPS_PARTNER, VIPPS_SUBSCRIPTION_KEYS, Vendor,
};

/// Whether a demo may have `dir`: there is nothing in it, or what another demo wrote.
pub(crate) fn may_have(dir: &Path) -> io::Result<bool> {
    match read_to_string(dir.join("tokend.toml")) {
        Ok(text) => Ok(text.lines().next() == TEMPLATE.lines().next()),
        Err(_) => Ok(dir.read_dir()?.next().is_none()),
    }
}

/// Writes `tokend.toml` and the files with secrets into `dir`.
pub(crate) fn write(dir: &Path, standin: &Standin) -> io::Result<()> {
    for name in ["secrets", "tokens"] {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir.join(name));
        made?;
    }
    let secrets = [
        ("openpayments", OPEN_PAYMENTS.1),
        ("corebank", CORE_BANKING.1),
        ("vipps", VIPPS.1),
        ("vipps-subscription-key", VIPPS_SUBSCRIPTION_KEYS[0]),
        ("vipps-partner", VIPPS_PARTNER.1),
        ("plainid", PLAIN_ID.1),
    ];
    for (name, secret) in secrets {
        write_private(&dir.join("secrets").join(name), secret)?;
    }
    write_private(&dir.join("tokend.toml"), &text(dir, standin))
}

fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

fn text(dir: &Path, standin: &Standin) -> String {
    let mut text = TEMPLATE.to_owned();
    let url = |vendor| standin.url(vendor);
    let values = [
        ("@DIR@", dir.display().to_string()),
        ("@OPEN_PAYMENTS_URL@", url(Vendor::OpenPayments)),
        ("@OPEN_PAYMENTS_ID@", OPEN_PAYMENTS.0.into()),
        ("@CORE_BANKING_URL@", standin.base().into()),
        ("@CORE_BANKING_ID@", CORE_BANKING.0.into()),
        ("@VIPPS_URL@", url(Vendor::Vipps)),
        ("@VIPPS_ID@", VIPPS.0.into()),
        ("@VIPPS_PARTNER_URL@", url(Vendor::VippsPartner)),
        ("@VIPPS_PARTNER_ID@", VIPPS_PARTNER.0.into()),
        ("@PLAIN_ID_URL@", url(Vendor::PlainId)),
        ("@PLAIN_ID_ID@", PLAIN_ID.0.into()),
    ];
    for (mark, value) in values {
        text = text.replace(mark, &value);
    }
    text
}

const TEMPLATE: &str = include_str!("configuration.toml");
