//! Reads the template of a token's file. What cannot be read is said in words, with the place.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// More is no template, in bytes.
const LONGEST: u64 = 64 << 10;

/// The text of the template at `path`.
///
/// Errors: why there is none, with the path.
pub fn read(path: &Path) -> Result<String, String> {
    let told = |why: &dyn std::fmt::Display| format!("template_file {}: {why}", path.display());
    // A FIFO would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| told(&error))?;
    let is_file = file.metadata().map_err(|error| told(&error))?.is_file();
    if !is_file {
        return Err(told(&"it is not a regular file"));
    }
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| told(&error))?;
    if length as u64 > LONGEST {
        return Err(told(&"it is longer than 64 KiB"));
    }
    Ok(text)
}
