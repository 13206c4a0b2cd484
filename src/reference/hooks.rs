//! Hooks and readers of a token, in words.

use crate::reference::{Key, Kind, Table};

const COMMAND: Key = Key {
    name: "command",
    kind: Kind::Texts,
    default: "",
    example: "[\"/usr/local/bin/reload-api\"]",
    about: "A program by its absolute path, and its arguments. No shell reads it. It starts in / with PATH, TOKEND_EVENT, \
            TOKEND_TOKEN (the name), TOKEND_SLOT, TOKEND_GENERATION and TOKEND_EXPIRES_AT alone, on_failure also with \
            TOKEND_CLASS, TOKEND_CODE and TOKEND_REASON; never with the access token. After 30 s it is killed with all \
            that it started; one that failed is run again after 1 s, doubling to 60 s.",
};

/// `on_change`.
pub const ON_CHANGE: Table = Table {
    name: "on_change",
    about: "What is done once for each new access token, after all sinks of the token hold it, also over restarts. One \
            of two keys.",
    keys: &[
        Key {
            name: "reload_unit",
            kind: Kind::Text,
            default: "",
            example: "\"api.service\"",
            about: "Reloads this unit, or restarts it where it cannot be reloaded; one that does not run is left alone. \
                    The daemon's user needs the right to manage it. A .path unit of root's on the token's file needs \
                    none.",
        },
        COMMAND,
    ],
};

/// `on_failure`.
pub const ON_FAILURE: Table = Table {
    name: "on_failure",
    about: "What is run once when half of the lead has passed without success, and once at expiry.",
    keys: &[COMMAND],
};

/// `readers`.
pub const READERS: Table = Table {
    name: "readers",
    about: "Who may read the token over the socket, besides root and the daemon's own user. Any one suffices.",
    keys: &[
        Key {
            name: "users",
            kind: Kind::Texts,
            default: "[]",
            example: "[\"api\"]",
            about: "Users, by name or number.",
        },
        Key {
            name: "groups",
            kind: Kind::Texts,
            default: "[]",
            example: "[\"psd2\"]",
            about: "Groups, by name or number; any group of the reader counts.",
        },
        Key {
            name: "units",
            kind: Kind::Texts,
            default: "[]",
            example: "[\"api.service\"]",
            about: "Units of the system manager, told by the kernel (Linux 6.5 and later); those that may also load it as \
                    a credential.",
        },
    ],
};
