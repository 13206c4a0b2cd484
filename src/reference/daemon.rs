//! `[daemon]` and `[log]` in words.

use crate::reference::{Key, Kind, Table};

const ADMINS: Table = Table {
    name: "admins",
    about: "Who may reload, refresh, pause and see the whole status, besides root and the daemon's own user. Names or \
            numbers, as the host knows them.",
    keys: &[
        Key { name: "users", kind: Kind::Texts, default: "[]", example: "[\"alice\"]", about: "Users." },
        Key {
            name: "groups",
            kind: Kind::Texts,
            default: "[\"tokend-admin\"]",
            example: "[\"ops\"]",
            about: "Groups.",
        },
    ],
};

/// `[daemon]`.
pub const DAEMON: Table = Table {
    name: "[daemon]",
    about: "The daemon itself. All of it may be left out.",
    keys: &[
        Key {
            name: "state_dir",
            kind: Kind::Path,
            default: "$STATE_DIRECTORY (the service: /var/lib/tokend), else $XDG_STATE_HOME/tokend",
            example: "\"/var/lib/tokend\"",
            about: "Where the state lives: what was issued and when, sealed. One daemon holds it at a time. Taken at \
                    the next restart.",
        },
        Key {
            name: "socket",
            kind: Kind::PathOrFalse,
            default: "$RUNTIME_DIRECTORY/tokend.sock (the service: /run/tokend/tokend.sock), else \
                      $XDG_RUNTIME_DIR/tokend/tokend.sock",
            example: "\"/run/tokend/tokend.sock\"",
            about: "The Unix socket to serve; false switches it off. Taken at the next restart.",
        },
        Key {
            name: "socket_mode",
            kind: Kind::Mode,
            default: "\"0666\"",
            example: "\"0660\"",
            about: "Permission bits of the socket. Who may read a token is decided for every peer, not by these bits. \
                    Taken at the next restart.",
        },
        Key {
            name: "persist",
            kind: Kind::Choice(&["encrypted", "off"]),
            default: "\"encrypted\"",
            example: "\"encrypted\"",
            about: "Whether access tokens are kept over restarts, sealed. \"off\" asks for new ones at every restart, \
                    and is refused where an account is exclusive. A provider may say otherwise. Taken at the next \
                    restart.",
        },
        Key {
            name: "state_key",
            kind: Kind::Secret,
            default: "a key file, mode 0600, made in state_dir",
            example: "{ credential = \"tokend-state-key\" }",
            about: "The key that seals the state. The default protects backups of the database alone. Taken at the \
                    next restart.",
        },
        Key {
            name: "ready_timeout",
            kind: Kind::Duration,
            default: "\"60s\"",
            example: "\"2m\"",
            about: "How long starting waits for required tokens before it says READY all the same, with the reason.",
        },
        Key {
            name: "admins",
            kind: Kind::Table(&ADMINS),
            default: "{ users = [], groups = [\"tokend-admin\"] }",
            example: "{ users = [\"alice\"], groups = [\"ops\"] }",
            about: "Who may change something and see all.",
        },
        Key {
            name: "metrics",
            kind: Kind::Text,
            default: "",
            example: "\"127.0.0.1:9464\"",
            about: "An IP address and a port where Prometheus reads /metrics, and probes /healthz and /readyz; off unless \
                    set. The socket serves /metrics to admins in any case. Taken at the next restart.",
        },
        Key {
            name: "audit_reads",
            kind: Kind::Flag,
            default: "false",
            example: "true",
            about: "Whether every read over the socket is a line in the log: who, which token, which generation.",
        },
    ],
};

/// `[log]`.
pub const LOG: Table = Table {
    name: "[log]",
    about: "What is logged, and how. No line holds a secret at any level.",
    keys: &[
        Key {
            name: "level",
            kind: Kind::Text,
            default: "\"info\"",
            example: "\"info,tokend::plan=debug\"",
            about: "error (a person must act), warn (it will be tried again), info (something changed outside) or \
                    debug (plans); or target=level, with commas between. A reload takes it at once.",
        },
        Key {
            name: "format",
            kind: Kind::Choice(&["text", "json", "journald"]),
            default: "\"journald\" when standard error is the journal, else \"text\"",
            example: "\"json\"",
            about: "How lines look. Taken at the next restart.",
        },
    ],
};
