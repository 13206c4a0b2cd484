//! `[providers.NAME]` in words, but for what each preset asks: that stands in its own file.

use crate::reference::vaults::{MOUNT, SERVER};
use crate::reference::{Key, Kind, Table};

const TLS: Table = Table {
    name: "tls",
    about: "PEM files for TLS, read again when they change.",
    keys: &[
        Key {
            name: "ca_file",
            kind: Kind::Path,
            default: "the host's certificates",
            example: "\"/etc/tokend/ca.pem\"",
            about: "Certificates to trust instead of the host's.",
        },
        Key {
            name: "cert_file",
            kind: Kind::Path,
            default: "",
            example: "\"/etc/tokend/client.pem\"",
            about: "Client certificate; needs key_file beside it.",
        },
        Key {
            name: "key_file",
            kind: Kind::Path,
            default: "",
            example: "\"/etc/tokend/client.key\"",
            about: "Key of the client certificate.",
        },
    ],
};

const BUDGET: Table = Table {
    name: "budget",
    about: "How many access tokens may be issued for a slot, counted over restarts.",
    keys: &[
        Key { name: "issues", kind: Kind::Count, default: "", example: "3", about: "How many." },
        Key {
            name: "per",
            kind: Kind::Duration,
            default: "",
            example: "\"1h\"",
            about: "In how long; 31 days at most.",
        },
    ],
};

/// `[providers.NAME]`, whatever its preset.
pub const PROVIDER: Table = Table {
    name: "[providers.NAME]",
    about: "One account at one authorization server. Besides these keys it takes the parameters of its preset: see \
            tokend-presets(7).",
    keys: &[
        Key {
            name: "preset",
            kind: Kind::Text,
            default: "",
            example: "\"oauth2\"",
            about: "What kind of provider it is: a built-in preset or one of [presets]. Must be given.",
        },
        Key {
            name: "token_url",
            kind: Kind::Text,
            default: "as the preset says",
            example: "\"https://login.example.com/oauth/token\"",
            about: "Where to ask, instead of where the preset says; parameters that only build the URL are then not \
                    needed. Plain http:// is for loopback addresses only.",
        },
        Key {
            name: "timeout",
            kind: Kind::Duration,
            default: "\"10s\"",
            example: "\"10s\"",
            about: "Bound on one request, from connecting to the last byte.",
        },
        Key {
            name: "tls",
            kind: Kind::Table(&TLS),
            default: "",
            example: "{ ca_file = \"/etc/tokend/ca.pem\" }",
            about: "Own certificate authority, client certificate.",
        },
        Key {
            name: "rate",
            kind: Kind::Rate,
            default: "",
            example: "\"10/s\"",
            about: "Requests to this endpoint, all its slots together, in a second (s), minute (m) or hour (h). Of \
                    several tables for one endpoint the lowest holds.",
        },
        Key {
            name: "budget",
            kind: Kind::Table(&BUDGET),
            default: "as the preset says; open-payments: 3 an hour in production, 20 in sandbox",
            example: "{ issues = 3, per = \"1h\" }",
            about: "How many access tokens may be issued. When it is used up the slot waits, says so, and serves what \
                    it holds.",
        },
        Key {
            name: "proxy",
            kind: Kind::Text,
            default: "none, whatever the environment says",
            example: "\"http://proxy.example.com:3128\"",
            about: "The URL of a proxy, or \"environment\" to honour HTTPS_PROXY and NO_PROXY.",
        },
        Key {
            name: "persist",
            kind: Kind::Choice(&["encrypted", "off"]),
            default: "that of [daemon]",
            example: "\"off\"",
            about: "Whether its access tokens are kept over restarts.",
        },
        Key {
            name: "ttl",
            kind: Kind::Duration,
            default: "as the preset says",
            example: "\"1h\"",
            about: "How long access tokens live whose answer names no expiry.",
        },
    ],
};

/// A secret that stands elsewhere.
pub const SECRET: Table = Table {
    name: "a secret",
    about: "A secret is a string, accepted only where others cannot read the configuration file, or a table with one \
            of these keys, or a list of such: when the provider refuses the credentials, or one cannot be read, the \
            next is tried at once. Where a preset takes two secrets, every one of a list is tried with every one of \
            the other, as long as that makes 16 at most. One trailing newline is dropped.",
    keys: &[
        Key {
            name: "file",
            kind: Kind::Path,
            default: "",
            example: "\"/etc/tokend/bank.secret\"",
            about: "A file that others cannot read, and no group but the daemon's own. Read again when it changes.",
        },
        Key {
            name: "credential",
            kind: Kind::Text,
            default: "",
            example: "\"bank-secret\"",
            about: "A credential of the service: LoadCredential= or LoadCredentialEncrypted= in a drop-in, see \
                    systemd.exec(5).",
        },
        Key {
            name: "env",
            kind: Kind::Text,
            default: "",
            example: "\"BANK_SECRET\"",
            about: "A variable of the daemon's environment.",
        },
        Key {
            name: "command",
            kind: Kind::Texts,
            default: "",
            example: "[\"/usr/bin/pass\", \"show\", \"bank\"]",
            about: "What a program prints: no shell, a clean environment, 10 s and 64 KiB at most.",
        },
        Key {
            name: "vault",
            kind: Kind::Text,
            default: "",
            example: "\"secret/clients/bank#client_secret\"",
            about: "A field of a secret in a KV engine of Vault; never on disk, and kept in memory while the server does \
                    not answer.",
        },
        SERVER,
        MOUNT,
    ],
};
