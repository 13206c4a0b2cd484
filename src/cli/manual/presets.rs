//! `tokend-presets(7)`: the built-in presets, and the language in which they are written.

use crate::cli::manual::file::describe;
use crate::cli::manual::roff::Page;
use crate::preset::{Parameter, Preset};
use crate::reference::PRESET;

const EXAMPLE: &str = r#"
[presets.acme]
description = "ACME's token endpoint: JSON in, JSON out, lifetime in milliseconds"

[presets.acme.parameters.region]
description = "Where the tenant lives"
required    = true
choices     = ["eu", "us"]

[presets.acme.parameters.key]
description = "The API key"
required    = true
secret      = true

[presets.acme.request]
url  = "https://{{ region }}.acme.example/token"
json = { apiKey = "{{ key }}" }

[presets.acme.answer]
access_token    = "/data/token"
expires_in      = "/data/ttl"
expires_in_unit = "milliseconds"

[[presets.acme.errors]]
status      = 403
credentials = true

[providers.acme]
preset = "acme"
region = "eu"
key    = { file = "/etc/tokend/acme.key" }

[tokens.acme]
provider = "acme"
sinks    = [{ file = "/run/tokend/tokens/acme" }]
"#;

pub(crate) fn page() -> String {
    let mut page = Page::new("tokend-presets", 7, "provider types of tokend, and how to describe your own");
    page.section("Description");
    page.text(
        "A preset says what to send to a token endpoint, how to read the answer, and when to refresh. A provider table \
         names one and gives its parameters, besides the keys of every provider: see tokend.toml(5). A secret takes \
         the forms that are told there.",
    );
    page.section("Built-in presets");
    for preset in Preset::built_in_names().iter().filter_map(|name| Preset::built_in(name)) {
        page.subsection(&preset.name);
        page.text(&format!("{}. From {}", preset.description, preset.source));
        for (name, parameter) in &preset.parameters {
            page.tagged(&format!("{name} ({})", demands(parameter)), &told(parameter));
        }
        if !preset.context.values.is_empty() {
            page.text(&format!("PSU contexts: {}.", preset.context.values.join(", ")));
        }
        if !preset.context.scopes.is_empty() {
            page.text(&format!("Scopes: {}.", preset.context.scopes.join(", ")));
        }
        preset.context.rule.iter().for_each(|rule| page.text(&format!("The vendor asks: {rule}.")));
    }
    page.section("A preset of your own");
    page.text(
        "It stands under [presets.NAME] in the configuration. tokend fetch TOKEN asks once, without the daemon, and \
         explains what came back.",
    );
    page.code(EXAMPLE);
    page.section("The language");
    for table in PRESET.with_inner() {
        page.subsection(table.name);
        describe(&mut page, table);
    }
    page.section("See also");
    page.text("tokend(1), tokend.toml(5)");
    page.finish()
}

fn demands(parameter: &Parameter) -> String {
    let mut words = vec![if parameter.required { "required" } else { "optional" }];
    words.extend(parameter.secret.then_some("secret"));
    words.join(", ")
}

fn told(parameter: &Parameter) -> String {
    let mut text = format!("{}.", parameter.description);
    if !parameter.choices.is_empty() {
        text = format!("{text} One of {}.", parameter.choices.join(", "));
    }
    if let Some(longest) = parameter.max_length {
        text = format!("{text} At most {longest} characters.");
    }
    match &parameter.default {
        // Another version of the program would make another page of it.
        Some(default) if default.as_str() == Some(env!("CARGO_PKG_VERSION")) => {
            format!("{text} Default: tokend's version.")
        }
        Some(default) => format!("{text} Default: {default}."),
        None => text,
    }
}
