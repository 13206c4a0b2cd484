//! The command line: what can be asked of the program, and the exit code that says what came of it.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::cli::asking::Wanted;
use crate::cli::exec::{Assignment, assignment};
use crate::cli::get::Format;
use crate::fatal::{Fatal, SOFTWARE, USAGE};
use crate::loading::DEFAULT_CONFIG;

mod asking;
mod check;
mod exec;
mod fetch;
mod get;
mod manual;
mod pause;
mod plan;
mod presets;
mod refresh;
mod reload;
mod run;
mod status;
mod watch;

/// Keeps API access tokens fresh and hands them to other programs.
#[derive(Debug, Parser)]
#[command(name = "tokend", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Run {
        #[command(flatten)]
        config: ConfigArgs,
        /// Bring every slot and sink up to date, then end: 0, or 75 naming what failed
        #[arg(long)]
        once: bool,
    },
    /// Read the configuration; print all problems, notes and a summary. Touches no network
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print the systemd drop-in that the configuration needs, and nothing else
        #[arg(long)]
        unit: bool,
    },
    /// Show which slots there are, who shares them, and when each would be refreshed
    Plan {
        #[command(flatten)]
        config: ConfigArgs,
        /// How far to look ahead
        #[arg(long = "for", value_name = "DURATION", default_value = "24h", value_parser = crate::time::parse_duration)]
        span: std::time::Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how things stand; exit 75 when a required token is missing, or due and failing
    Status {
        #[command(flatten)]
        socket: SocketArgs,
        /// Print JSON; with --watch a line every second
        #[arg(long)]
        json: bool,
        /// Draw it anew every second; q or Ctrl-C quits
        #[arg(long)]
        watch: bool,
    },
    /// Print a token
    Get {
        #[command(flatten)]
        socket: SocketArgs,
        #[command(flatten)]
        wanted: WantedArgs,
        /// The token's name in the configuration
        name: String,
        /// How to print it
        #[arg(long, value_enum, default_value_t = Format::Raw)]
        format: Format,
    },
    /// Become a command with tokens in its environment
    #[command(after_help = "The exit code is the command's, or 126 if it cannot be run and 127 if there is none.")]
    Exec {
        #[command(flatten)]
        socket: SocketArgs,
        #[command(flatten)]
        wanted: WantedArgs,
        /// The token's name, and the variable that gets it
        #[arg(required = true, value_name = "NAME=ENVVAR", value_parser = assignment)]
        tokens: Vec<Assignment>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Ask for a fresh access token before it is due
    Refresh {
        #[command(flatten)]
        socket: SocketArgs,
        /// The token's name in the configuration
        name: String,
    },
    /// Make no requests for the slot of a token until it is resumed, also over restarts
    Pause {
        #[command(flatten)]
        socket: SocketArgs,
        /// The token's name in the configuration
        name: String,
    },
    /// Make requests for the slot of a token again
    Resume {
        #[command(flatten)]
        socket: SocketArgs,
        /// The token's name in the configuration
        name: String,
    },
    /// Read the configuration again; exit 78 with its problems if it is not taken
    Reload {
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Ask the provider of a token once, without the daemon, and explain what came back; not while it is paused
    Fetch {
        #[command(flatten)]
        config: ConfigArgs,
        /// The token's name in the configuration
        name: String,
        /// Print the access token itself
        #[arg(long)]
        show_token: bool,
    },
    /// List the presets, or print one with its parameters
    Presets {
        /// The preset to print
        name: Option<String>,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print a script that completes the command line
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Where to; it is made if it is not there
        dir: PathBuf,
    },
    /// See everything at once with no set-up: vendors' stand-ins, the daemon, a live table
    Demo {
        /// Where to put its files; default: a scratch directory that is removed at the end
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration; `conf.d/*.toml` beside it belongs to it
    #[arg(long, value_name = "PATH", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct SocketArgs {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct WantedArgs {
    /// Only a token that lives at least so long will do
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::time::parse_duration)]
    min_valid: std::time::Duration,
    /// How long to wait for one, 5m at most
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::time::parse_duration)]
    wait: std::time::Duration,
}

impl From<WantedArgs> for Wanted {
    fn from(WantedArgs { min_valid, wait }: WantedArgs) -> Self {
        Self { min_valid, wait }
    }
}

impl SocketArgs {
    fn path(self) -> PathBuf {
        self.socket.unwrap_or_else(crate::places::default_socket)
    }
}

/// Does what the command line asks; returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    report_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked_for { 0 } else { USAGE });
        }
    };
    let done = dispatch(cli.command);
    // On a terminal the last lines of the log may still be on their way.
    crate::telemetry::finish();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(fatal) => {
            for line in &fatal.lines {
                complain(line);
            }
            ExitCode::from(fatal.code)
        }
    }
}

fn dispatch(command: Command) -> Result<u8, Fatal> {
    match command {
        Command::Run { config, once } => run::run(&config.config, once),
        Command::Check { config, unit: false } => check::check(&config.config),
        Command::Check { config, unit: true } => check::unit(&config.config),
        Command::Plan { config, span, json } => plan::plan(&config.config, span, json),
        Command::Status { socket, watch: true, json } => watch::watch(&socket.path(), json),
        Command::Status { socket, json, .. } => status::status(&socket.path(), json),
        Command::Get { socket, wanted, name, format } => get::get(&socket.path(), &name, wanted.into(), format),
        Command::Exec { socket, wanted, tokens, command } => {
            exec::exec(&socket.path(), &tokens, wanted.into(), &command)
        }
        Command::Refresh { socket, name } => refresh::refresh(&socket.path(), &name),
        Command::Pause { socket, name } => pause::pause(&socket.path(), &name),
        Command::Resume { socket, name } => pause::resume(&socket.path(), &name),
        Command::Reload { socket } => reload::reload(&socket.path()),
        Command::Fetch { config, name, show_token } => fetch::fetch(&config.config, &name, show_token),
        Command::Presets { name } => presets::presets(name.as_deref()),
        Command::Schema => manual::schema(),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::man(&dir),
        Command::Demo { dir } => crate::demo::demo(dir),
    }
}

/// Says `line` on stderr; where nobody hears it, that is no reason to end otherwise.
pub(crate) fn complain(line: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A panic is a bug: it ends the program with 70 and says where, not what (it may quote a secret).
#[expect(clippy::disallowed_methods, reason = "a thread's panic must end the process, not the thread")]
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        complain(&format_args!("tokend: a bug{place}; please report it"));
        std::process::exit(i32::from(SOFTWARE));
    }));
}
