//! Whom to ask, and what must be given for it.

use crate::preset::{Parameters, Preset, variables};

impl Preset {
    /// Whether the parameter called `name` must be given, given the others.
    #[must_use]
    pub fn is_required(&self, name: &str, parameters: &Parameters) -> bool {
        let Some(when) = self.program.required_when.get(name) else {
            return self.parameters.get(name).is_some_and(|parameter| parameter.required);
        };
        let variables = variables::of_parameters(&self.parameters, parameters);
        let said = self.program.templates.render(when, &variables);
        said.is_ok_and(|said| said.eq_ignore_ascii_case("true"))
    }

    /// The token URL that the parameters build; `None` where an issuer must be asked for it.
    ///
    /// Errors: what is wrong, in words.
    pub fn token_url(&self, parameters: &Parameters) -> Result<Option<String>, String> {
        let variables = variables::of_parameters(&self.parameters, parameters);
        let render = |text| self.program.templates.render(text, &variables);
        if let Some(url) = &self.program.request.url {
            return render(url).map(Some);
        }
        match self.issuer(parameters)? {
            Some(_) => Ok(None),
            None => Err("token_url is missing (or issuer)".into()),
        }
    }

    /// The issuer that the parameters name, whose metadata (RFC 8414) names the token URL.
    ///
    /// Errors: what is wrong, in words.
    pub fn issuer(&self, parameters: &Parameters) -> Result<Option<String>, String> {
        let variables = variables::of_parameters(&self.parameters, parameters);
        let issuer = self.program.request.issuer.as_ref();
        let issuer = issuer.map(|issuer| self.program.templates.render(issuer, &variables)).transpose()?;
        Ok(issuer.filter(|issuer| !issuer.is_empty()))
    }
}
