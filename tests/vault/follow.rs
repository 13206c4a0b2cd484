//! Tokens that another tokend wrote to a secret, taken from there.

use crate::bao::Bao;
use crate::setup::{Setup, wait_for, wait_until};
use crate::sinks::{token, vault_with_token};
use tokend::demo::standin::Vendor;

/// One that asks, and writes the token `api` to `sink`.
fn issuer(bao: &Bao, keys: &str, sink: &str) -> Setup {
    let issuer = Setup::new();
    issuer.configure(&[vault_with_token(&issuer, bao, keys), issuer.oauth2("api", ""), token("api", sink)]);
    issuer
}

/// One that follows `place`.
fn follower(bao: &Bao, keys: &str, place: &str) -> Setup {
    let follower = Setup::new();
    let vault = vault_with_token(&follower, bao, keys);
    let sinks = format!("sinks = [{{ file = \"{}\" }}]", follower.path("tokens/api").display());
    follower.configure(&[vault, format!("[tokens.api]\nfollow = {place}\n{sinks}\n")]);
    follower
}

#[test]
fn a_secret_that_another_tokend_writes_is_followed_with_its_generation() {
    let Some(bao) = Bao::or_skip() else { return };
    let issuer = issuer(&bao, "", "{ vault = \"secret/psd2/api\" }");
    let follower = follower(&bao, "", "{ vault = \"secret/psd2/api\", server = \"main\" }");
    let there = issuer.run_ready();
    let here = follower.run_ready();
    for generation in 1..=2 {
        here.post("/v1/tokens/api/refresh");
        let (mine, its) = (here.get("/v1/tokens/api").json(), there.get("/v1/tokens/api").json());
        for field in ["access_token", "token_type", "scope", "expires_at", "issued_at", "generation"] {
            assert_eq!(mine[field], its[field], "{field}");
        }
        assert_eq!(mine["generation"], generation);
        there.post("/v1/tokens/api/refresh");
        wait_until("it is in Vault", || bao.secret("secret/psd2/api")["generation"] == generation + 1);
    }
    assert!(follower.standin.look(|journal| journal.entries().is_empty()), "nobody was asked");
    assert_eq!(issuer.issued(Vendor::OAuth2), 3);
}

#[test]
fn an_engine_without_versions_is_followed_as_well_and_three_fields_are_enough() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.run(&["secrets", "enable", "-path=team/plain", "-version=1", "kv"]);
    let place = "vault = \"team/plain/api\", mount = \"team/plain\"";
    let fields = "fields = { access_token = \"{{ access_token }}\", expires_at = \"{{ expires_at }}\" }";
    let issuer = issuer(&bao, "kv = 1", &format!("{{ {place}, {fields} }}"));
    let follower = follower(&bao, "kv = 1", &format!("{{ {place} }}"));
    let there = issuer.run_ready();
    let here = follower.run_ready();
    let held = there.get("/v1/tokens/api").json()["access_token"].clone();
    assert_eq!(here.get("/v1/tokens/api").json()["access_token"], held);
    assert_eq!(follower.read("tokens/api").unwrap(), held.as_str().unwrap());
}

#[test]
fn why_there_is_nothing_to_take_is_named_and_it_is_taken_when_it_comes() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, secret_id) = bao.app_role("secret/data/nothing", &[]);
    let follower = Setup::new();
    follower.write("secrets/role", &role);
    follower.write("secrets/secret-id", &secret_id);
    let auth = "method = \"approle\", role_id = { file = \"@DIR@/secrets/role\" }, \
                secret_id = { file = \"@DIR@/secrets/secret-id\" }";
    let vault = format!("[vaults.main]\naddress = \"{}\"\nauth = {{ {auth} }}\n", bao.address());
    follower.configure(&[vault, "[tokens.api]\nfollow = { vault = \"secret/psd2/api\" }\n".into()]);
    let here = follower.run();
    let says = |words: &str| {
        wait_for(words, || here.slot("api").last_error.filter(|error| error.reason.contains(words)));
    };
    says("its policies need read there");
    // Reading is all that it takes.
    bao.policy("tokend", "path \"secret/data/psd2/api\" { capabilities = [\"read\"] }");
    says("there is nothing; has the other tokend a sink there, and has it been started?");
    bao.run(&["kv", "put", "secret/psd2/api", "access_token=one", "generation=3"]);
    says("vault:main/secret/psd2/api: it has no text called expires_at; let the other tokend write it");
    let whole = ["access_token=one", "generation=3", "expires_at=2100-01-01T00:00:00Z"];
    bao.run(&[&["kv", "put", "secret/psd2/api"], &whole[..]].concat());
    here.wait_ready();
    assert_eq!(here.get("/v1/tokens/api").json()["generation"], 3);
    bao.run(&["operator", "seal"]);
    here.post("/v1/tokens/api/refresh");
    says("is sealed: unseal it");
    assert_eq!(here.get("/v1/tokens/api").status, 200, "and takes nothing from anyone");
}
