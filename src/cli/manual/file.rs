//! `tokend.toml(5)`: every key of the configuration.

use crate::cli::manual::roff::Page;
use crate::reference::{Key, PRESET, SECRET, TABLES, Table};

const EXAMPLE: &str = r#"
[providers.bank]
preset        = "oauth2"
token_url     = "https://login.example.com/oauth/token"
client_id     = "reports"
client_secret = { file = "/etc/tokend/bank.secret" }

[tokens.reports]
provider = "bank"
scopes   = ["reports.read"]
sinks    = [{ file = "/run/tokend/tokens/reports", mode = "0640", group = "reports" }]
"#;

const EDITORS: &str = "#:schema /usr/share/tokend/tokend.schema.json";

pub(crate) fn page() -> String {
    let mut page = Page::new("tokend.toml", 5, "configuration of tokend");
    page.section("Description");
    page.text(
        "/etc/tokend/tokend.toml and all conf.d/*.toml beside it, in TOML. Tables merge by name across files; one key \
         set in two files is an error. tokend check prints every problem with its place and touches no network. The \
         daemon takes an edit a moment after it was written: whole, or not at all.",
    );
    page.text(
        "What only the host can make true (a user, a group, a directory, a secret's file) is no error: it is a state \
         of the token or file that it concerns, told by tokend status, and tried again.",
    );
    page.text(
        "Names of providers, tokens and presets are 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit. A \
         duration is a string such as \"90s\", \"5m\" or \"1h30m\".",
    );
    page.section("Example");
    page.code(EXAMPLE);
    for (_, table) in TABLES.iter().filter(|(header, _)| *header != "presets") {
        page.section(table.name);
        describe(&mut page, table);
        for inner in &table.with_inner()[1..] {
            page.subsection(inner.name);
            describe(&mut page, inner);
        }
    }
    page.section("Secrets");
    describe(&mut page, &SECRET);
    page.section(PRESET.name);
    page.text(&format!("{} The language is told in tokend-presets(7).", PRESET.about));
    page.section("Editors");
    page.text(
        "tokend schema prints a JSON Schema of this file. Editors that know TOML by taplo (Even Better TOML) complete \
         and check it when the file begins with",
    );
    page.code(EDITORS);
    page.section("See also");
    page.text("tokend(1), tokend-presets(7)");
    page.finish()
}

/// A table's keys.
pub(crate) fn describe(page: &mut Page, table: &Table) {
    page.text(table.about);
    table.keys.iter().for_each(|key| describe_key(page, key));
}

fn describe_key(page: &mut Page, key: &Key) {
    page.tagged(&format!("{} ({})", key.name, key.kind.in_words()), key.about);
    let default = if key.default.is_empty() { String::new() } else { format!("Default: {}. ", key.default) };
    let example =
        if key.example.is_empty() { String::new() } else { format!("Example: {} = {}", key.name, key.example) };
    if !default.is_empty() || !example.is_empty() {
        page.more(&format!("{default}{example}"));
    }
}
