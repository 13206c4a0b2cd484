//! `[presets.NAME]`: the operator's own provider types, and those that are built in.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::described;
use crate::config::files::{Named, merge};
use crate::config::node::{Content, Node};
use crate::config::problems::{Problems, one_of, shown};
use crate::name::Name;
use crate::preset::Preset;
use crate::reference::PRESET;

/// The presets that come with the program.
pub struct BuiltIn<'b> {
    /// Their names.
    pub names: &'b [&'b str],
    /// The one called so.
    pub find: &'b dyn Fn(&str) -> Option<Arc<Preset>>,
}

/// All presets there are.
pub struct Presets<'a, 'b> {
    built_in: BuiltIn<'b>,
    /// `None`: there are problems in it, which were told.
    own: BTreeMap<&'a str, Option<Arc<Preset>>>,
}

impl<'a, 'b> Presets<'a, 'b> {
    /// Reads the tables `named`.
    pub fn read(built_in: BuiltIn<'b>, named: &Named<'a>, problems: &mut Problems<'_>) -> Self {
        let mut own = BTreeMap::new();
        for (name, parts) in named {
            let Some(part) = parts.first() else { continue };
            if let Err(text) = Name::parse(name) {
                problems.add(part.at(), text);
            } else if built_in.names.contains(name) {
                let text = format!("preset {name:?} is built in; give yours another name");
                problems.add(part.at(), text);
            }
            let preset = merge(parts, problems).and_then(|(at, table)| {
                let node = Node { at, content: Content::Table(table) };
                read(name, &node, problems)
            });
            own.insert(*name, preset.map(Arc::new));
        }
        Self { built_in, own }
    }

    /// The preset called `name`. The inner `None`: it has problems of its own.
    ///
    /// Errors: what to say of a name that is none.
    pub fn find(&self, name: &str) -> Result<Option<Arc<Preset>>, String> {
        if let Some(own) = self.own.get(name) {
            return Ok(own.clone());
        }
        (self.built_in.find)(name).map(Some).ok_or_else(|| {
            let names = self.built_in.names.iter().chain(self.own.keys()).copied();
            format!("there is no preset {}; {}", shown(name), one_of(name, names))
        })
    }
}

fn read(name: &str, node: &Node<'_>, problems: &mut Problems<'_>) -> Option<Preset> {
    let before = problems.count();
    described::check(node, name, &PRESET, problems);
    if problems.count() > before {
        return None;
    }
    let Some(toml::Value::Table(table)) = node.to_toml() else {
        problems.add(node.at, format!("preset {name:?} holds a number that is too large"));
        return None;
    };
    match Preset::from_table(name, &table) {
        Ok(preset) => Some(preset),
        Err(wrong) => {
            for problem in wrong {
                problems.add(node.place_of(&problem.path), problem.text);
            }
            None
        }
    }
}
