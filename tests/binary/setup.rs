//! What every test starts from: a directory with a configuration, stand-ins, and the daemon.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokend::demo::standin::{Client, Standin, StandinConfig, Target, Vendor};
use tokend::status::{SlotStatus, Status};

/// Far longer than anything here takes; reached only when it never comes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than any test runs: nothing is renewed by itself.
pub const HOUR: Duration = Duration::from_hours(1);
/// Where what the daemon says goes.
pub const LOG: &str = "log/tokend";

/// Waits until `look` finds something, and gives it back.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// An address on loopback that nobody listens on now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Says why something is not checked; that is a failure where everything must be.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "not checked: {why}");
    println!("skipped: {why}");
}

/// Waits until `holds`.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// A directory of its own for configuration, secrets, state, socket and tokens, and stand-ins.
pub struct Setup {
    pub standin: Standin,
    dir: TempDir,
}

impl Setup {
    /// Access tokens live for an hour.
    pub fn new() -> Self {
        Self::with_lifetime(HOUR)
    }

    pub fn with_lifetime(lifetime: Duration) -> Self {
        let standin = Standin::start_on_thread(StandinConfig { lifetime, ..StandinConfig::default() }).unwrap();
        let setup = Self { standin, dir: tempfile::tempdir().unwrap() };
        fs::create_dir(setup.path("secrets")).unwrap();
        fs::create_dir(setup.path("tokens")).unwrap();
        // Not beside the configuration, where each line would be looked at by the watch.
        fs::create_dir(setup.path("log")).unwrap();
        setup
    }

    /// One token `NAME` of a plain OAuth 2 provider `NAME` in the file `tokens/NAME`, for each name.
    pub fn with_tokens(names: &[&str]) -> Self {
        let setup = Self::new();
        let parts: Vec<String> =
            names.iter().map(|name| setup.oauth2(name, "") + &setup.token(name, name, "")).collect();
        setup.configure(&parts);
        setup
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `name` holds, if it is there.
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// Writes a file that only we can read.
    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes the configuration: where things are, then `parts`. `@DIR@` and `@BASE@` stand for
    /// the directory and the stand-ins.
    pub fn configure(&self, parts: &[String]) {
        self.write("tokend.toml", &self.configuration(parts));
    }

    /// The configuration that [`Self::configure`] writes.
    pub fn configuration(&self, parts: &[String]) -> String {
        let head = "[daemon]\nstate_dir = \"@DIR@/state\"\nsocket = \"@DIR@/tokend.sock\"\n\n";
        self.filled(&format!("{head}{}", parts.concat()))
    }

    pub fn write_config(&self, text: &str) {
        self.write("tokend.toml", &self.filled(text));
    }

    fn filled(&self, text: &str) -> String {
        text.replace("@DIR@", &self.dir().display().to_string()).replace("@BASE@", self.standin.base())
    }

    /// A provider `name` whose client of the same name the plain OAuth 2 server knows.
    pub fn oauth2(&self, name: &str, keys: &str) -> String {
        self.register(Client::new(Vendor::OAuth2, name, &secret_of(name)));
        let url = self.standin.url(Vendor::OAuth2);
        format!(
            "[providers.{name}]\npreset = \"oauth2\"\nclient_id = \"{name}\"\ntoken_url = \"{url}\"\n\
             client_secret = {{ file = \"@DIR@/secrets/{name}\" }}\n{keys}\n"
        )
    }

    /// A provider `name` whose client of the same name Open Payments knows.
    pub fn open_payments(&self, name: &str, keys: &str) -> String {
        self.register(Client::new(Vendor::OpenPayments, name, &secret_of(name)));
        let url = self.standin.url(Vendor::OpenPayments);
        format!(
            "[providers.{name}]\npreset = \"open-payments\"\nclient_id = \"{name}\"\ntoken_url = \"{url}\"\n\
             client_secret = {{ file = \"@DIR@/secrets/{name}\" }}\n{keys}\n"
        )
    }

    /// A token in the file `tokens/NAME`.
    pub fn token(&self, name: &str, provider: &str, keys: &str) -> String {
        let sinks = format!("sinks = [{{ file = \"{}\" }}]", self.path("tokens").join(name).display());
        format!("[tokens.{name}]\nprovider = \"{provider}\"\n{sinks}\n{keys}\n")
    }

    /// Makes the stand-ins know `client`, and its secret file hold its secret.
    pub fn register(&self, client: Client) {
        self.write(&format!("secrets/{}", client.id), &client.secret);
        self.standin.register(client);
    }

    /// Runs `tokend` with these arguments to its end. `--config` or `--socket` is added where the
    /// command takes it.
    pub fn tokend(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `tokend` with these arguments in an empty environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokend"));
        command.args(arguments).env_clear().current_dir(self.dir());
        match arguments.first() {
            Some(&("run" | "check" | "plan" | "fetch")) => command.arg("--config").arg(self.path("tokend.toml")),
            Some(&("status" | "get" | "refresh" | "pause" | "resume" | "reload")) => {
                command.arg("--socket").arg(self.path("tokend.sock"))
            }
            _ => &mut command,
        };
        command
    }

    /// Starts the daemon and waits until it answers on its socket.
    pub fn run(&self) -> Daemon<'_> {
        self.run_with(&[])
    }

    /// The same with these variables.
    pub fn run_with(&self, environment: &[(&str, &str)]) -> Daemon<'_> {
        let mut command = self.command(&["run"]);
        command.envs(environment.iter().copied());
        self.run_command(command)
    }

    /// The same with a command that becomes the daemon.
    pub fn run_command(&self, command: Command) -> Daemon<'_> {
        let mut daemon = self.spawn(command);
        daemon.wait_socket();
        daemon
    }

    /// Starts the daemon by `command`, without waiting; what it says goes into the log.
    pub fn spawn(&self, mut command: Command) -> Daemon<'_> {
        let log = OpenOptions::new().create(true).append(true).open(self.path(LOG)).unwrap();
        let out = File::create(self.path("out")).unwrap();
        command.stdin(Stdio::null()).stdout(out).stderr(log);
        Daemon { setup: self, child: command.spawn().unwrap() }
    }

    /// Starts the daemon and waits until all required tokens are delivered.
    pub fn run_ready(&self) -> Daemon<'_> {
        let daemon = self.run();
        daemon.wait_ready();
        daemon
    }

    /// All that daemons said so far.
    pub fn log(&self) -> String {
        self.read(LOG).unwrap_or_default()
    }

    /// How many access tokens the vendor issued.
    pub fn issued(&self, target: impl Into<Target>) -> u64 {
        self.standin.journal().tally(target).issued
    }
}

/// The secret of the client `id`.
pub fn secret_of(id: &str) -> String {
    format!("secret+of/{id}=&%25: 0123456789abcdef")
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Ends the test unless the exit code is `code` and standard error holds all of `words`.
    #[track_caller]
    pub fn must_fail(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in {self:?}");
        }
    }

    /// Ends the test unless the exit code is 0; gives standard output.
    #[track_caller]
    pub fn out(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.out()).unwrap()
    }
}

/// The daemon, killed when it is dropped.
pub struct Daemon<'s> {
    setup: &'s Setup,
    pub child: Child,
}

impl Daemon<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `GET path` on the socket.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    pub fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, "Content-Length: 0\r\n")
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = self.send(method, path, headers);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer::parse(&answer)
    }

    /// Sends a request whose answer nobody waits for.
    pub fn send(&self, method: &str, path: &str, headers: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.setup.path("tokend.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
        stream
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        serde_json::from_str(&self.get("/v1/status").body).unwrap()
    }

    /// How things stand with the slot of the token `name`.
    pub fn slot(&self, name: &str) -> SlotStatus {
        let slots = self.status().slots;
        slots.into_iter().find(|slot| slot.tokens.iter().any(|token| token.name == name)).unwrap()
    }

    /// Waits until it answers on its socket.
    pub fn wait_socket(&mut self) {
        wait_until("the daemon answers", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", self.setup.log());
            }
            UnixStream::connect(self.setup.path("tokend.sock")).is_ok()
        });
    }

    pub fn wait_ready(&self) {
        wait_until("every required token is delivered", || self.get("/readyz").status == 200);
    }

    /// Waits until the last request for `name` has failed, and says why.
    pub fn wait_failing(&self, name: &str) -> tokend::status::LastError {
        wait_for("the request fails", || self.slot(name).last_error)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub fn wait_end(mut self) -> ExitStatus {
        wait_for("the daemon ends", || self.child.try_wait().unwrap())
    }

    /// Stops it as the service manager does.
    pub fn stop(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the daemon said:\n{}", self.setup.log());
        }
    }
}

/// An answer of the socket.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The whole answer to `GET path` over TCP.
    pub fn over_tcp(address: SocketAddr, path: &str, headers: &str) -> std::io::Result<Self> {
        Self::of_method(address, "GET", path, headers)
    }

    /// The same with another method.
    pub fn of_method(address: SocketAddr, method: &str, path: &str, headers: &str) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(Self::parse(&answer))
    }

    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of the header `name`, which is written in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| *n == name)).map(|(_, value)| value)
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What a problem says.
    #[track_caller]
    pub fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}
