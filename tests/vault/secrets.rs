//! Secrets of providers that are kept in Vault.

use tokend::demo::standin::{Client, Vendor};

use crate::bao::Bao;
use crate::setup::{Setup, wait_until};
use crate::sinks::vault_with_token;

#[test]
fn a_providers_secret_comes_from_vault_and_a_changed_one_is_taken() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    setup.register(Client::new(Vendor::OAuth2, "api", "the right one"));
    bao.run(&["kv", "put", "secret/clients/api", "client_secret=a wrong one"]);
    let provider = format!(
        "[providers.api]\npreset = \"oauth2\"\nclient_id = \"api\"\ntoken_url = \"{}\"\n\
         client_secret = {{ vault = \"secret/clients/api#client_secret\", server = \"main\" }}\n",
        setup.standin.url(Vendor::OAuth2)
    );
    setup.configure(&[vault_with_token(&setup, &bao, ""), provider, setup.token("api", "api", "")]);
    let daemon = setup.run();
    assert_eq!(daemon.wait_failing("api").class, "refused");
    bao.run(&["kv", "put", "secret/clients/api", "client_secret=the right one"]);
    wait_until("the token is there", || setup.read("tokens/api").is_some());
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
    assert!(!setup.log().contains("right one") && !setup.log().contains("wrong one"));
}

#[test]
fn a_field_that_is_missing_is_named() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let provider = "[providers.api]\npreset = \"oauth2\"\nclient_id = \"api\"\ntoken_url = \"@BASE@/oauth2/token\"\n\
                    client_secret = { vault = \"secret/clients/none#client_secret\" }\n";
    setup.configure(&[vault_with_token(&setup, &bao, ""), provider.into(), setup.token("api", "api", "")]);
    let daemon = setup.run();
    let why = daemon.wait_failing("api").reason;
    let expected = "client_secret: vault:main/secret/clients/none has no text called client_secret; write it, or \
                    correct the name";
    assert_eq!(why, expected);
}
