//! What the journal is told: a socket of our own stands in its place, in a mount namespace where
//! `/run` is ours, and is read field by field.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use tokend::demo::standin::Vendor;

use crate::setup::{Setup, skip, wait_for};

type Fields = BTreeMap<String, String>;

/// The fields of an entry in the journal's native protocol: `NAME=value`, or the name on a line,
/// the length as 64 bits in little endian, and so many bytes.
fn fields(mut entry: &[u8]) -> Fields {
    let mut fields = Fields::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let equals = line.iter().position(|byte| *byte == b'=');
        let (name, value, rest) = if let Some(equals) = equals {
            (&line[..equals], &line[equals + 1..], rest)
        } else {
            let (length, rest) = rest.split_at(8);
            let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            (line, &rest[..length], &rest[length + 1..])
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        fields.insert(text(name), text(value));
        entry = rest;
    }
    fields
}

#[test]
fn the_journal_gets_slot_token_provider_sink_and_class_as_fields() {
    let setup = Setup::new();
    let parts = [
        setup.oauth2("bank", ""),
        setup.oauth2("wrong", ""),
        setup.token("a", "bank", ""),
        setup.token("b", "wrong", ""),
    ];
    setup.configure(&[parts.concat(), "[log]\nformat = \"journald\"\n".into()]);
    setup.standin.accept_only(Vendor::OAuth2, "wrong", "another secret");
    fs::create_dir(setup.path("journal")).unwrap();
    let journal = UnixDatagram::bind(setup.path("journal/socket")).unwrap();
    journal.set_read_timeout(Some(Duration::from_millis(100))).unwrap();

    let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && \
                  mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";
    let unshare = |command: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", script]).arg(setup.path("journal"));
        unshare.arg(command.get_program()).args(command.get_args());
        unshare
    };
    match unshare(&Command::new("true")).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skip(String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => return skip(&format!("unshare: {error}")),
    }
    let daemon = setup.run_command(unshare(&setup.command(&["run"])));

    let mut entries: Vec<Fields> = Vec::new();
    let mut entry_of = |message: &str| {
        wait_for(message, || {
            let mut buffer = [0; 8192];
            match journal.recv(&mut buffer) {
                Ok(length) => entries.push(fields(&buffer[..length])),
                Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
            }
            entries.iter().find(|entry| entry.get("MESSAGE").is_some_and(|text| text.contains(message))).cloned()
        })
    };
    let has = |entry: &Fields, expected: &[(&str, &str)]| {
        for (name, value) in expected {
            assert_eq!(entry.get(*name).map(String::as_str), Some(*value), "{entry:?}");
        }
    };
    let issued =
        [("TOKEND_SLOT", "bank/a"), ("TOKEND_PROVIDER", "bank"), ("TOKEND_GENERATION", "1"), ("PRIORITY", "6")];
    has(&entry_of("access token issued"), &issued);
    let file = setup.path("tokens/a").display().to_string();
    has(&entry_of("delivered"), &[("TOKEND_TOKEN", "a"), ("TOKEND_SINK", &file), ("TOKEND_SLOT", "bank/a")]);
    let failed =
        [("TOKEND_SLOT", "wrong/b"), ("TOKEND_PROVIDER", "wrong"), ("TOKEND_CLASS", "refused"), ("PRIORITY", "3")];
    has(&entry_of("no new access token"), &failed);
    drop(daemon);
    let told = format!("{entries:?}");
    assert!(!told.contains(&setup.read("tokens/a").unwrap()), "an access token is told");
}
