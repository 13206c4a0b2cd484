//! Holds what is said of the configuration to what is read.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::accepted_keys;
use crate::preset::Preset;
use crate::reference::{Kind, SECRET, TABLES, Table};

fn tables() -> Vec<&'static Table> {
    TABLES.iter().flat_map(|(_, table)| table.with_inner()).chain([&SECRET]).collect()
}

/// The preset language has words of its own, and a test of its own.
fn of_presets(table: &Table) -> bool {
    crate::reference::PRESET.with_inner().iter().any(|inner| inner.name == table.name && inner.about == table.about)
}

#[test]
fn every_key_that_the_configuration_takes_is_described_and_no_other() {
    let described: BTreeMap<&str, BTreeSet<&str>> = tables()
        .into_iter()
        .filter(|table| !of_presets(table))
        .map(|table| (table.name, table.keys.iter().map(|key| key.name).collect()))
        .collect();
    for (table, accepted) in accepted_keys() {
        let Some(described) = described.get(table) else {
            panic!("the table {table} is not described: add it in src/reference/");
        };
        let accepted = accepted.into_iter().collect();
        let missing: Vec<_> = BTreeSet::difference(&accepted, described).collect();
        assert!(missing.is_empty(), "{table} takes {missing:?}, which src/reference/ does not describe: add them");
        let gone: Vec<_> = described.difference(&accepted).collect();
        assert!(gone.is_empty(), "src/reference/ describes {gone:?}, which {table} does not take: remove them");
    }
}

/// What the reader of `place` in a preset takes, by the message about a key that it does not know.
fn taken_by_language(place: &[&str], in_list: bool) -> BTreeSet<String> {
    let mut table: toml::Table = "unknown_for_a_test = 1".parse().unwrap();
    for (index, step) in place.iter().rev().enumerate() {
        let value = toml::Value::Table(table);
        let value = if in_list && index == 0 { toml::Value::Array(vec![value]) } else { value };
        table = toml::Table::from_iter([((*step).to_owned(), value)]);
    }
    if !place.contains(&"request") {
        table.insert("request".into(), toml::Value::Table("url = 'https://a.example'".parse().unwrap()));
    }
    let problems = Preset::from_table("mine", &table).unwrap_err();
    let told = problems.iter().map(|problem| problem.text.clone()).find(|text| text.contains("unknown_for_a_test"));
    let told = told.unwrap_or_else(|| panic!("{place:?}: {problems:?}"));
    let (_, expected) = told.split_once("expected").unwrap_or_else(|| panic!("{told}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_preset_language_is_described_as_it_is_read() {
    let lists = ["a field", "a condition", "errors"];
    let places: [(&str, &[&str]); 10] = [
        ("parameters.NAME", &["parameters", "one"]),
        ("context", &["context"]),
        ("request", &["request"]),
        ("a field", &["request", "form"]),
        ("a condition", &["answer", "success"]),
        ("answer", &["answer"]),
        ("error", &["error"]),
        ("errors", &["errors"]),
        ("refresh.budget", &["refresh", "budget"]),
        ("refresh", &["refresh"]),
    ];
    let language = crate::reference::PRESET.with_inner();
    for (name, place) in places {
        let table = language.iter().find(|table| table.name == name).unwrap();
        let described: BTreeSet<String> = table.keys.iter().map(|key| key.name.to_owned()).collect();
        assert_eq!(described, taken_by_language(place, lists.contains(&name)), "{name}");
    }
}

#[test]
fn examples_and_defaults_are_toml_and_sentences_end() {
    for table in tables() {
        assert!(table.about.ends_with('.'), "{}", table.name);
        for key in table.keys {
            let place = format!("{}: {}", table.name, key.name);
            assert!(key.about.ends_with('.'), "{place}: a sentence ends with a full stop");
            assert!(!key.about.contains("  "), "{place}");
            if !key.example.is_empty() {
                let example: Result<toml::Table, _> = format!("{} = {}", key.name, key.example).parse();
                assert!(example.is_ok(), "{place}: {}", key.example);
            }
            if let Kind::Choice(words) = key.kind {
                let known = |text: &str| !text.starts_with('"') || words.iter().any(|word| text.contains(word));
                assert!(known(key.default) && known(key.example), "{place}");
            }
        }
    }
}
