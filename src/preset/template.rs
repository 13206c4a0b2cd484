//! Templates over a provider's parameters: compiled once when the preset is read, rendered for
//! every request. A template makes the text of one value; it never makes JSON, a form or a header
//! line, so nothing in a parameter can break out of its place.
//!
//! There is little to call on purpose: no loops over numbers, no globals, no includes, and fuel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, filters};

/// Instructions that one rendering may take; the built-in presets need below a hundred.
const FUEL: u64 = 10_000;

/// Values by variable name.
pub(crate) type Variables = BTreeMap<String, Value>;

/// The compiled templates of one preset.
pub(crate) struct Templates {
    environment: Environment<'static>,
}

/// A text of the preset: fixed, or a template known by the place where it stands.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Fixed(String),
    Template(String),
}

impl Templates {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("lower", filters::lower);
        environment.add_filter("upper", filters::upper);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("replace", filters::replace);
        environment.add_filter("join", filters::join);
        environment.add_filter("default", filters::default);
        Self { environment }
    }

    /// Compiles `source`, which stands at `place`; also returns the variables that it uses.
    ///
    /// Errors: the syntax error.
    pub(crate) fn compile(&mut self, place: &str, source: &str) -> Result<(Text, BTreeSet<String>), String> {
        if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            return Ok((Text::Fixed(source.to_owned()), BTreeSet::new()));
        }
        let told = |error: &minijinja::Error| format!("not a template: {}", error.detail().unwrap_or("syntax error"));
        self.environment
            .add_template_owned(place.to_owned(), source.to_owned())
            .and_then(|()| self.environment.get_template(place))
            .map(|template| template.undeclared_variables(false).into_iter().collect())
            .map(|used| (Text::Template(place.to_owned()), used))
            .map_err(|error| told(&error))
    }

    /// What `text` calls that does not exist; only rendering shows it.
    pub(crate) fn unknown_call(&self, text: &Text, sample: &Variables) -> Option<String> {
        let Text::Template(place) = text else { return None };
        let error = self.environment.get_template(place).ok()?.render(sample.clone()).err()?;
        let unknown = matches!(
            error.kind(),
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod
        );
        unknown.then(|| error.detail().unwrap_or("it calls what does not exist").to_owned())
    }

    /// The value of `text`.
    ///
    /// Errors name the place and the kind of mistake, never a value.
    pub(crate) fn render(&self, text: &Text, variables: &Variables) -> Result<String, String> {
        match text {
            Text::Fixed(text) => Ok(text.clone()),
            Text::Template(place) => self
                .environment
                .get_template(place)
                .and_then(|template| template.render(variables.clone()))
                .map_err(|error| format!("{place}: {}", error.kind())),
        }
    }
}

/// Lists no sources: only how many there are.
impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Templates({})", self.environment.templates().count())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn render(source: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let mut templates = Templates::new();
        let (text, _) = templates.compile("here", source)?;
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        templates.render(&text, &variables)
    }

    #[test]
    fn values_stand_in_a_text_as_they_are() {
        assert_eq!(render("<{{ a }}>", &[("a", "\"&'<{{ b }}")]).unwrap(), "<\"&'<{{ b }}>");
        assert_eq!(render("plain {", &[]).unwrap(), "plain {");
        assert_eq!(render("{{ a | trim('/') }}/x", &[("a", "https://h//")]).unwrap(), "https://h/x");
    }

    #[test]
    fn errors_name_the_place_and_no_value() {
        assert_eq!(render("{{ a }}", &[]).unwrap_err(), "here: undefined value");
        let error = render("{{ a * 'x' }}", &[("a", "hunter2")]).unwrap_err();
        assert!(error.starts_with("here: ") && !error.contains("hunter2"), "{error}");
        assert!(render("{{ a", &[]).unwrap_err().starts_with("not a template: "));
    }

    #[test]
    fn a_template_that_does_not_end_runs_out_of_fuel() {
        let eights = "{% for a in '12345678' %}".repeat(8) + "x" + &"{% endfor %}".repeat(8);
        assert_eq!(render(&eights, &[]).unwrap_err(), "here: engine ran out of fuel");
    }

    #[test]
    fn used_variables_are_known_when_it_is_compiled() {
        let (_, used) = Templates::new().compile("here", "{% if a %}{{ b }}{% endif %}{{ range(3) }}").unwrap();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["a", "b", "range"]);
    }
}
