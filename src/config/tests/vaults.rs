//! Vault servers, sinks and secrets there.

use super::*;
use crate::settings::{KvVersion, VaultAddress};

const VAULT: &str = r#"
[vaults.main]
address = "https://vault.example:8200/"
auth = { method = "token", token = { env = "T" } }
"#;

fn says(lines: &str, expected: &str) {
    assert_eq!(told(parse(&format!("{}{lines}", GOOD.trim_start()))).trim(), expected.trim(), "\n{lines}");
}

#[test]
fn a_secret_is_one_by_whatever_name_of_its_server() {
    let text = "[vaults.a]\naddress = \"https://v.example\"\nauth = { method = \"token\", token = { file = \"/a\" } }\n\
                [vaults.b]\naddress = \"https://v.example\"\nauth = { method = \"token\", token = { file = \"/a\" } }\n\
                [vaults.c]\naddress = \"https://v.example\"\nnamespace = \"n\"\n\
                auth = { method = \"token\", token = { file = \"/a\" } }\n\
                [providers.p]\npreset = \"oauth2\"\ntoken_url = \"https://as.example/t\"\nclient_id = \"me\"\n\
                client_secret = { file = \"/b\" }\n\
                [tokens.x]\nprovider = \"p\"\nsinks = [{ vault = \"s/x\", server = \"a\" }]\n\
                [tokens.y]\nprovider = \"p\"\nsinks = [{ vault = \"s/x\", server = \"c\" }]\n\
                [tokens.z]\nprovider = \"p\"\nsinks = [{ vault = \"s/x\", server = \"b\" }]\n";
    let source = SourceText { path: "t.toml".into(), text: text.into(), privacy: Privacy::Private };
    let problems = Config::parse(&[source], &[]).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("z and x would write one secret"), "{told:?}");
}

#[test]
fn a_server_is_read_with_its_defaults() {
    let config = parse(&format!("{GOOD}{VAULT}")).unwrap();
    let server = config.vaults.values().next().unwrap();
    assert_eq!(server.address, VaultAddress::Url("https://vault.example:8200".into()));
    assert_eq!((server.kv, server.login.mount.as_str()), (KvVersion::V2, "token"));
}

#[test]
fn the_environment_reaches_the_keys_of_servers() {
    let environment = [("TOKEND_VAULTS__MAIN__ADDRESS", "unix:///run/agent.sock")];
    let config = parse_all(&[source("t.toml", &format!("{GOOD}{VAULT}"))], &environment).unwrap();
    let server = config.vaults.values().next().unwrap();
    assert_eq!(server.address, VaultAddress::Socket("/run/agent.sock".into()));
}

#[test]
fn wrong_servers_are_told() {
    says(
        r#"
[vaults.a]
[vaults.b]
address = "http://vault.example"
namespace = "a b"
kv = 3
auth = { method = "approl" }
[vaults.c]
address = "https://vault.example/v1"
auth = { method = "approle", secret_id = { vault = "secret/x#y" }, role = "x" }
[vaults.d]
address = "unix://agent.sock"
auth = { method = "cert", mount = "a//b" }
[vaults.e]
address = "https://vault.example"
auth = { method = "userpass", username = "a b", password = "p" }
"#,
        r#"
t.toml:13:1: a Vault server needs address: address = "https://…"
t.toml:13:1: a Vault server needs auth: auth = { method = "approle", … }
t.toml:15:11: address: http:// is accepted for loopback addresses only; use https://
t.toml:16:13: namespace: a namespace is visible ASCII without spaces
t.toml:17:6: kv: the version of a KV engine is 1 or 2
t.toml:18:19: method: "approl" is not accepted here; did you mean "approle"?
t.toml:20:11: address: the address has a path; write only https://host:port
t.toml:21:8: auth with method "approle" needs role_id
t.toml:21:68: unknown key "role"; did you mean "role_id"?
t.toml:23:11: address: the path is not absolute; write unix:///path
t.toml:24:35: mount: it has an empty part, or one that is . or ..; write it like "secret/path"
t.toml:27:42: username: ' ' cannot stand here: letters, digits, - . _ ~ ! $ & ' ( ) * + , ; = : @ and / can
"#,
    );
}

#[test]
fn what_logs_in_cannot_come_from_vault_itself() {
    let lines = "\n[vaults.a]\naddress = \"https://v.example\"\n\
                 auth = { method = \"token\", token = { vault = \"secret/x#y\" } }\n";
    let expected =
        "t.toml:15:36: token: what logs in to a Vault server cannot come from one; name a file or credential";
    says(lines, expected);
}

#[test]
fn places_are_checked_and_lead_to_a_server_that_is_there() {
    let sinks = |sinks: &str| {
        let keys = "provider = \"op\"\npsu_context = \"corporate\"\nscopes = [\"accountinformation\"]";
        format!("{VAULT}[tokens.b]\n{keys}\nsinks = [{sinks}]\n")
    };
    for (sink, expected) in [
        ("{ vault = \"secret\" }", "20:20: vault: it needs a path below the mount: \"secret/path\""),
        (
            "{ vault = \"secret/data/x\" }",
            "20:20: vault: \"data\" stands after the mount; write the path as `vault kv` takes it, without data/ or \
             metadata/",
        ),
        (
            "{ vault = \"secret/x\", server = \"mian\" }",
            "20:41: server: there is no [vaults.mian]; did you mean \"main\"?",
        ),
        (
            "{ vault = \"secret/x#y\" }",
            "20:12: vault: a sink is a whole secret; remove # and what follows, or use fields",
        ),
        (
            "{ vault = \"secret/x\", file = \"/a\" }",
            "20:12: vault: a sink is a file or a secret in Vault; make two of them",
        ),
        (
            "{ vault = \"secret/x\", fields = { T = \"{{ acess_token }}\" } }",
            "20:47: T: line 1 of the template: there is no field acess_token; did you mean access_token?",
        ),
        (
            "{ vault = \"secret/x\", mode = \"0600\" }",
            "20:32: unknown key \"mode\"; a Vault sink takes vault, server, mount, fields, required",
        ),
    ] {
        says(&sinks(sink), &format!("t.toml:{expected}"));
    }
    says(&sinks("{ vault = \"team/kv/x\", mount = \"team/kv\" }, { vault = \"kv1/x\" }"), "");
}

#[test]
fn a_secret_there_names_its_field() {
    let lines = format!(
        "{VAULT}[providers.b]\npreset = \"oauth2\"\nclient_id = \"b\"\ntoken_url = \"https://b.example\"\n\
         client_secret = {{ vault = \"secret/b\" }}\n"
    );
    says(&lines, "t.toml:20:19: vault: it names no field; write \"mount/path#field\"");
}

#[test]
fn two_tokens_cannot_have_one_secret() {
    let keys = "provider = \"op\"\npsu_context = \"corporate\"\nscopes = [\"accountinformation\"]";
    let sink = "{ vault = \"secret/x\" }";
    let told = told(parse(&format!("{GOOD}{VAULT}[tokens.b]\n{keys}\nsinks = [{sink}, {sink}]\n")));
    assert!(told.contains("b has this sink already at"), "{told}");
}
