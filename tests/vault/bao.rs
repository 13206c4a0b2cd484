//! An `OpenBao` server of a test's own, and its own client to look at what it holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::setup::{free_address, wait_for, wait_until};

/// The token of the operator of a server in development mode.
pub const ROOT: &str = "root-token-of-the-test";

/// A server; it is killed when it is dropped.
pub struct Bao {
    program: PathBuf,
    port: u16,
    tls_port: u16,
    process: Child,
    home: TempDir,
    operator: Operator,
}

/// What a server notes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audit {
    EveryRequest,
    Nothing,
}

/// What an operator has to know.
enum Operator {
    /// Nothing: the server is in development mode, and loses all when it ends.
    Develops,
    /// The server keeps what it has on disk, and is sealed when it begins.
    Unseals { key: String, root: String },
}

impl Bao {
    /// A server with a KV v2 engine at `secret/`, or `None` after saying why there is none.
    pub fn or_skip() -> Option<Self> {
        Self::program_or_skip().map(|program| Self::start(program, Audit::EveryRequest))
    }

    /// The same on a server that notes nothing, to measure it.
    pub fn quick_or_skip() -> Option<Self> {
        Self::program_or_skip().map(|program| Self::start(program, Audit::Nothing))
    }

    /// The same on a server that keeps what it has over a restart.
    pub fn lasting_or_skip() -> Option<Self> {
        Self::program_or_skip().map(Self::start_lasting)
    }

    fn program_or_skip() -> Option<PathBuf> {
        static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match PROGRAM.get_or_init(install) {
            Ok(program) => Some(program.clone()),
            Err(why) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{why}"),
            Err(why) => {
                println!("skipped: {why}");
                None
            }
        }
    }

    fn start(program: PathBuf, audit: Audit) -> Self {
        let [port, tls_port] = [(); 2].map(|()| free_address().port());
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("server.hcl"), Self::configuration(home.path(), tls_port, audit)).unwrap();
        let process = Self::spawn(&program, port, home.path());
        let bao = Self { program, port, tls_port, process, home, operator: Operator::Develops };
        bao.wait();
        bao
    }

    fn start_lasting(program: PathBuf) -> Self {
        let [port, tls_port, cluster] = [(); 3].map(|()| free_address().port());
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        let lasting = format!(
            "storage \"raft\" {{ path = \"{}\"\n node_id = \"one\"\n performance_multiplier = 1 }}\n\
             listener \"tcp\" {{ address = \"127.0.0.1:{port}\"\n tls_disable = true }}\n\
             api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n",
            data.display()
        );
        let text = Self::configuration(home.path(), tls_port, Audit::EveryRequest) + &lasting;
        fs::write(home.path().join("server.hcl"), text).unwrap();
        let process = Self::spawn_lasting(&program, home.path());
        let unknown = Operator::Unseals { key: String::new(), root: String::new() };
        let mut bao = Self { program, port, tls_port, process, home, operator: unknown };
        let made: Value = wait_for("the server can be set up", || {
            let output = bao.command(&["operator", "init", "-format=json", "-key-shares=1", "-key-threshold=1"]);
            serde_json::from_slice(&{ output }.output().unwrap().stdout).ok()
        });
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        bao.operator = Operator::Unseals { key: text(&made["unseal_keys_b64"][0]), root: text(&made["root_token"]) };
        bao.unseal();
        bao.run(&["secrets", "enable", "-path=secret", "-version=2", "kv"]);
        bao.wait();
        bao
    }

    fn spawn_lasting(program: &Path, home: &Path) -> Child {
        let mut command = Command::new(program);
        command.arg("server").arg(format!("-config={}", home.join("server.hcl").display()));
        Self::spawn_command(command, home)
    }

    /// Opens a server that has begun.
    pub fn unseal(&self) {
        let Operator::Unseals { key, .. } = &self.operator else { panic!("it is never sealed") };
        wait_until("it is unsealed", || {
            let _ = self.command(&["operator", "unseal", key]).output();
            self.command(&["token", "lookup"]).output().unwrap().status.success()
        });
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops as a service manager stops it.
    pub fn stop(&mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, on what it has on disk, and opens it.
    pub fn start_again(&mut self) {
        self.process = Self::spawn_lasting(&self.program, self.home.path());
        self.unseal();
    }

    /// Makes it show another certificate from now on.
    pub fn take_certificate(&self, name: &str) {
        for (own, kind) in [("server.pem", "pem"), ("server.key", "key")] {
            fs::copy(certificate(&format!("{name}.{kind}")), self.path(own)).unwrap();
        }
        kill_process(Pid::from_child(&self.process), Signal::HUP).unwrap();
        let authority = certificate(&format!("{}.pem", name.replace("server", "ca")));
        wait_until("it shows it", || {
            let mut look = self.command(&["status"]);
            look.env("BAO_ADDR", self.tls_address()).env("BAO_CACERT", &authority);
            look.output().unwrap().status.success()
        });
    }

    /// The token of the operator.
    pub fn root(&self) -> &str {
        match &self.operator {
            Operator::Develops => ROOT,
            Operator::Unseals { root, .. } => root,
        }
    }

    /// Listens with TLS as well.
    fn configuration(home: &Path, tls_port: u16, audit: Audit) -> String {
        let file = home.join("audit.log");
        let audit = match audit {
            Audit::EveryRequest => {
                format!("audit \"file\" \"requests\" {{ options {{ file_path = \"{}\" }} }}\n", file.display())
            }
            Audit::Nothing => String::new(),
        };
        let (certificate, key) = (home.join("server.pem"), home.join("server.key"));
        fs::copy(self::certificate("server.pem"), &certificate).unwrap();
        fs::copy(self::certificate("server.key"), &key).unwrap();
        format!(
            "{audit}listener \"tcp\" {{ address = \"127.0.0.1:{tls_port}\"\n tls_cert_file = \"{}\"\n \
             tls_key_file = \"{}\" }}\n",
            certificate.display(),
            key.display(),
        )
    }

    fn spawn(program: &Path, port: u16, home: &Path) -> Child {
        let mut command = Command::new(program);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", home.join("server.hcl").display()));
        Self::spawn_command(command, home)
    }

    fn spawn_command(mut command: Command, home: &Path) -> Child {
        let log = fs::File::create(home.join("log")).unwrap();
        command.env("HOME", home).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn wait(&self) {
        wait_until("the Vault server answers", || self.try_run(&["kv", "list", "secret/"]).is_some_and(|said| said));
    }

    /// Whether the command got an answer: nothing there yet is one as well.
    fn try_run(&self, arguments: &[&str]) -> Option<bool> {
        let output = self.command(arguments).output().ok()?;
        Some(output.status.success() || String::from_utf8_lossy(&output.stderr).contains("No value found"))
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens with TLS.
    pub fn tls_address(&self) -> String {
        format!("https://127.0.0.1:{}", self.tls_port)
    }

    /// Its own client with these arguments, as the operator.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", self.home.path());
        command.env("BAO_ADDR", self.address()).env("BAO_TOKEN", self.root()).stdin(Stdio::null());
        command
    }

    /// Python with `hvac`, to run `script`.
    pub fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.program.with_file_name("python"));
        command.args(["-c", script]).env_clear();
        command
    }

    /// A file that is its own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What its own client prints.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let (first, rest) = arguments.split_at(arguments.len() - 1);
        serde_json::from_str(&self.run(&[first, &["-format=json"], rest].concat())).unwrap()
    }

    /// The fields of the secret at `path` in a KV v2 engine; `Null` where there is none.
    pub fn secret(&self, path: &str) -> Value {
        let output = self.command(&["kv", "get", "-format=json", path]).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        found["data"].get("data").unwrap_or(&found["data"]).clone()
    }

    /// The version of the secret at `path`.
    pub fn version(&self, path: &str) -> Value {
        self.json(&["kv", "get", path])["data"]["metadata"]["version"].clone()
    }

    /// Writes a policy `tokend` that allows what the documentation asks for at `path`, and the auth
    /// method `AppRole` with a role of that policy. Gives role id and secret id.
    pub fn app_role(&self, path: &str, keys: &[&str]) -> (String, String) {
        self.policy("tokend", &format!("path \"{path}\" {{ capabilities = [\"create\", \"read\", \"update\"] }}"));
        let _ = self.command(&["auth", "enable", "approle"]).output();
        let role = [&["write", "auth/approle/role/tokend", "token_policies=tokend"], keys].concat();
        self.run(&role);
        let role_id = self.json(&["read", "auth/approle/role/tokend/role-id"])["data"]["role_id"].clone();
        (role_id.as_str().unwrap().to_owned(), self.secret_id())
    }

    /// Another secret id of the role.
    pub fn secret_id(&self) -> String {
        let made = self.json(&["write", "-f", "auth/approle/role/tokend/secret-id"]);
        made["data"]["secret_id"].as_str().unwrap().to_owned()
    }

    pub fn policy(&self, name: &str, text: &str) {
        let file = self.home.path().join("policy.hcl");
        fs::write(&file, text).unwrap();
        self.run(&["policy", "write", name, file.to_str().unwrap()]);
    }

    fn audit_file(&self) -> PathBuf {
        self.path("audit.log")
    }

    /// The paths of all requests that were made, in order.
    pub fn requests(&self) -> Vec<String> {
        let lines = fs::read_to_string(self.audit_file()).unwrap_or_default();
        let entries = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let requests = entries.filter(|entry| entry["type"] == "request");
        requests.filter_map(|entry| entry["request"]["path"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One of the certificates that all tests share.
pub fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/certificates").join(name)
}

/// The server's program, installed where it is missing.
fn install() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = root.join("target/servers/openbao");
    let wanted = root.join("tests/servers/openbao/requirements.txt");
    let program = home.join("bin/bao");
    let stamp = home.join("installed");
    let text = fs::read(&wanted).map_err(|error| error.to_string())?;
    if fs::read(&stamp).ok().as_ref() == Some(&text) && program.exists() {
        return Ok(program);
    }
    let run = |command: &mut Command| match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("OpenBao cannot be installed: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("OpenBao cannot be installed: {error}")),
    };
    run(Command::new("python3").arg("-m").arg("venv").arg(&home))?;
    let mut pip = Command::new(home.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]).arg(&wanted))?;
    fs::write(&stamp, text).map_err(|error| error.to_string())?;
    Ok(program)
}
