//! A manual page as `man` reads it.

use std::fmt::Write as _;

/// Longer lines of the source are broken between words.
const WIDTH: usize = 78;

/// A page that grows from its head.
pub(crate) struct Page(String);

impl Page {
    /// The page `name(section)`, which is about `about`.
    pub(crate) fn new(name: &str, section: u8, about: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let mut page = Self(String::from(".\\\" Written by `tokend man`.\n"));
        let _ =
            writeln!(page.0, ".TH {} {section} \"\" \"tokend {version}\" \"tokend\"", escaped(&name.to_uppercase()));
        // Long paths and keys: neither stretched nor broken.
        page.0.push_str(".nh\n.ad l\n");
        page.section("Name");
        let _ = writeln!(page.0, "{} \\- {}", escaped(name), escaped(about));
        page
    }

    pub(crate) fn section(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SH {}", quoted(&title.to_uppercase()));
    }

    pub(crate) fn subsection(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SS {}", quoted(title));
    }

    /// A paragraph.
    pub(crate) fn text(&mut self, text: &str) {
        self.begin_paragraph();
        self.lines(text);
    }

    /// `tag` and what is said of it.
    pub(crate) fn tagged(&mut self, tag: &str, text: &str) {
        let _ = writeln!(self.0, ".TP\n.B {}", quoted(tag));
        self.lines(text);
    }

    /// A second paragraph about a tag.
    pub(crate) fn more(&mut self, text: &str) {
        self.0.push_str(".IP\n");
        self.lines(text);
    }

    /// Lines that stay as they are.
    pub(crate) fn code(&mut self, text: &str) {
        self.begin_paragraph();
        self.0.push_str(".RS 4\n.nf\n");
        for line in text.trim_matches('\n').lines() {
            let _ = writeln!(self.0, "{}", guarded(&escaped(line)));
        }
        self.0.push_str(".fi\n.RE\n");
    }

    /// A heading begins one by itself.
    fn begin_paragraph(&mut self) {
        let last = self.0.lines().next_back().unwrap_or_default();
        if !last.starts_with(".SH") && !last.starts_with(".SS") {
            self.0.push_str(".PP\n");
        }
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn lines(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.len() + word.len() >= WIDTH {
                let _ = writeln!(self.0, "{}", guarded(&escaped(&line)));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let _ = writeln!(self.0, "{}", guarded(&escaped(&line)));
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    // A long address may be broken after a slash.
    let word = |word: &str| if word.starts_with("https://") { word.replace('/', "/\\:") } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The argument of a macro, also with spaces in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('"', "\\(dq"))
}

/// A line that begins like a request is none.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}
