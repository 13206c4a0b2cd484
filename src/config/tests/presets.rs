//! Presets as the tests need them.

use crate::config::presets::BuiltIn;
use crate::preset::{ContextRules, Exclusive, Parameter, ParameterKind, Preset};
use std::sync::Arc;

pub fn built_in() -> BuiltIn<'static> {
    BuiltIn { names: &["core-banking", "oauth2", "open-payments"], find: &find }
}

fn parameter(description: &str) -> Parameter {
    Parameter {
        description: description.into(),
        required: true,
        secret: false,
        kind: ParameterKind::Text,
        pattern: None,
        max_length: None,
        choices: Vec::new(),
        default: None,
        only_builds_url: false,
    }
}

fn optional() -> Parameter {
    Parameter { required: false, ..parameter("") }
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn find(name: &str) -> Option<Arc<Preset>> {
    let client_id = parameter("Client ID of the application in the Developer Portal");
    let client_secret =
        Parameter { secret: true, ..parameter("The secret generated when the application was created") };
    let mut parameters = vec![("client_id", client_id), ("client_secret", client_secret)];
    let mut context = ContextRules::default();
    match name {
        "open-payments" => {
            let choices = texts(&["production", "sandbox"]);
            let default = Some("production".into());
            parameters.push(("environment", Parameter { choices, default, only_builds_url: true, ..optional() }));
            context = ContextRules {
                exclusive: Exclusive::Always,
                values: texts(&["private", "corporate"]),
                scopes: texts(&["aspspinformation", "accountinformation", "paymentinitiation", "bankgiroinformation"]),
                requires: [("bankgiroinformation".into(), "accountinformation".into())].into(),
                scopes_required: true,
            };
        }
        "core-banking" => {
            let base_url = parameter("Where the API lives, like https://openapi.example.com");
            let pattern = Some("https?://.+".into());
            parameters.push(("base_url", Parameter { pattern, only_builds_url: true, ..base_url }));
            for (_, parameter) in &mut parameters {
                parameter.max_length = Some(100);
            }
        }
        "oauth2" => {
            parameters.push(("issuer", Parameter { only_builds_url: true, ..optional() }));
            parameters.push(("audience", optional()));
            parameters.push(("resource", Parameter { kind: ParameterKind::List, ..optional() }));
            parameters.push(("extra", Parameter { kind: ParameterKind::Table, ..optional() }));
            let default = Some(false.into());
            parameters.push(("exclusive", Parameter { kind: ParameterKind::Flag, default, ..optional() }));
            context.exclusive = Exclusive::Parameter("exclusive".into());
        }
        _ => return None,
    }
    Some(Arc::new(Preset {
        name: name.into(),
        description: String::new(),
        parameters: parameters.into_iter().map(|(name, parameter)| (name.into(), parameter)).collect(),
        context,
        scheme: "Bearer".into(),
    }))
}
