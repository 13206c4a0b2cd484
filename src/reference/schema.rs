//! The JSON Schema of the configuration (draft 7, which editors read), made from the reference and from
//! the parameters of the built-in presets. It knows shapes; what hangs together is `tokend check`'s.

use serde_json::{Map, Value, json};

use crate::preset::{Parameter, ParameterKind, Preset};
use crate::reference::{DAEMON, Key, Kind, LOG, PRESET, PROVIDER, SECRET, TABLES, TOKEN, Table, VAULT};

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let about = |wanted: &str| {
        let table = TABLES.iter().find(|(header, _)| *header == wanted);
        table.map_or("", |(_, table)| table.about)
    };
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tokend.toml",
        "description": "The configuration of tokend; see tokend.toml(5).",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "daemon": of_table(&DAEMON),
            "log": of_table(&LOG),
            "providers": named(&json!({ "$ref": "#/definitions/provider" }), about("providers")),
            "tokens": named(&of_table(&TOKEN), about("tokens")),
            "vaults": named(&of_table(&VAULT), about("vaults")),
            "presets": named(&of_table(&PRESET), about("presets")),
        },
        "definitions": { "provider": provider(), "secret": secret(), "secrets": secrets() },
    })
}

fn named(schema: &Value, about: &str) -> Value {
    json!({
        "type": "object",
        "description": about,
        "propertyNames": { "pattern": NAME },
        "additionalProperties": schema,
    })
}

fn of_table(table: &Table) -> Value {
    let properties: Map<String, Value> = table.keys.iter().map(|key| (key.name.to_owned(), described(key))).collect();
    json!({ "type": "object", "description": table.about, "additionalProperties": false, "properties": properties })
}

fn described(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    let mut about = key.about.to_owned();
    let value = |text: &str| format!("x = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x"));
    let default = value(key.default).and_then(|default| serde_json::to_value(default).ok());
    if default.is_none() && !key.default.is_empty() {
        about = format!("{about} Default: {}.", key.default);
    }
    let Some(object) = schema.as_object_mut() else { return schema };
    if object.contains_key("$ref") {
        // Beside a reference draft 7 reads nothing.
        let reference = object.remove("$ref").unwrap_or_default();
        object.insert("allOf".into(), json!([{ "$ref": reference }]));
    }
    object.insert("description".into(), about.into());
    object.extend(default.map(|default| ("default".to_owned(), default)));
    let example = value(key.example).and_then(|example| serde_json::to_value(example).ok());
    object.extend(example.map(|example| ("examples".to_owned(), json!([example]))));
    schema
}

fn of_kind(kind: Kind) -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    let texts = || json!({ "type": "array", "items": text() });
    match kind {
        Kind::Text => text(),
        Kind::Path => json!({ "type": "string", "pattern": "^/" }),
        Kind::Duration => json!({ "type": "string", "pattern": DURATION }),
        Kind::Mode => json!({ "type": "string", "pattern": "^0?[0-7]{3}$" }),
        Kind::Rate => json!({ "type": "string", "pattern": "^[0-9]+/[smh]$" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::PathOrFalse => json!({ "anyOf": [{ "type": "string", "pattern": "^/" }, { "const": false }] }),
        Kind::Texts => texts(),
        Kind::TextOrTexts => json!({ "anyOf": [text(), texts()] }),
        Kind::FlagOrTemplate => json!({ "type": ["boolean", "string"] }),
        Kind::NumberOrTemplate => json!({ "type": ["integer", "string"] }),
        Kind::NumberOrNumbers => {
            json!({ "anyOf": [{ "type": "integer" }, { "type": "array", "items": { "type": "integer" } }] })
        }
        Kind::FlagOrParameter => json!({
            "anyOf": [
                { "type": "boolean" },
                { "type": "object", "required": ["parameter"], "properties": { "parameter": { "type": "string" } } },
            ]
        }),
        Kind::Secret => json!({ "$ref": "#/definitions/secret" }),
        Kind::Secrets => json!({ "$ref": "#/definitions/secrets" }),
        Kind::Table(table) => of_table(table),
        Kind::Tables(table) => json!({ "type": "array", "items": of_table(table) }),
        Kind::Named(table) => json!({ "type": "object", "additionalProperties": of_table(table) }),
        Kind::TextByName => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::AnyTable => json!({ "type": "object" }),
        Kind::Any => json!({}),
    }
}

fn secret() -> Value {
    let beside = |key: &&Key| matches!(key.name, "server" | "mount");
    let one = |key: &Key| {
        let mut properties = Map::from_iter([(key.name.to_owned(), described(key))]);
        if key.name == "vault" {
            properties.extend(SECRET.keys.iter().filter(beside).map(|key| (key.name.to_owned(), described(key))));
        }
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": [key.name],
            "properties": properties,
        })
    };
    let mut choices = vec![json!({ "type": "string", "minLength": 1 })];
    choices.extend(SECRET.keys.iter().filter(|key| !beside(key)).map(one));
    json!({ "description": SECRET.about, "anyOf": choices })
}

fn secrets() -> Value {
    let one = json!({ "$ref": "#/definitions/secret" });
    json!({
        "description": SECRET.about,
        "anyOf": [one, { "type": "array", "minItems": 1, "items": one }],
    })
}

/// One form for every built-in preset, and one for presets of the operator's own.
fn provider() -> Value {
    let names = Preset::built_in_names();
    let mut forms: Vec<Value> =
        names.iter().filter_map(|name| Preset::built_in(name)).map(|preset| of_preset(&preset)).collect();
    let mut own = of_table(&PROVIDER);
    own["properties"]["preset"] = json!({ "type": "string", "not": { "enum": names } });
    own["additionalProperties"] = json!(true);
    own["required"] = json!(["preset"]);
    forms.push(own);
    json!({ "description": PROVIDER.about, "anyOf": forms })
}

fn of_preset(preset: &Preset) -> Value {
    let mut form = of_table(&PROVIDER);
    form["description"] = preset.description.as_str().into();
    form["properties"]["preset"] = json!({ "const": preset.name, "description": preset.description });
    for (name, parameter) in &preset.parameters {
        form["properties"][name] = of_parameter(parameter);
    }
    form
}

fn of_parameter(parameter: &Parameter) -> Value {
    let mut schema = match parameter.kind {
        _ if parameter.secret => json!({ "allOf": [{ "$ref": "#/definitions/secrets" }] }),
        ParameterKind::Text if !parameter.choices.is_empty() => json!({ "enum": parameter.choices }),
        ParameterKind::Text => json!({ "type": "string", "minLength": 1 }),
        ParameterKind::List => of_kind(Kind::TextOrTexts),
        ParameterKind::Table => of_kind(Kind::TextByName),
        ParameterKind::Flag => of_kind(Kind::Flag),
    };
    let must = if parameter.required { " Must be given." } else { "" };
    schema["description"] = format!("{}.{must}", parameter.description).into();
    if !parameter.secret {
        // No lookaround and the like in patterns of presets: they are plain enough for every dialect.
        for (word, value) in [
            ("pattern", parameter.pattern.as_ref().map(|pattern| json!(format!("^(?:{pattern})$")))),
            ("maxLength", parameter.max_length.map(Value::from)),
            ("default", parameter.default.clone()),
        ] {
            schema
                .as_object_mut()
                .into_iter()
                .for_each(|object| object.extend(value.clone().map(|v| (word.into(), v))));
        }
    }
    schema
}
