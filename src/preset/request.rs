//! The request that a preset makes: templates rendered, everything encoded for its place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::form_urlencoded;

use crate::preset::program::{Body, Field, Json, Program};
use crate::preset::template::{Templates, Text, Variables};
use crate::preset::{Asking, Preset, Request, variables};
use crate::secret::Secret;

/// Names and values, in the order in which they are sent.
type Pairs = Vec<(String, String)>;

/// How the client proves who it is.
enum ClientAuth {
    /// As the preset's own templates have it.
    Own,
    /// In the `Authorization` header, id and secret form-encoded or raw.
    Basic { form_encoded: bool },
    /// As form fields.
    Post,
    /// It only names itself.
    None,
}

pub(crate) fn request(preset: &Preset, asking: &Asking<'_>) -> Result<Request, String> {
    check_parameters(preset, asking)?;
    let program: &Program = &preset.program;
    let renderer = Renderer {
        templates: &program.templates,
        variables: variables::of_request(&preset.parameters, asking),
        asking,
    };
    let auth = renderer.client_auth(program)?;
    let (body, content_type) = renderer.body(&program.request.body, &auth)?;
    let mut headers = renderer.headers(program)?;
    for (name, value) in [("Accept", Some("application/json")), ("Content-Type", content_type)] {
        if let Some(value) = value.filter(|_| !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))) {
            headers.push((name.into(), value.into()));
        }
    }
    if let ClientAuth::Basic { form_encoded } = auth {
        headers.push(("Authorization".into(), renderer.basic(form_encoded)));
    }
    Ok(Request {
        method: program.request.method.as_str().into(),
        url: renderer.url(&program.request.query)?,
        headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        body: body.map(Secret::new),
    })
}

/// What only shows when the secrets are there; the rest was checked with the configuration.
fn check_parameters(preset: &Preset, asking: &Asking<'_>) -> Result<(), String> {
    for (name, parameter) in &preset.parameters {
        let secret = asking.secrets.get(name);
        let given = asking.parameters.contains_key(name) || secret.is_some();
        if !given && !parameter.only_builds_url && preset.is_required(name, asking.parameters) {
            return Err(format!("{name} is missing"));
        }
        if let Some(wrong) = secret.and_then(|secret| parameter.fault(secret.expose())) {
            return Err(format!("{name} {wrong}"));
        }
    }
    Ok(())
}

/// Everything that rendering one request needs.
struct Renderer<'a> {
    templates: &'a Templates,
    variables: Variables,
    asking: &'a Asking<'a>,
}

impl Renderer<'_> {
    fn render(&self, text: &Text) -> Result<String, String> {
        self.templates.render(text, &self.variables)
    }

    fn url(&self, query: &[Field]) -> Result<Secret, String> {
        if query.is_empty() {
            return Ok(Secret::new(self.asking.token_url.to_owned()));
        }
        let mut url = url::Url::parse(self.asking.token_url).map_err(|error| format!("the token URL: {error}"))?;
        let fields = self.fields(query, Vec::new())?;
        url.query_pairs_mut().extend_pairs(fields);
        Ok(Secret::new(url.into()))
    }

    /// Headers with an empty value are not sent.
    fn headers(&self, program: &Program) -> Result<Pairs, String> {
        let mut headers = Vec::new();
        for (name, text) in &program.request.headers {
            let value = self.render(text)?;
            if value.chars().any(char::is_control) {
                return Err(format!("the header {name} would hold a line break or another control character"));
            }
            if !value.is_empty() {
                headers.push((name.clone(), value));
            }
        }
        Ok(headers)
    }

    fn body(&self, body: &Body, auth: &ClientAuth) -> Result<(Option<String>, Option<&'static str>), String> {
        Ok(match body {
            Body::None => (None, None),
            Body::Form(fields) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(self.fields(fields, self.credentials(auth))?);
                (Some(form.finish()), Some("application/x-www-form-urlencoded"))
            }
            Body::Json(json) => (Some(self.json(json)?.unwrap_or_default().to_string()), Some("application/json")),
            Body::Text(text) => (Some(self.render(text)?), Some("text/plain; charset=utf-8")),
        })
    }

    /// `pairs` and the `fields`. Those with an empty value are not sent, and none is sent twice but
    /// the elements of a list (RFC 6749 section 3.2, RFC 8707).
    fn fields(&self, fields: &[Field], mut pairs: Pairs) -> Result<Pairs, String> {
        for field in fields {
            let more = self.field(field, &pairs)?;
            pairs.extend(more.into_iter().filter(|(_, value)| !value.is_empty()));
        }
        Ok(pairs)
    }

    fn field(&self, field: &Field, sent: &Pairs) -> Result<Pairs, String> {
        match field {
            Field::One { name, value } => Ok(vec![(name.clone(), self.render(value)?)]),
            Field::EachOfList { name, parameter } => {
                let list = self.parameter(parameter).and_then(Value::as_array);
                let elements = list.into_iter().flatten().filter_map(Value::as_str);
                Ok(elements.map(|element| (name.clone(), element.to_owned())).collect())
            }
            Field::EachOfTable { parameter } => {
                let table = self.parameter(parameter).and_then(Value::as_object);
                let entries: Pairs = table.into_iter().flatten().filter_map(text_entry).collect();
                match entries.iter().find(|(name, _)| sent.iter().any(|(known, _)| known == name)) {
                    Some((name, _)) => Err(format!("{parameter}.{name} is sent already, by the preset itself")),
                    None => Ok(entries),
                }
            }
        }
    }

    fn parameter(&self, name: &str) -> Option<&Value> {
        self.asking.parameters.get(name)
    }

    /// `None` for a member that a template leaves empty: it is not sent.
    fn json(&self, json: &Json) -> Result<Option<Value>, String> {
        Ok(match json {
            Json::Fixed(value) => Some(value.clone()),
            Json::Text(text @ Text::Fixed(_)) => Some(Value::String(self.render(text)?)),
            Json::Text(text) => Some(self.render(text)?).filter(|text| !text.is_empty()).map(Value::String),
            Json::List(list) => {
                let elements = list.iter().map(|element| self.json(element)).collect::<Result<Vec<_>, _>>()?;
                Some(Value::Array(elements.into_iter().flatten().collect()))
            }
            Json::Object(members) => {
                let mut object = serde_json::Map::new();
                for (name, member) in members {
                    object.extend(self.json(member)?.map(|value| (name.clone(), value)));
                }
                Some(Value::Object(object))
            }
        })
    }

    fn client_auth(&self, program: &Program) -> Result<ClientAuth, String> {
        let Some(kind) = &program.request.client_auth else { return Ok(ClientAuth::Own) };
        let encoding = self.render(&program.request.basic_encoding)?;
        match (self.render(kind)?.as_str(), encoding.as_str()) {
            ("client_secret_basic", "form") => Ok(ClientAuth::Basic { form_encoded: true }),
            ("client_secret_basic", "raw") => Ok(ClientAuth::Basic { form_encoded: false }),
            ("client_secret_post", _) => Ok(ClientAuth::Post),
            ("none", _) => Ok(ClientAuth::None),
            _ => Err("client_auth or basic_encoding is none of those that are known".into()),
        }
    }

    fn client_id(&self) -> &str {
        self.parameter("client_id").and_then(Value::as_str).unwrap_or_default()
    }

    fn client_secret(&self) -> &str {
        self.asking.secrets.get("client_secret").map_or("", |secret| secret.expose())
    }

    fn credentials(&self, auth: &ClientAuth) -> Pairs {
        let id = ("client_id".to_owned(), self.client_id().to_owned());
        match auth {
            ClientAuth::Own | ClientAuth::Basic { .. } => Vec::new(),
            ClientAuth::None => vec![id],
            ClientAuth::Post => vec![id, ("client_secret".to_owned(), self.client_secret().to_owned())],
        }
    }

    /// RFC 6749 section 2.3.1 form-encodes both before they are joined; many servers want them raw.
    fn basic(&self, form_encoded: bool) -> String {
        let encode = |text: &str| -> String {
            if form_encoded { form_urlencoded::byte_serialize(text.as_bytes()).collect() } else { text.to_owned() }
        };
        format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(self.client_id()), encode(self.client_secret()))))
    }
}

fn text_entry((name, value): (&String, &Value)) -> Option<(String, String)> {
    Some((name.clone(), value.as_str()?.to_owned()))
}
