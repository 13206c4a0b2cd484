//! Which of the forms of a token a request asks for: `Accept` as RFC 9110 section 12.5.1 has it.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};

use crate::settings::FileFormat;

/// What is offered; the first is served where nothing else is asked for.
const OFFERED: [FileFormat; 3] = [FileFormat::Json, FileFormat::Raw, FileFormat::Header];

/// A media range: how exactly it names something, and how much that is wanted.
struct Range {
    kind: String,
    is_header: bool,
    quality: f32,
}

/// The form to serve: the one that is wanted most, then the one that is named most exactly, then the one
/// that is named first. JSON where none is wanted.
pub(crate) fn wanted_format(headers: &HeaderMap) -> FileFormat {
    let mut lines = headers.get_all(ACCEPT).iter();
    match (lines.next().map(HeaderValue::as_bytes), lines.next()) {
        // What nearly everybody says.
        (None | Some(b"*/*" | b"application/json"), None) => return FileFormat::Json,
        (Some(b"text/plain"), None) => return FileFormat::Raw,
        _ => {}
    }
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let ranges: Vec<Range> = lines.flat_map(|line| line.split(',')).map(Range::parse).collect();
    let mut best = (FileFormat::Json, (0.0, 0, 0));
    for format in OFFERED {
        // Of those that name it the most exact one says how much it is wanted.
        let named = ranges.iter().rev().enumerate().map(|(later, range)| (range.names(format), later, range.quality));
        let Some((exact, later, quality)) =
            named.filter(|(exact, ..)| *exact > 0).max_by_key(|named| (named.0, named.1))
        else {
            continue;
        };
        if quality > 0.0 && (quality, exact, later) > best.1 {
            best = (format, (quality, exact, later));
        }
    }
    best.0
}

impl Range {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        let (mut is_header, mut quality) = (false, 1.0);
        for part in parts {
            is_header |= part == "format=header";
            if let Some(value) = part.strip_prefix("q=") {
                quality = value.parse().ok().filter(|value| (0.0..=1.0).contains(value)).unwrap_or(0.0);
            }
        }
        Self { kind, is_header, quality }
    }

    /// How exactly it names `format`; 0: not at all.
    fn names(&self, format: FileFormat) -> u8 {
        match (format, self.kind.as_str()) {
            (FileFormat::Header, "text/plain") if self.is_header => 4,
            (FileFormat::Header, _) => 0,
            (FileFormat::Raw, "text/plain") if !self.is_header => 3,
            (FileFormat::Json, "application/json") => 3,
            (FileFormat::Raw, "text/*") | (FileFormat::Json, "application/*") => 2,
            (_, "*/*") => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_most_is_served_and_json_if_nothing_is() {
        for (accept, format) in [
            (&[][..], FileFormat::Json),
            (&["*/*"], FileFormat::Json),
            (&["text/html, text/plain;q=0.5"], FileFormat::Raw),
            (&["application/json, text/plain"], FileFormat::Json),
            (&["text/plain, application/json"], FileFormat::Raw),
            (&["Text/Plain"], FileFormat::Raw),
            (&["text/*"], FileFormat::Raw),
            (&["text/plain, */*"], FileFormat::Raw),
            (&["*/*, text/plain;q=0.9"], FileFormat::Json),
            (&["application/json;q=0.1, text/plain"], FileFormat::Raw),
            (&["application/json;q=0.5,text/plain;q=0.9"], FileFormat::Raw),
            (&["text/plain;q=0, application/json"], FileFormat::Json),
            (&["text/plain;q=0, */*"], FileFormat::Json),
            (&["application/json;q=0, */*"], FileFormat::Raw),
            (&["text/plain;q=0"], FileFormat::Json),
            (&["text/plain;q=much"], FileFormat::Json),
            (&["application/xml", "text/plain"], FileFormat::Raw),
            (&["text/plain; format=header"], FileFormat::Header),
            (&["text/plain;Format=Header;q=0.5"], FileFormat::Header),
            (&["text/plain; charset=utf-8; format=header, application/json;q=0.9"], FileFormat::Header),
            (&["text/plain; format=env"], FileFormat::Raw),
            (&["image/png"], FileFormat::Json),
        ] {
            let mut headers = HeaderMap::new();
            for line in accept {
                headers.append(ACCEPT, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(wanted_format(&headers), format, "{accept:?}");
        }
    }
}
