//! `tokend man`, `tokend schema`, `tokend completions`: what the program says of itself, for `man`,
//! editors and shells. Made from the command line's own description, from the reference of the
//! configuration and from the presets, so that nothing is said twice.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::display::{print, print_json};
use crate::fatal::{CANNOT_CREATE, Fatal};
use crate::reference::schema;

mod command;
mod file;
mod presets;
mod roff;

/// Writes the manual pages into `directory`, which is made if it is not there.
#[expect(clippy::disallowed_methods, reason = "writes what it was asked to write")]
pub(crate) fn man(directory: &Path) -> Result<u8, Fatal> {
    let failed = |path: &Path, why: &std::io::Error| {
        Fatal::new(CANNOT_CREATE, format!("cannot write {}: {why}", path.display()))
    };
    std::fs::create_dir_all(directory).map_err(|why| failed(directory, &why))?;
    let pages = [("tokend.1", command::page()), ("tokend.toml.5", file::page()), ("tokend-presets.7", presets::page())];
    for (name, text) in pages {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|why| failed(&path, &why))?;
    }
    Ok(0)
}

pub(crate) fn schema() -> Result<u8, Fatal> {
    print_json(&schema::schema())?;
    Ok(0)
}

pub(crate) fn completions(shell: Shell) -> Result<u8, Fatal> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tokend", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
