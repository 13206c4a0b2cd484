//! `[presets.NAME]` in words: the preset language.

use crate::reference::{Key, Kind, Table};

/// A key without default and example.
const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, default: "", example: "", about }
}

const fn key_or(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, default, example: "", about }
}

const PARAMETER: Table = Table {
    name: "parameters.NAME",
    about: "What a provider table of this preset takes.",
    keys: &[
        key("description", Kind::Text, "One line for people."),
        key_or(
            "required",
            Kind::FlagOrTemplate,
            "false",
            "Whether it must be given; a template decides by the others.",
        ),
        key_or("secret", Kind::Flag, "false", "Whether it is given as a secret."),
        key_or("kind", Kind::Choice(&["text", "list", "table", "flag"]), "\"text\"", "What kind of value it takes."),
        key("pattern", Kind::Text, "A regular expression that the whole value must match."),
        key("max_length", Kind::Number, "The longest value, in characters."),
        key_or("choices", Kind::Texts, "[]", "The only values that are accepted."),
        key("default", Kind::Any, "Taken when none is given; a string may use {{ tokend_version }}."),
        key_or("identity", Kind::Flag, "false", "Whether another value makes an access token another one."),
    ],
};

const CONTEXT: Table = Table {
    name: "context",
    about: "PSU contexts and scopes.",
    keys: &[
        key_or(
            "exclusive",
            Kind::FlagOrParameter,
            "false",
            "Whether all tokens of one account and one context share one access token.",
        ),
        key_or("values", Kind::Texts, "[]", "The values of psu_context; where there are any, every token names one."),
        key_or("scopes", Kind::Texts, "[]", "The known scopes, in the order in which they are asked; empty: any."),
        key("requires", Kind::TextByName, "Scopes that are granted only together with another."),
        key_or("scopes_required", Kind::Flag, "false", "Whether a token must list at least one scope."),
        key("rule", Kind::Text, "What the vendor asks of those who ask, in one sentence; shown by tokend plan."),
    ],
};

const FIELD: Table = Table {
    name: "a field",
    about: "A field of a form or query: name and value, name and each (once for every element of that list), or each \
            alone (the keys of that table are the names). One whose value comes out empty is not sent.",
    keys: &[
        key("name", Kind::Text, "The field's name."),
        key("value", Kind::Text, "Its value, a template."),
        key("each", Kind::Text, "The parameter, a list or a table, that brings several."),
    ],
};

const REQUEST: Table = Table {
    name: "request",
    about: "What is sent. Every string is a minijinja template over the parameters; scope and psu_context are there as \
            well. At most one of form, json and text makes the body.",
    keys: &[
        key_or("method", Kind::Choice(&["GET", "POST", "PUT"]), "\"POST\"", "The HTTP method."),
        key("url", Kind::Text, "The token URL."),
        key("issuer", Kind::Text, "Instead of a URL: whose metadata (RFC 8414) names it."),
        key("headers", Kind::TextByName, "Headers."),
        key("query", Kind::Tables(&FIELD), "The query of the URL."),
        key("form", Kind::Tables(&FIELD), "The body as a form."),
        key("json", Kind::AnyTable, "The body as JSON; strings in it are templates."),
        key("text", Kind::Text, "The body as it is."),
        key(
            "client_auth",
            Kind::Text,
            "How the client proves who it is: client_secret_basic, client_secret_post or none; a template may choose.",
        ),
        key("basic_encoding", Kind::Text, "form (as RFC 6749 says) or raw; a template may choose."),
    ],
};

const CONDITION: Table = Table {
    name: "a condition",
    about: "What a 2xx answer must hold to be a success.",
    keys: &[
        key("pointer", Kind::Text, "Where to look (JSON pointer, RFC 6901)."),
        key("equals", Kind::Any, "What must stand there."),
        key_or("absent", Kind::Flag, "false", "Nothing may stand there."),
    ],
};

const ANSWER: Table = Table {
    name: "answer",
    about: "Where a 2xx answer holds what; JSON pointers (RFC 6901). The defaults read RFC 6749 section 5.1.",
    keys: &[
        key_or("access_token", Kind::Text, "\"/access_token\"", "The access token."),
        key_or("token_type", Kind::Text, "\"/token_type\"", "Its type."),
        key_or("scope", Kind::Text, "\"/scope\"", "The scopes granted."),
        key_or("expires_in", Kind::Text, "\"/expires_in\"", "Its lifetime, a number or a string that holds one."),
        key_or("expires_in_unit", Kind::Choice(&["seconds", "milliseconds"]), "\"seconds\"", "The unit of that."),
        key(
            "expires_at",
            Kind::Text,
            "Its end: epoch seconds or milliseconds, or RFC 3339. The earlier of both holds.",
        ),
        key_or("scheme", Kind::Text, "\"Bearer\"", "The word before the token in an Authorization header."),
        key("export", Kind::TextByName, "Fields of the answer that readers find in extra, by the name they get."),
        key("export_parameters", Kind::Texts, "Parameters that readers find in extra."),
        key("success", Kind::Tables(&CONDITION), "All must hold, else the answer is a failure."),
    ],
};

const ERROR: Table = Table {
    name: "error",
    about: "Where a refusal holds its code and its description: the first pointer that finds one.",
    keys: &[
        key_or("code", Kind::TextOrTexts, "\"/error\"", "The code."),
        key_or("description", Kind::TextOrTexts, "\"/error_description\"", "The description."),
    ],
};

const RULE: Table = Table {
    name: "errors",
    about: "Re-classes an answer: all that is given must hold, and the first rule that holds decides.",
    keys: &[
        key("status", Kind::NumberOrNumbers, "The HTTP status."),
        key("pointer", Kind::Text, "Where to look in the body."),
        key("equals", Kind::Any, "What stands there."),
        key("pattern", Kind::Text, "A regular expression that matches what stands there."),
        key("class", Kind::Choice(&["busy", "refused"]), "busy: time may help. refused: a person may have to."),
        key("credentials", Kind::Flag, "Whether the credentials were refused: the next secret of a list is tried."),
    ],
};

const BUDGET: Table = Table {
    name: "refresh.budget",
    about: "How many access tokens may be issued for a slot.",
    keys: &[
        key("issues", Kind::NumberOrTemplate, "How many."),
        key("per", Kind::Text, "In how long: a duration or a template."),
    ],
};

const REFRESH: Table = Table {
    name: "refresh",
    about: "When a fresh access token is asked for: durations, or templates that become one.",
    keys: &[
        key("lead", Kind::Text, "How long before expiry."),
        key("max_lead", Kind::Text, "The longest lead: for providers that return the same token until late."),
        key("ttl", Kind::Text, "The lifetime of an access token whose answer names no expiry."),
        key("expected_lifetime", Kind::Text, "The lifetime that the vendor documents; for tokend plan only."),
        key("budget", Kind::Table(&BUDGET), "How many may be issued."),
    ],
};

/// `[presets.NAME]`.
pub const PRESET: Table = Table {
    name: "[presets.NAME]",
    about: "A provider type of your own. `tokend presets NAME` prints a built-in one to begin with.",
    keys: &[
        key("description", Kind::Text, "One line for people."),
        key("source", Kind::Text, "The vendor's page that it was written from."),
        key("parameters", Kind::Named(&PARAMETER), "What a provider table takes."),
        key("context", Kind::Table(&CONTEXT), "PSU contexts and scopes."),
        key("request", Kind::Table(&REQUEST), "What is sent."),
        key("answer", Kind::Table(&ANSWER), "Where the answer holds what."),
        key("error", Kind::Table(&ERROR), "Where a refusal holds what."),
        key("errors", Kind::Tables(&RULE), "What refusals mean."),
        key("refresh", Kind::Table(&REFRESH), "When to refresh."),
    ],
};
