//! An `OpenBao` server of a test's own, and its own client to look at what it holds.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::setup::wait_until;

/// The token of the operator.
pub const ROOT: &str = "root-token-of-the-test";

/// A server; it is killed when it is dropped.
pub struct Bao {
    program: PathBuf,
    port: u16,
    tls_port: u16,
    process: Child,
    home: TempDir,
}

impl Bao {
    /// A server with a KV v2 engine at `secret/`, or `None` after saying why there is none.
    pub fn or_skip() -> Option<Self> {
        static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match PROGRAM.get_or_init(install) {
            Ok(program) => Some(Self::start(program.clone())),
            Err(why) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{why}"),
            Err(why) => {
                println!("skipped: {why}");
                None
            }
        }
    }

    fn start(program: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = tempfile::tempdir().unwrap();
        let tls_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(home.path().join("server.hcl"), Self::configuration(home.path(), tls_port)).unwrap();
        let process = Self::spawn(&program, port, home.path());
        let bao = Self { program, port, tls_port, process, home };
        bao.wait();
        bao
    }

    /// Notes every request, and listens with TLS as well.
    fn configuration(home: &Path, tls_port: u16) -> String {
        let audit = home.join("audit.log");
        let (certificate, key) = (certificate("server.pem"), certificate("server.key"));
        format!(
            "audit \"file\" \"requests\" {{ options {{ file_path = \"{}\" }} }}\n\
             listener \"tcp\" {{ address = \"127.0.0.1:{tls_port}\"\n tls_cert_file = \"{}\"\n \
             tls_key_file = \"{}\" }}\n",
            audit.display(),
            certificate.display(),
            key.display(),
        )
    }

    fn spawn(program: &Path, port: u16, home: &Path) -> Child {
        let log = fs::File::create(home.join("log")).unwrap();
        Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", home.join("server.hcl").display()))
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
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
        command.env("BAO_ADDR", self.address()).env("BAO_TOKEN", ROOT).stdin(Stdio::null());
        command
    }

    /// Python with `hvac`, to run `script`.
    pub fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.program.with_file_name("python"));
        command.args(["-c", script]).env_clear();
        command
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
        self.home.path().join("audit.log")
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
