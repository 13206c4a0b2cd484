//! What the program says of itself is what is shipped, and what its configuration takes.
//! `BLESS=1 cargo test --test manual` writes the shipped files anew.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "reads files, runs programs"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tokend::reference::{SECRET, TABLES};

const PAGES: [&str; 3] = ["tokend.1", "tokend.toml.5", "tokend-presets.7"];

fn tokend(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tokend")).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn said(arguments: &[&str]) -> String {
    String::from_utf8(tokend(arguments).stdout).unwrap()
}

/// The file `path` as shipped is `wanted`.
#[track_caller]
fn assert_shipped(path: &str, wanted: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
        fs::write(path, wanted).unwrap();
    }
    let same = fs::read_to_string(path).is_ok_and(|shipped| shipped == wanted);
    assert!(same, "{path} is not what the program says: BLESS=1 cargo test --test manual");
}

fn is_at_hand(program: &str, argument: &str) -> bool {
    let ran = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let found = ran.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: there is no {program}");
    }
    found
}

/// The configurations that must be taken.
fn good() -> Vec<PathBuf> {
    let below = |directory: &str| {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect::<Vec<_>>()
    };
    let mut files = below("packaging/examples");
    files.extend(below("packaging/examples/templates"));
    files
}

/// The shipped configuration with every key set.
fn uncommented() -> String {
    let text = fs::read_to_string("packaging/tokend.toml").unwrap();
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => key.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_manual_is_what_the_program_writes() {
    let directory = tempfile::tempdir().unwrap();
    tokend(&["man", directory.path().to_str().unwrap()]);
    for page in PAGES {
        let written = fs::read_to_string(directory.path().join(page)).unwrap();
        assert_shipped(&format!("packaging/man/{page}"), &written);
    }
}

#[test]
fn the_shipped_schema_is_what_the_program_prints() {
    assert_shipped("packaging/tokend.schema.json", &said(&["schema"]));
}

#[test]
fn the_manual_is_clean() {
    let (lint, man) = (Path::new("/usr/bin/mandoc").exists(), is_at_hand("groff", "-v"));
    for page in PAGES {
        let path = format!("packaging/man/{page}");
        if lint {
            let output = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let wrong: Vec<&str> = said.lines().filter(|line| !line.contains("missing date")).collect();
            assert!(wrong.is_empty(), "{path}: {wrong:?}");
        }
        if man {
            let output = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path).output().unwrap();
            assert!(output.stderr.is_empty(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_command_is_in_the_manual() {
    let page = fs::read_to_string("packaging/man/tokend.1").unwrap();
    let help = said(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let mut found = 0;
    for name in names.into_iter().filter(|name| !name.is_empty() && *name != "help") {
        assert!(page.contains(&format!(".SS \"tokend {name}")), "{name}");
        found += 1;
    }
    assert!(found > 10, "{help}");
}

#[test]
fn shells_can_read_the_completions() {
    for (shell, arguments) in [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")] {
        let script = said(&["completions", shell]);
        assert!(script.contains("tokend"), "{shell}");
        if !is_at_hand(shell, "--version") {
            continue;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), script).unwrap();
        let output = Command::new(shell).arg(arguments).arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for shell in ["elvish", "powershell"] {
        assert!(said(&["completions", shell]).contains("tokend"), "{shell}");
    }
}

#[test]
fn the_shipped_configuration_sets_nothing_and_is_right_when_all_its_keys_are_set() {
    let shipped: toml::Table = fs::read_to_string("packaging/tokend.toml").unwrap().parse().unwrap();
    assert!(shipped.is_empty());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), uncommented()).unwrap();
    said(&["check", "--config", file.path().to_str().unwrap()]);
}

#[test]
fn the_shipped_configuration_shows_every_key() {
    let text = uncommented();
    let shows = |key: &str| {
        text.match_indices(key).any(|(at, _)| {
            let before = text[..at].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
            before && text[at + key.len()..].trim_start_matches(' ').starts_with('=')
        })
    };
    let described = TABLES.iter().filter(|(header, _)| *header != "presets");
    for table in described.flat_map(|(_, table)| table.with_inner()).chain([&SECRET]) {
        for key in table.keys {
            let header = format!(".{}]]", key.name);
            assert!(
                shows(key.name) || text.contains(&header),
                "packaging/tokend.toml lacks {} of {}",
                key.name,
                table.name
            );
        }
    }
}

/// Holds configurations against the schema: prints `FILE: message` for each that does not fit.
const VALIDATOR: &str = r#"
import json, sys, tomllib
from jsonschema import Draft7Validator
schema = json.load(open(sys.argv[1]))
Draft7Validator.check_schema(schema)
for path in sys.argv[2:]:
    errors = list(Draft7Validator(schema).iter_errors(tomllib.load(open(path, "rb"))))
    for error in errors[:1]:
        print(f"{path}: {list(error.absolute_path)} {error.message[:300]}")
"#;

fn validator() -> Option<String> {
    let candidates = ["target/tools/bin/python", "python3"];
    let knows = |python: &&str| {
        let ran = Command::new(python).args(["-c", "import jsonschema, tomllib"]).output();
        ran.is_ok_and(|output| output.status.success())
    };
    let found = candidates.into_iter().find(knows).map(str::to_owned);
    if found.is_none() {
        println!("skipped: there is no Python with jsonschema (pip install jsonschema)");
    }
    found
}

#[test]
fn the_schema_takes_every_good_configuration_and_refuses_wrong_ones() {
    let Some(python) = validator() else { return };
    let directory = tempfile::tempdir().unwrap();
    let validate = |files: &[PathBuf]| {
        let schema = directory.path().join("schema.json");
        fs::write(&schema, said(&["schema"])).unwrap();
        let output = Command::new(&python).args(["-c", VALIDATOR]).arg(schema).args(files).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let all = directory.path().join("all.toml");
    fs::write(&all, uncommented()).unwrap();
    let mut files = good();
    files.push(all);
    let demo = directory.path().join("demo.toml");
    let text = fs::read_to_string("src/demo/configuration.toml").unwrap();
    fs::write(&demo, text.replace("@DIR@", "/demo").replace("@CORE_BANKING_URL@", "https://core.example")).unwrap();
    files.push(demo);
    assert_eq!(validate(&files), "");
    let wrong = [
        "[daemon]\nsocket_mod = '0666'",
        "[log]\nformat = 'xml'",
        "[providers.a]\npreset = 'vipps'\nregion = 'eu1'",
        "[providers.a]\npreset = 'oauth2'\ntimeout = 10",
        "[providers.a]\npreset = 'oauth2'\nclient_secret = { path = '/a' }",
        "[tokens.a]\nsinks = [{ file = 'relative' }]",
        "[tokens.'-a']\nprovider = 'a'",
        "[tokens.a]\nrefresh = { lead = '1 hour' }",
        "[presets.a.request]\nurls = 'https://a.example'",
        "[other]\n",
    ];
    for (number, text) in wrong.iter().enumerate() {
        let file = directory.path().join(format!("{number}.toml"));
        fs::write(&file, text).unwrap();
        assert_ne!(validate(&[file]), "", "{text}");
    }
}

#[test]
fn the_worked_example_of_a_preset_is_right() {
    let page = fs::read_to_string("packaging/man/tokend-presets.7").unwrap();
    let (_, example) = page.split_once(".nf\n").unwrap();
    let (example, _) = example.split_once(".fi\n").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), example.replace("\\-", "-").replace("\\e", "\\")).unwrap();
    said(&["check", "--config", file.path().to_str().unwrap()]);
}
