//! `[request]`: what to send.

use crate::preset::ParameterKind;
use crate::preset::compile::{Compiler, Sees};
use crate::preset::language::{FieldText, MethodText, RequestText};
use crate::preset::program::{Body, Field, Json, RequestPlan};
use crate::preset::template::Text;

/// Headers that belong to the connection, not to a preset.
const OWN_HEADERS: [&str; 6] = ["connection", "content-length", "expect", "host", "te", "transfer-encoding"];

impl Compiler<'_> {
    pub(crate) fn request(&mut self, written: RequestText) -> RequestPlan {
        let body = self.body(&written);
        if written.url.is_none() && written.issuer.is_none() {
            self.problem(&["request"], "`url` is missing (or `issuer`)");
        }
        let mut url =
            |key, source: Option<String>| source.map(|source| self.text(&["request", key], &source, Sees::Url));
        let (url, issuer) = (url("url", written.url), url("issuer", written.issuer));
        let headers = written.headers.iter().map(|(name, value)| (name.clone(), self.header(name, value))).collect();
        let query = self.fields("query", written.query);
        let client_auth = written.client_auth.map(|source| self.client_auth(&source, &body));
        let encoding = written.basic_encoding.as_deref().unwrap_or("form");
        let basic_encoding = self.text(&["request", "basic_encoding"], encoding, Sees::Everything);
        self.expect_one_of(&["request", "basic_encoding"], &basic_encoding, &["form", "raw"]);
        RequestPlan { method: written.method, url, issuer, headers, query, body, client_auth, basic_encoding }
    }

    fn body(&mut self, written: &RequestText) -> Body {
        let kinds = [written.form.is_some(), written.json.is_some(), written.text.is_some()];
        let given = kinds.iter().filter(|&&given| given).count();
        if given > 1 {
            self.problem(&["request"], "only one of `form`, `json` and `text` can make the body");
        }
        if given > 0 && written.method == MethodText::Get {
            self.problem(&["request", "method"], "a GET has no body; send fields as `query`");
        }
        if let Some(form) = &written.form {
            return Body::Form(self.fields("form", form.clone()));
        }
        if let Some(json) = &written.json {
            let table = toml::Value::Table(json.clone());
            return Body::Json(self.json(&["request", "json"], &table));
        }
        match &written.text {
            Some(source) => Body::Text(self.text(&["request", "text"], source, Sees::Everything)),
            None => Body::None,
        }
    }

    fn header(&mut self, name: &str, value: &str) -> Text {
        let path = ["request", "headers", name];
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            self.problem(&path, "not the name of a header");
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            self.problem(&path, "this header belongs to the connection; it is set by itself");
        }
        self.text(&path, value, Sees::Everything)
    }

    fn fields(&mut self, key: &str, written: Vec<FieldText>) -> Vec<Field> {
        let numbered = written.into_iter().enumerate();
        numbered.filter_map(|(index, field)| self.field(&["request", key, &index.to_string()], field)).collect()
    }

    fn field(&mut self, path: &[&str], written: FieldText) -> Option<Field> {
        let each = written.each.clone();
        let kind = each.as_ref().map(|parameter| self.parameters.get(parameter).map(|parameter| parameter.kind));
        self.used_elsewhere.extend(each.clone());
        match (written.name, written.value, each, kind) {
            (Some(name), Some(value), None, _) => {
                let path: Vec<&str> = path.iter().copied().chain(["value"]).collect();
                Some(Field::One { name, value: self.text(&path, &value, Sees::Everything) })
            }
            (Some(name), None, Some(parameter), Some(Some(ParameterKind::List))) => {
                Some(Field::EachOfList { name, parameter })
            }
            (None, None, Some(parameter), Some(Some(ParameterKind::Table))) => Some(Field::EachOfTable { parameter }),
            _ => {
                self.problem(
                    path,
                    "write `name` and `value`, or `name` and `each` (a parameter of kind \"list\"), or `each` (of kind \"table\")",
                );
                None
            }
        }
    }

    fn json(&mut self, path: &[&str], written: &toml::Value) -> Json {
        let below = |key: &str| path.iter().map(|key| (*key).to_owned()).chain([key.to_owned()]).collect::<Vec<_>>();
        let mut inner = |key: &str, value| {
            let path = below(key);
            self.json(&path.iter().map(String::as_str).collect::<Vec<_>>(), value)
        };
        match written {
            toml::Value::Table(table) => {
                Json::Object(table.iter().map(|(key, value)| (key.clone(), inner(key, value))).collect())
            }
            toml::Value::Array(list) => {
                Json::List(list.iter().enumerate().map(|(index, value)| inner(&index.to_string(), value)).collect())
            }
            toml::Value::String(source) => Json::Text(self.text(path, source, Sees::Everything)),
            other => Json::Fixed(serde_json::to_value(other).unwrap_or_default()),
        }
    }

    fn client_auth(&mut self, source: &str, body: &Body) -> Text {
        let path = ["request", "client_auth"];
        let text = self.text(&path, source, Sees::Everything);
        self.expect_one_of(&path, &text, &["client_secret_basic", "client_secret_post", "none"]);
        for name in ["client_id", "client_secret"] {
            if !self.parameters.contains_key(name) {
                self.problem(&path, format!("this needs a parameter `{name}`"));
            }
            self.used_elsewhere.insert(name.to_owned());
        }
        let in_header = matches!(&text, Text::Fixed(kind) if kind == "client_secret_basic");
        if !in_header && !matches!(body, Body::Form(_)) {
            self.problem(&path, "this needs a `form`");
        }
        text
    }

    fn expect_one_of(&mut self, path: &[&str], text: &Text, choices: &[&str]) {
        if let Text::Fixed(text) = text
            && !choices.contains(&text.as_str())
        {
            self.problem(path, format!("{text:?} is none of {}", choices.join(", ")));
        }
    }
}
