//! `tokend(1)`: the command line, as clap describes it, and what surrounds it.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;
use crate::cli::manual::roff::Page;

const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "It is done, or well."),
    ("64", "Usage, or a token that is not in the configuration."),
    ("69", "The daemon does not answer on its socket: is it running?"),
    ("70", "A bug; please report it."),
    ("73", "A file cannot be made, or another daemon holds the state (its pid is named)."),
    ("75", "No valid token now; try again later. tokend status says what is the matter."),
    ("77", "Not allowed: be root, the daemon's user, or one of daemon.admins."),
    ("78", "The configuration is wrong; every problem is named with its place."),
];

const FILES: [(&str, &str); 6] = [
    ("/etc/tokend/tokend.toml", "The configuration; see tokend.toml(5)."),
    ("/etc/tokend/conf.d/*.toml", "More of it: tables merge by name; one key in two files is an error."),
    ("/run/tokend/tokend.sock", "The socket of the service."),
    ("/run/tokend/credentials.sock", "Where units get their token as a credential: LoadCredential=NAME:and this path."),
    ("/run/tokend/tokens/", "Where files with tokens usually are."),
    ("/var/lib/tokend/", "The state of the service, sealed. Without it every restart asks for new tokens."),
];

const ENVIRONMENT: [(&str, &str); 8] = [
    (
        "TOKEND_SECTION__KEY",
        "Sets a key: TOKEND_LOG__LEVEL=debug is level under [log]. Reaches [daemon], [log], and providers whose names \
         are of a-z, 0-9 and _ (TOKEND_PROVIDERS__BANK__CLIENT_ID).",
    ),
    ("STATE_DIRECTORY, XDG_STATE_HOME", "Where the state lives unless the configuration says so."),
    ("RUNTIME_DIRECTORY, XDG_RUNTIME_DIR", "Where the socket is unless the configuration says so."),
    ("CREDENTIALS_DIRECTORY", "Where systemd puts credentials."),
    (
        "LISTEN_FDS, LISTEN_FDNAMES",
        "Sockets that systemd passes. The one called credentials or tokend-credentials.socket serves \
         LoadCredential=NAME:/run/tokend/credentials.sock of units that readers name; the one called tokend.socket, or \
         the only other one, is the socket.",
    ),
    ("NOTIFY_SOCKET", "Where READY=1 and STATUS= go."),
    ("HTTPS_PROXY, NO_PROXY", "Honoured by providers with proxy = \"environment\" alone."),
    ("NO_COLOR", "No colours, also on a terminal."),
];

const SIGNALS: [(&str, &str); 3] = [
    ("SIGHUP", "Reads the configuration again, as tokend reload does; what came of it is logged."),
    ("SIGTERM, SIGINT", "Stops: requests under way may come home. A second one ends at once."),
    ("SIGUSR1", "Logs the status."),
];

pub(crate) fn page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut page = Page::new("tokend", 1, "keeps API access tokens fresh and hands them to other programs");
    page.section("Synopsis");
    page.text("tokend COMMAND [OPTIONS]");
    page.section("Description");
    page.text(
        "tokend asks for every configured access token ahead of its expiry, keeps it over restarts, and publishes the \
         current one as a file and over a Unix socket. Where a vendor wants one active access token per PSU context, \
         all that need it share one.",
    );
    page.section("Commands");
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        subcommand(&mut page, command);
    }
    for (title, lines) in [
        ("Exit status", &EXIT_CODES[..]),
        ("Files", &FILES[..]),
        ("Environment", &ENVIRONMENT[..]),
        ("Signals", &SIGNALS[..]),
    ] {
        page.section(title);
        for (tag, text) in lines {
            page.tagged(tag, text);
        }
    }
    page.section("See also");
    page.text("tokend.toml(5), tokend-presets(7), systemd.exec(5)");
    page.finish()
}

fn subcommand(page: &mut Page, command: &Command) {
    let usage = command.clone().render_usage().to_string();
    page.subsection(usage.trim_start_matches("Usage: "));
    page.text(&sentence(&command.get_about().map(ToString::to_string).unwrap_or_default()));
    for argument in command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
    {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        page.tagged(&tag(argument), &format!("{}{}", sentence(&help), values(argument)));
    }
}

fn tag(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

fn values(argument: &Arg) -> String {
    let words = |words: Vec<String>| words.join(", ");
    let mut text = String::new();
    let possible = argument.get_possible_values();
    if argument.get_action().takes_values() && !possible.is_empty() {
        let shown = possible.iter().map(|value| value.get_name().to_owned()).collect();
        let _ = write!(text, " One of {}.", words(shown));
    }
    let defaults = argument.get_default_values();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let shown = defaults.iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let _ = write!(text, " Default: {}.", words(shown));
    }
    text
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}
