//! `tokend get`: prints a token that the daemon holds.

use std::io::IsTerminal;
use std::path::Path;

use clap::ValueEnum;

use crate::cli::asking::{ask, target_of};
use crate::display::print;
use crate::document::Document;
use crate::fatal::Fatal;
use crate::settings::FileFormat;

/// How to print a token: as a file would hold it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// The access token, no newline when piped
    Raw,
    /// `Authorization: Bearer TOKEN`
    Header,
    /// One JSON object
    Json,
    /// Lines for a shell
    Env,
}

pub(crate) fn get(socket: &Path, name: &str, format: Format) -> Result<u8, Fatal> {
    let document: Document = ask(socket, &target_of(name)?)?;
    let format = match format {
        Format::Raw => FileFormat::Raw,
        Format::Header => FileFormat::Header,
        Format::Json => FileFormat::Json,
        Format::Env => FileFormat::Env,
    };
    let mut content = String::from_utf8_lossy(&document.render(format, "Bearer")).into_owned();
    if !content.ends_with('\n') && std::io::stdout().is_terminal() {
        content.push('\n');
    }
    print(&content)?;
    Ok(0)
}
