//! `[vaults.NAME]` in words.

use crate::reference::{Key, Kind, Table};

/// Beside `vault`: which server.
pub(super) const SERVER: Key = Key {
    name: "server",
    kind: Kind::Text,
    default: "the only one",
    example: "\"main\"",
    about: "With vault: the [vaults.NAME].",
};

/// Beside `vault`: which engine.
pub(super) const MOUNT: Key = Key {
    name: "mount",
    kind: Kind::Text,
    default: "the first part of the path",
    example: "\"team/kv\"",
    about: "With vault: where the KV engine is mounted.",
};

const AUTH: Table = Table {
    name: "auth",
    about: "How to log in; what each method takes stands with its keys. All secrets may be lists, of which the first \
            that can be read is used; none can come from Vault itself. What the server refuses is shown to it again \
            after 5 s, 20 s, 5 min and then every 15 min, so that it does not lock the account; another secret, or \
            after `tokend reload` the same, is tried within a minute.",
    keys: &[
        Key {
            name: "method",
            kind: Kind::Choice(&["approle", "cert", "jwt", "kubernetes", "token", "userpass"]),
            default: "",
            example: "\"approle\"",
            about: "The auth method. Must be given.",
        },
        Key {
            name: "mount",
            kind: Kind::Text,
            default: "the name of the method",
            example: "\"approle-psd2\"",
            about: "Where the method is mounted.",
        },
        Key {
            name: "role_id",
            kind: Kind::Secrets,
            default: "",
            example: "{ file = \"/etc/tokend/vault-role\" }",
            about: "approle: the role. Must be given.",
        },
        Key {
            name: "secret_id",
            kind: Kind::Secrets,
            default: "",
            example: "{ file = \"/etc/tokend/vault-secret-id\" }",
            about: "approle: the secret id, unless the role asks for none. One that may be used once survives a restart: \
                    the token that it brought is kept sealed in the state.",
        },
        Key {
            name: "wrapped",
            kind: Kind::Flag,
            default: "false",
            example: "true",
            about: "approle: secret_id is a wrapping token, which is unwrapped once; what it held is kept in memory for the logins that follow.",
        },
        Key {
            name: "username",
            kind: Kind::Text,
            default: "",
            example: "\"tokend\"",
            about: "userpass: the user. Must be given.",
        },
        Key {
            name: "password",
            kind: Kind::Secrets,
            default: "",
            example: "{ credential = \"vault-password\" }",
            about: "userpass: the password. Must be given.",
        },
        Key {
            name: "role",
            kind: Kind::Text,
            default: "",
            example: "\"tokend\"",
            about: "jwt and kubernetes: the role, which must be given; cert: the role, unless the server chooses.",
        },
        Key {
            name: "jwt",
            kind: Kind::Secrets,
            default: "kubernetes: the token of the pod's service account",
            example: "{ file = \"/var/run/secrets/tokend/jwt\" }",
            about: "jwt and kubernetes: the signed token, read at every login.",
        },
        Key {
            name: "token",
            kind: Kind::Secrets,
            default: "",
            example: "{ file = \"/run/vault-agent/token\" }",
            about: "token: a token that somebody else made and may replace. Must be given.",
        },
        Key {
            name: "cert_file",
            kind: Kind::Path,
            default: "that of the server",
            example: "\"/etc/tokend/vault-client.pem\"",
            about: "cert: the client certificate, PEM.",
        },
        Key {
            name: "key_file",
            kind: Kind::Path,
            default: "that of the server",
            example: "\"/etc/tokend/vault-client.key\"",
            about: "cert: its key, PEM.",
        },
    ],
};

/// `[vaults.NAME]`.
pub const VAULT: Table = Table {
    name: "[vaults.NAME]",
    about: "A HashiCorp Vault or OpenBao server. There is one login for all that goes there; its token is renewed in \
            time, made anew when it is spent, and kept sealed over restarts. A server that answers Retry-After is asked \
            nothing before that is over.",
    keys: &[
        Key {
            name: "address",
            kind: Kind::Text,
            default: "",
            example: "\"https://vault.example.com:8200\"",
            about: "https://host:port, http:// on loopback only, or unix:///path of an agent's listener. Redirects are \
                    reported, not followed. Must be given.",
        },
        Key {
            name: "namespace",
            kind: Kind::Text,
            default: "",
            example: "\"team-a\"",
            about: "The namespace of the login and of all paths.",
        },
        Key {
            name: "ca_file",
            kind: Kind::Path,
            default: "the host's certificates",
            example: "\"/etc/tokend/vault-ca.pem\"",
            about: "PEM certificates to trust. Read again when it changes, as the next two.",
        },
        Key {
            name: "cert_file",
            kind: Kind::Path,
            default: "",
            example: "\"/etc/tokend/vault-client.pem\"",
            about: "PEM client certificate.",
        },
        Key {
            name: "key_file",
            kind: Kind::Path,
            default: "",
            example: "\"/etc/tokend/vault-client.key\"",
            about: "PEM key of the client certificate.",
        },
        Key {
            name: "kv",
            kind: Kind::Number,
            default: "2",
            example: "1",
            about: "The version of the KV secrets engine there, 1 or 2.",
        },
        Key {
            name: "auth",
            kind: Kind::Table(&AUTH),
            default: "",
            example: "{ method = \"approle\", role_id = { file = \"/etc/tokend/vault-role\" }, secret_id = { file = \"/etc/tokend/vault-secret-id\" } }",
            about: "How to log in. Must be given, but for an agent's listener: without it the agent's own login is used \
                    (use_auto_auth_token).",
        },
    ],
};
