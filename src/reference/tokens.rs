//! `[tokens.NAME]` in words.

use crate::reference::hooks::{ON_CHANGE, ON_FAILURE, READERS};
use crate::reference::vaults::{MOUNT, SERVER};
use crate::reference::{Key, Kind, Table};

const REFRESH: Table = Table {
    name: "refresh",
    about: "When a fresh access token is asked for.",
    keys: &[
        Key {
            name: "lead",
            kind: Kind::Duration,
            default: "10 % of the lifetime: 60 s at most on exclusive slots, else between 60 s and 10 min",
            example: "\"60s\"",
            about: "How long before expiry the next one is asked for; at most half of the lifetime. Tokens that share \
                    a slot agree on it.",
        },
        Key {
            name: "schedule",
            kind: Kind::Text,
            default: "",
            example: "\"0 0 6 * * *\"",
            about: "Moments at which a fresh one is asked for as well: second, minute, hour, day, month, day of the \
                    week. Not on exclusive slots. What was missed while the daemon was down is made up once.",
        },
        Key {
            name: "timezone",
            kind: Kind::Text,
            default: "\"UTC\"",
            example: "\"Europe/Oslo\"",
            about: "The time zone of schedule.",
        },
    ],
};

const SINK: Table = Table {
    name: "a sink",
    about: "A file that holds the token, or a secret in Vault. A file is replaced whole: a reader sees the old token or \
            the new one, never less; at most one of format, template and template_file says what it holds. A secret \
            has the fields of the json object, unless others are chosen.",
    keys: &[
        Key {
            name: "file",
            kind: Kind::Path,
            default: "",
            example: "\"/run/tokend/tokens/shop\"",
            about: "Where. Directories below the runtime and state directory are made; others must be there. A file that \
                    somebody removed or changed is put right at `tokend reload`, a restart, and the next access token; \
                    one that leaves the configuration is removed. This or vault must be given.",
        },
        Key {
            name: "vault",
            kind: Kind::Text,
            default: "",
            example: "\"secret/psd2/shop\"",
            about: "Instead of a file: a secret in a KV engine, by its path as `vault kv` takes it. What is there is read \
                    first; a higher generation that another tokend wrote is left alone while it lives. A secret that \
                    leaves the configuration stays there.",
        },
        SERVER,
        MOUNT,
        Key {
            name: "fields",
            kind: Kind::TextByName,
            default: "those of the json object",
            example: "{ SHOP_TOKEN = \"{{ access_token }}\" }",
            about: "With vault: fields of your own, each a template. generation is always among them.",
        },
        Key {
            name: "format",
            kind: Kind::Choice(&["raw", "header", "json", "env"]),
            default: "\"raw\"",
            example: "\"json\"",
            about: "raw: the access token, no newline. header: \"Authorization: Bearer TOKEN\" and a newline. json: one \
                    object with access_token, token_type, scope, expires_at, expires_in, issued_at, generation, name, \
                    slot, extra; one there with a higher generation of the slot is left alone while it lives. env: NAME_ACCESS_TOKEN and NAME_EXPIRES_AT for EnvironmentFile= and shells.",
        },
        Key {
            name: "template",
            kind: Kind::Text,
            default: "",
            example: "\"token = {{ access_token | tojson }}\\n\"",
            about: "The file's own form: a minijinja template over the fields of the json object. Filters: default, \
                    join, lower, replace, split, tojson, trim, upper.",
        },
        Key {
            name: "template_file",
            kind: Kind::Path,
            default: "",
            example: "\"/etc/tokend/shop.template\"",
            about: "The same from a file of at most 64 KiB, which is read again when it changes.",
        },
        Key {
            name: "mode",
            kind: Kind::Mode,
            default: "\"0600\"",
            example: "\"0640\"",
            about: "Permission bits. Everyone may never write.",
        },
        Key {
            name: "owner",
            kind: Kind::Text,
            default: "the daemon's user",
            example: "\"shop\"",
            about: "Owner, a user's name or number; another than the daemon's needs CAP_CHOWN.",
        },
        Key {
            name: "group",
            kind: Kind::Text,
            default: "the daemon's group",
            example: "\"shop\"",
            about: "Group, a name or number. The service must be in it: SupplementaryGroups= in a drop-in.",
        },
        Key {
            name: "required",
            kind: Kind::Flag,
            default: "true",
            example: "false",
            about: "Whether readiness waits for it.",
        },
    ],
};

const FOLLOW: Table = Table {
    name: "follow",
    about: "Where another tokend, on this host or another, writes the token with a sink of its own: this one takes it \
            from there, with its generation and expiry, and never asks a provider. It looks there every 5 minutes, more \
            and more often towards the expiry, when a reader invalidates the token, and at once when a file changes; \
            what has expired or is older than what it holds is not taken, and status says so.",
    keys: &[
        Key {
            name: "file",
            kind: Kind::Path,
            default: "",
            example: "\"/run/tokend/tokens/shop.json\"",
            about: "A file in format json. This or vault must be given.",
        },
        Key {
            name: "vault",
            kind: Kind::Text,
            default: "",
            example: "\"secret/psd2/shop\"",
            about: "A secret in a KV engine, by its path as `vault kv` takes it. It needs the fields access_token, \
                    expires_at and generation; the others of the json object are taken where they are.",
        },
        SERVER,
        MOUNT,
    ],
};

/// `[tokens.NAME]`.
pub const TOKEN: Table = Table {
    name: "[tokens.NAME]",
    about: "A token that readers find under its name. Where the preset is exclusive, all tokens of one account and one \
            PSU context share one access token, with the scopes of all of them.",
    keys: &[
        Key {
            name: "provider",
            kind: Kind::Text,
            default: "",
            example: "\"bank\"",
            about: "The [providers.NAME] that issues it. This or follow must be given.",
        },
        Key {
            name: "follow",
            kind: Kind::Table(&FOLLOW),
            default: "",
            example: "{ vault = \"secret/psd2/shop\", server = \"main\" }",
            about: "Instead of a provider: what another tokend writes. Goes without psu_context, scopes and schedule; \
                    refresh.lead says by when the other one renews it, and so from when on it is late.",
        },
        Key {
            name: "psu_context",
            kind: Kind::Text,
            default: "",
            example: "\"corporate\"",
            about: "Who the payment service user is; must be given where the preset has such contexts.",
        },
        Key {
            name: "scopes",
            kind: Kind::Texts,
            default: "[]",
            example: "[\"accountinformation\"]",
            about: "What the access token must allow, without the PSU context.",
        },
        Key {
            name: "required",
            kind: Kind::Flag,
            default: "true",
            example: "false",
            about: "Whether readiness waits for it.",
        },
        Key {
            name: "sinks",
            kind: Kind::Tables(&SINK),
            default: "[]",
            example: "[{ file = \"/run/tokend/tokens/shop\", mode = \"0640\", group = \"shop\" }]",
            about: "Where it is delivered. The socket serves it also without any.",
        },
        Key {
            name: "refresh",
            kind: Kind::Table(&REFRESH),
            default: "",
            example: "{ lead = \"60s\" }",
            about: "When a fresh access token is asked for.",
        },
        Key {
            name: "on_expired",
            kind: Kind::Choice(&["keep", "remove"]),
            default: "\"keep\"",
            example: "\"remove\"",
            about: "What becomes of its files when it expired without a successor. A secret in Vault stays.",
        },
        Key {
            name: "readers",
            kind: Kind::Table(&READERS),
            default: "nobody",
            example: "{ users = [\"api\"], units = [\"api.service\"] }",
            about: "Who may read it over the socket.",
        },
        Key {
            name: "on_change",
            kind: Kind::Table(&ON_CHANGE),
            default: "",
            example: "{ reload_unit = \"api.service\" }",
            about: "What is done when all its sinks hold a new access token.",
        },
        Key {
            name: "on_failure",
            kind: Kind::Table(&ON_FAILURE),
            default: "",
            example: "{ command = [\"/usr/local/bin/page\", \"payments\"] }",
            about: "What is run when it is not renewed in time.",
        },
    ],
};
