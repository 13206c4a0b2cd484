//! Tokens that follow what another tokend writes.

use super::*;
use crate::settings::{FollowedPlace, Persist};

const VAULTS: &str = r#"
[vaults.main]
address = "https://vault.example:8200"
auth = { method = "token", token = { env = "T" } }
[vaults.other]
address = "https://other.example:8200"
auth = { method = "token", token = { env = "T" } }
"#;

fn says(lines: &str, expected: &str) {
    assert_eq!(told(parse(lines.trim_start())).trim(), expected.trim(), "\n{lines}");
}

#[test]
fn a_token_that_follows_has_a_slot_of_its_own_and_needs_no_provider() {
    let text = format!(
        "{VAULTS}[tokens.there]\nfollow = {{ vault = \"secret/psd2/there\", server = \"main\" }}\n\
         [tokens.here]\nfollow = {{ file = \"/run/other/here\" }}\nrefresh = {{ lead = \"0s\" }}\n\
         [daemon]\npersist = \"off\"\n"
    );
    let config = parse(&text).unwrap();
    let [here, there] = config.slots.as_slice() else { panic!("{:?}", config.slots) };
    assert_eq!([here.id.as_str(), there.id.as_str()], ["follow/here", "follow/there"]);
    assert_eq!(here.follows().unwrap().place, FollowedPlace::File("/run/other/here".into()));
    assert_eq!(there.follows().unwrap().id.as_str(), "vault:main/secret/psd2/there");
    assert_eq!((here.policy.exclusive, here.policy.budget, here.policy.persist), (false, None, Persist::Off));
    assert_eq!(here.policy.lead, Some(std::time::Duration::ZERO));
    assert!(!here.counts_issues() && config.providers.is_empty());
    assert_ne!(here.identity, parse(&text.replace("/other/", "/another/")).unwrap().slots[0].identity);
}

#[test]
fn what_is_for_those_who_ask_a_provider_is_refused_beside_it() {
    says(
        r#"
[tokens.a]
follow = { file = "/x" }
provider = "nobody"
psu_context = "private"
scopes = ["accountinformation"]
refresh = { lead = "60s", schedule = "0 0 6 * * *", timezone = "Europe/Oslo" }
"#,
        r"
t.toml:3:1: provider: this token takes what another tokend asked for, and asks no provider; remove it, or follow
t.toml:4:1: psu_context: this token takes what another tokend asked for, and asks no provider; remove it, or follow
t.toml:5:1: scopes: this token takes what another tokend asked for, and asks no provider; remove it, or follow
t.toml:6:27: schedule: this token takes what another tokend asked for, and asks no provider; remove it
t.toml:6:53: timezone: this token takes what another tokend asked for, and asks no provider; remove it
",
    );
}

#[test]
fn one_place_is_followed_and_it_is_whole() {
    says(
        &format!(
            "{}{}",
            VAULTS.trim_start(),
            r#"
[tokens.a]
follow = { file = "/x", vault = "secret/x" }
[tokens.b]
follow = {}
[tokens.c]
follow = { file = "x", server = "main" }
[tokens.d]
follow = { vault = "secret/x#access_token", server = "main" }
[tokens.e]
follow = { vault = "secret/x" }
[tokens.f]
follow = { vault = "secret/x", server = "mian", format = "json" }
[tokens.g]
"#
        ),
        r#"
t.toml:9:25: vault: a token follows a file or a secret in Vault; keep one of them
t.toml:11:10: follow needs the place where the other tokend writes: { vault = "secret/path" } or { file = "/path" } (format json)
t.toml:13:19: file: the path is not absolute; begin it with /
t.toml:13:24: server: it belongs to vault, and a file is followed; remove it
t.toml:15:12: vault: a whole secret is followed; remove # and the field
t.toml:17:10: which Vault server is meant? name one: server = "main"
t.toml:19:41: server: there is no [vaults.mian]; did you mean "main"?
t.toml:19:49: unknown key "format"; follow takes file, vault, server, mount
t.toml:20:1: a token needs a provider: provider = "NAME" of a [providers.NAME]
"#,
    );
}

#[test]
fn nobody_follows_a_follower_here() {
    says(
        &format!(
            "{}{}",
            GOOD.trim_start(),
            r#"
[tokens.self]
follow = { file = "/run/self" }
sinks = [{ file = "/run/self" }]
[tokens.other]
follow = { file = "/run/self" }
[tokens.by-a-detour]
follow = { file = "/run/tokend/tokens/a" }
"#
        ),
        r"
t.toml:14:1: follow: it would follow its own sink (at t.toml:15:12); give the sink another place
t.toml:17:1: follow: self writes this (at t.toml:15:12) and follows as well; follow what it follows
",
    );
}

#[test]
fn a_slot_is_called_as_no_other_is() {
    let text = GOOD.replace("providers.op", "providers.follow").replace("provider = \"op\"", "provider = \"follow\"");
    says(
        &format!("{}[tokens.private]\nfollow = {{ file = \"/x\" }}\n", text.trim_start()),
        "t.toml:13:1: follow: its slot would be called follow/private, as one of [providers.follow]; rename that table",
    );
}

#[test]
fn templates_may_use_whatever_the_other_tokend_exports() {
    let text = |template: &str| {
        let sink = format!("{{ file = \"/x\", template = \"{template}\" }}");
        told(parse(&format!("[tokens.a]\nfollow = {{ file = \"/y\" }}\nsinks = [{sink}]\n")))
    };
    assert_eq!(text("{{ extra.region }} {{ access_token }}"), "");
    assert!(text("{{ acess_token }}").contains("acess_token"), "{}", text("{{ acess_token }}"));
}
