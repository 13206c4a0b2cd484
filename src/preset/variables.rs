//! The variables that templates see. A parameter that was not given is there all the same, empty
//! of its kind: templates need no special case, and what comes out empty is not sent.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::Serde;

use crate::preset::template::Variables;
use crate::preset::{Asking, Parameter, ParameterKind, Parameters};

/// Variables that a request has beside its parameters.
pub(crate) const OF_A_REQUEST: [&str; 3] = ["scope", "scopes", "context"];

/// The parameters that are not secret.
pub(crate) fn of_parameters(declared: &BTreeMap<String, Parameter>, values: &Parameters) -> Variables {
    let open = declared.iter().filter(|(_, parameter)| !parameter.secret);
    open.map(|(name, parameter)| {
        let value = values.get(name).map_or_else(|| empty(parameter.kind), |value| Value::from(Serde(value)));
        (name.clone(), value)
    })
    .collect()
}

/// All that a request may carry: parameters, secrets, scopes, context.
pub(crate) fn of_request(declared: &BTreeMap<String, Parameter>, asking: &Asking<'_>) -> Variables {
    let mut variables = of_parameters(declared, asking.parameters);
    for (name, _) in declared.iter().filter(|(_, parameter)| parameter.secret) {
        let secret = asking.secrets.get(name).map_or("", |secret| secret.expose());
        variables.insert(name.clone(), Value::from(secret));
    }
    let all: Vec<&str> = asking.scopes.iter().map(String::as_str).chain(asking.context).collect();
    variables.insert("scope".into(), Value::from(all.join(" ")));
    variables.insert("scopes".into(), Value::from(Serde(asking.scopes)));
    variables.insert("context".into(), Value::from(asking.context.unwrap_or_default()));
    variables
}

/// Every variable, empty: to find out what a template calls.
pub(crate) fn sample(declared: &BTreeMap<String, Parameter>) -> Variables {
    let parameters = declared.iter().map(|(name, parameter)| (name.clone(), empty(parameter.kind)));
    let others = OF_A_REQUEST.iter().map(|name| ((*name).to_owned(), Value::from("")));
    parameters.chain(others).collect()
}

fn empty(kind: ParameterKind) -> Value {
    match kind {
        ParameterKind::Text => Value::from(""),
        ParameterKind::List => Value::from(Vec::<Value>::new()),
        ParameterKind::Table => Value::from(Serde(BTreeMap::<String, String>::new())),
        ParameterKind::Flag => Value::from(false),
    }
}
