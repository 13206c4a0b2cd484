//! `tokend presets`: lists provider types; prints one with its parameters.

use crate::display::{lines_of, print, table};
use crate::fatal::{Fatal, USAGE};
use crate::preset::{Parameter, Preset};

pub(crate) fn presets(name: Option<&str>) -> Result<u8, Fatal> {
    match name {
        None => list(),
        Some(name) => show(name),
    }
}

fn list() -> Result<u8, Fatal> {
    let mut rows = table(&["PRESET", "WHAT IT IS"]);
    for name in Preset::built_in_names() {
        if let Some(preset) = Preset::built_in(name) {
            rows.add_row([(*name).to_owned(), preset.description.clone()]);
        }
    }
    print(&format!("{}\n\nMore of one: tokend presets NAME\n", lines_of(&rows).join("\n")))?;
    Ok(0)
}

fn show(name: &str) -> Result<u8, Fatal> {
    let (Some(preset), Some(text)) = (Preset::built_in(name), Preset::built_in_text(name)) else {
        let known = Preset::built_in_names().join(", ");
        return Err(Fatal::new(USAGE, format!("there is no preset {name:?}; there are {known}")));
    };
    let mut rows = table(&["PARAMETER", "", "DEFAULT", "WHAT IT IS"]);
    for (name, parameter) in &preset.parameters {
        let default = parameter.default.as_ref().map(shown_default).unwrap_or_default();
        rows.add_row([name.clone(), demands(parameter), default, parameter.description.clone()]);
    }
    let heading = format!("{}: {}\n\n{}\n", preset.name, preset.description, lines_of(&rows).join("\n"));
    print(&format!("{heading}\nAs shipped; a copy under [presets.NAME] is a preset of your own:\n\n{text}"))?;
    Ok(0)
}

fn demands(parameter: &Parameter) -> String {
    let mut words = vec![if parameter.required { "required" } else { "optional" }];
    words.extend(parameter.secret.then_some("secret"));
    words.join(", ")
}

fn shown_default(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
