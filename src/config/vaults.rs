//! `[vaults.NAME]`, and what leads there: `vault = "MOUNT/PATH"` with `server` and `mount`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::address;
use crate::config::keys::Keys;
use crate::config::node::Node;
use crate::config::problems::{Problems, one_of, shown};
use crate::config::read::{Section, choice, expected, file_path, flag, text};
use crate::config::secret_source::without_vaults;
use crate::name::Name;
use crate::settings::{
    KvVersion, SecretSource, TlsFiles, VaultAddress, VaultLogin, VaultMethod, VaultPlace, VaultServer,
};

pub(super) const VAULT: Keys<'static> = Keys {
    table: "[vaults.NAME]",
    accepted: &["address", "namespace", "ca_file", "cert_file", "key_file", "kv", "auth"],
};

/// The methods, what each takes besides `method` and `mount`, and what of that it needs.
const METHODS: [(&str, &[&str], &[&str]); 6] = [
    ("approle", &["role_id", "secret_id", "wrapped"], &["role_id"]),
    ("cert", &["cert_file", "key_file", "role"], &[]),
    ("jwt", &["role", "jwt"], &["role", "jwt"]),
    ("kubernetes", &["role", "jwt"], &["role"]),
    ("token", &["token"], &["token"]),
    ("userpass", &["username", "password"], &["username", "password"]),
];

/// What the methods take together.
#[cfg(test)]
pub(super) fn auth_keys() -> Vec<&'static str> {
    METHODS.iter().flat_map(|(_, takes, _)| takes.iter().copied()).chain(["method", "mount"]).collect()
}

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Reads the table called `name`. `None`: something in it is wrong.
pub fn read(name: &str, section: Section<'_, '_>, problems: &mut Problems<'_>) -> Option<Arc<VaultServer>> {
    let before = problems.count();
    let name = Name::parse(name).map_err(|text| problems.add(section.at, text)).ok();
    problems.check_keys(section.table, &VAULT);
    let address = section.read("address", problems, address_of);
    let namespace = section.read("namespace", problems, namespace);
    let mut tls = TlsFiles {
        ca_file: section.read("ca_file", problems, file_path),
        cert_file: section.read("cert_file", problems, file_path),
        key_file: section.read("key_file", problems, file_path),
    };
    let kv = section.read("kv", problems, kv).unwrap_or_default();
    // An agent can log in for all who reach its socket.
    let has_agent = matches!(address, Some(VaultAddress::Socket(_))) && section.node("auth").is_none();
    for key in ["address", "auth"] {
        if section.node(key).is_none() && !has_agent {
            let example =
                if key == "auth" { "auth = { method = \"approle\", … }" } else { "address = \"https://…\"" };
            problems.add_missing(section.at, format!("a Vault server needs {key}: {example}"));
        }
    }
    let login = match section.node("auth") {
        Some(node) => login(node, &mut tls, problems),
        None => has_agent.then(|| VaultLogin { mount: String::new(), method: VaultMethod::Agent }),
    };
    check_pair(section, problems);
    (problems.count() == before)
        .then(|| Some(Arc::new(VaultServer { name: name?, address: address?, namespace, tls, kv, login: login? })))
        .flatten()
}

fn check_pair(section: Section<'_, '_>, problems: &mut Problems<'_>) {
    if section.node("key_file").is_some() && section.node("cert_file").is_none() {
        problems.add_missing(section.at_key("key_file"), "key_file needs cert_file beside it");
    }
}

fn address_of(node: &Node<'_>) -> Result<VaultAddress, String> {
    let text = text(node)?;
    if let Some(path) = text.strip_prefix("unix://") {
        let path = Path::new(path);
        return if path.is_absolute() {
            Ok(VaultAddress::Socket(path.to_path_buf()))
        } else {
            Err("the path is not absolute; write unix:///path".into())
        };
    }
    let address = address::read(text)?;
    if address.sent.contains('?') {
        return Err("no ?query may stand in the address; remove it".into());
    }
    let url = address.sent.trim_end_matches('/');
    if url.matches('/').count() > 2 {
        return Err("the address has a path; write only https://host:port".into());
    }
    Ok(VaultAddress::Url(url.into()))
}

fn namespace(node: &Node<'_>) -> Result<String, String> {
    let text = text(node)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.trim_matches('/').into());
    }
    Err("a namespace is visible ASCII without spaces".into())
}

fn kv(node: &Node<'_>) -> Result<KvVersion, String> {
    use crate::config::node::Content;
    use toml::de::DeValue::Integer;
    let number = match &node.content {
        Content::Scalar(Integer(number)) => number.as_str(),
        Content::Untyped(text) => text,
        _ => return Err(expected("1 or 2", node)),
    };
    match number {
        "1" => Ok(KvVersion::V1),
        "2" => Ok(KvVersion::V2),
        _ => Err("the version of a KV engine is 1 or 2".into()),
    }
}

fn login(node: &Node<'_>, tls: &mut TlsFiles, problems: &mut Problems<'_>) -> Option<VaultLogin> {
    let section = Section::of(node, "auth", problems)?;
    let words: Vec<(&str, usize)> = METHODS.iter().enumerate().map(|(index, (word, ..))| (*word, index)).collect();
    if section.node("method").is_none() {
        let all = METHODS.map(|(word, ..)| word).join(", ");
        problems.add_missing(section.at, format!("auth needs a method: one of {all}"));
        return None;
    }
    let (word, takes, needs) = METHODS[section.read("method", problems, |node| choice(node, &words))?];
    let accepted: Vec<&str> = takes.iter().copied().chain(["method", "mount"]).collect();
    let table = format!("auth with method {word:?}");
    problems.check_keys(section.table, &Keys { table: &table, accepted: &accepted });
    for key in needs.iter().filter(|key| section.node(key).is_none()) {
        problems.add_missing(section.at, format!("{table} needs {key}"));
    }
    let mount = match section.node("mount") {
        Some(_) => section.read("mount", problems, |node| path_part(text(node)?.trim_matches('/')))?,
        None => word.to_owned(),
    };
    Some(VaultLogin { mount, method: method(word, section, tls, problems)? })
}

fn method(
    word: &str,
    section: Section<'_, '_>,
    tls: &mut TlsFiles,
    problems: &mut Problems<'_>,
) -> Option<VaultMethod> {
    let sources = |key: &str, problems: &mut Problems<'_>| {
        section.node(key).map(|node| without_vaults(node, key, problems)).filter(|found| !found.is_empty())
    };
    let name = |key: &str, problems: &mut Problems<'_>| section.read(key, problems, |node| path_part(text(node)?));
    Some(match word {
        "approle" => VaultMethod::AppRole {
            role_id: sources("role_id", problems)?,
            secret_id: sources("secret_id", problems),
            wrapped: section.read("wrapped", problems, flag).unwrap_or_default(),
        },
        "userpass" => {
            VaultMethod::Userpass { username: name("username", problems)?, password: sources("password", problems)? }
        }
        "jwt" => VaultMethod::Jwt { role: name("role", problems)?, jwt: sources("jwt", problems)? },
        "kubernetes" => VaultMethod::Jwt {
            role: name("role", problems)?,
            jwt: sources("jwt", problems).unwrap_or_else(|| vec![SecretSource::File(PathBuf::from(SERVICE_ACCOUNT))]),
        },
        "token" => VaultMethod::Token { token: sources("token", problems)? },
        _ => {
            tls.cert_file = section.read("cert_file", problems, file_path).or_else(|| tls.cert_file.take());
            tls.key_file = section.read("key_file", problems, file_path).or_else(|| tls.key_file.take());
            if tls.cert_file.is_none() {
                problems.add_missing(section.at, "auth with method \"cert\" needs cert_file");
            }
            VaultMethod::Cert { role: name("role", problems) }
        }
    })
}

/// The place that `key` of `section` names, and the field after `#` where there is one.
pub fn place(section: Section<'_, '_>, key: &str, problems: &mut Problems<'_>) -> Option<(VaultPlace, Option<String>)> {
    let server = server(section, problems);
    let mount = section.read("mount", problems, |node| path_part(text(node)?.trim_matches('/')));
    let is_mount_wrong = mount.is_none() && section.node("mount").is_some();
    let (mount, path, field) = section.read(key, problems, |node| split(text(node)?, mount.as_deref()))?;
    (!is_mount_wrong).then_some(())?;
    Some((VaultPlace { server: server?, mount, path }, field))
}

/// `secret/psd2/accounts#field` → `secret`, `psd2/accounts`, `field`.
fn split(text: &str, mount: Option<&str>) -> Result<(String, String, Option<String>), String> {
    let (path, field) = match text.split_once('#') {
        Some((_, "")) => return Err("no field stands after #".into()),
        Some((path, field)) => (path, Some(field.to_owned())),
        None => (text, None),
    };
    let path = path_part(path)?;
    let (mount, rest) = match mount {
        // The mount may stand in the path as well.
        Some(mount) => (mount, path.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&path)),
        None => path.split_once('/').ok_or("it needs a path below the mount: \"secret/path\"")?,
    };
    if ["data", "metadata"].contains(&rest.split('/').next().unwrap_or_default()) {
        let remedy = "write the path as `vault kv` takes it, without data/ or metadata/";
        return Err(format!("{} stands after the mount; {remedy}", shown(rest.split('/').next().unwrap_or_default())));
    }
    Ok((mount.to_owned(), rest.to_owned(), field))
}

/// What can stand in the path of a URL as it is: vaultrs does not encode it.
fn path_part(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(c);
    if let Some(wrong) = text.chars().find(|c| !fits(*c)) {
        return Err(format!(
            "{wrong:?} cannot stand here: letters, digits, - . _ ~ ! $ & ' ( ) * + , ; = : @ and / can"
        ));
    }
    if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("it has an empty part, or one that is . or ..; write it like \"secret/path\"".into());
    }
    Ok(text.into())
}

/// The server that `server` names; the only one where it is left out.
fn server(section: Section<'_, '_>, problems: &mut Problems<'_>) -> Option<Name> {
    let names: Vec<String> = problems.vaults().to_vec();
    let all = || names.iter().map(String::as_str);
    let Some(node) = section.node("server") else {
        let only = match names.as_slice() {
            [only] => return Name::parse(only).ok(),
            [] => "add a [vaults.NAME] table".to_owned(),
            _ => format!("name one: server = \"{}\"", names[0]),
        };
        problems.add_missing(section.at, format!("which Vault server is meant? {only}"));
        return None;
    };
    let word = section.read("server", problems, text)?;
    if names.iter().any(|name| name == word) {
        return Name::parse(word).ok();
    }
    let remedy = if names.is_empty() { "add the table".to_owned() } else { one_of(word, all()) };
    problems.add_missing(node.at, format!("server: there is no [vaults.{word}]; {remedy}"));
    None
}
