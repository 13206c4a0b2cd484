//! The two forms in which Prometheus reads metrics: `OpenMetrics` 1.0, and the older text
//! that `curl` shows and most tools expect. They differ in what the `#` lines call counters and
//! infos, and in how they end.

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The one to answer a request with that has this `Accept`: `OpenMetrics` if it is named.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let takes_open_metrics = |kind: &str| {
            let mut parts = kind.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            let is_taken = |part: &str| match part.split_once('=') {
                Some(("version", version)) => version == "1.0.0",
                Some(("q" | "Q", quality)) => quality.parse().is_ok_and(|quality: f32| quality > 0.0),
                _ => true,
            };
            named && parts.all(is_taken)
        };
        if accept.split(',').any(takes_open_metrics) { Self::OpenMetrics } else { Self::Text }
    }

    /// What `Content-Type` says of it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// `text`, which is `OpenMetrics`, as the older text: the `#` lines give counters and infos the names
/// of their samples, and there is neither unit nor end.
#[must_use]
pub fn as_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = "";
    for line in text.split_inclusive('\n') {
        if line.starts_with("# HELP ") {
            // Its name depends on the type, which comes next.
            help = line;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.trim_end().split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            let words = help.strip_prefix("# HELP ").and_then(|rest| rest.strip_prefix(name)).unwrap_or("\n");
            for part in ["# HELP ", name, suffix, words, "# TYPE ", name, suffix, " ", kind, "\n"] {
                plain.push_str(part);
            }
        } else if !line.starts_with('#') {
            plain.push_str(line);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_open_metrics_gets_it_and_others_the_older_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
                          q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            (
                "text/plain, application/openmetrics-text; version=1.0.0; escaping=allow-utf-8;q=0.6",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0, text/plain", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(Format::wanted(accept), format, "{accept}");
        }
    }

    #[test]
    fn the_older_text_names_counters_and_infos_as_their_samples() {
        let open = "# HELP a_seconds A b.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n\
                    # HELP c C.\n# TYPE c counter\nc_total{x=\"# HELP\"} 2\n\
                    # HELP d D.\n# TYPE d info\nd_info{v=\"1\"} 1\n# EOF\n";
        let plain = "# HELP a_seconds A b.\n# TYPE a_seconds gauge\na_seconds 1\n\
                     # HELP c_total C.\n# TYPE c_total counter\nc_total{x=\"# HELP\"} 2\n\
                     # HELP d_info D.\n# TYPE d_info gauge\nd_info{v=\"1\"} 1\n";
        assert_eq!(as_text(open), plain);
    }
}
