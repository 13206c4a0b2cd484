//! A real OAuth 2 server that nobody here wrote: oidc-provider, certified by the `OpenID` Foundation.
//!
//! It is installed from the lock file beside its configuration into `target/servers/`. Where Node.js
//! or the registry cannot be reached the test says so and passes, unless `CI=true`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::asking::Asked;
use tokend::access_token::Issued;
use tokend::failure::Failure;
use tokend::preset::Preset;
use tokend::settings::Endpoint;

/// Everything that form encoding, Basic and JSON each treat in their own way.
const SECRET: &str = "+/%=:& \"\\~*'()<>{}secret";

struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Installs and starts it.
    ///
    /// Errors: what is missing on this host.
    fn start() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (from, home) = (root.join("tests/servers/oidc-provider"), root.join("target/servers/oidc-provider"));
        fs::create_dir_all(&home).unwrap();
        let lock = |home: &Path| fs::read(home.join("package-lock.json")).ok();
        let is_installed = lock(&from) == lock(&home) && home.join("node_modules/.package-lock.json").exists();
        let copied = |name: &str| fs::copy(from.join(name), home.join(name)).map(|_| ());
        ["package.json", "package-lock.json", "server.mjs"].into_iter().try_for_each(copied).unwrap();
        if !is_installed {
            install(&home)?;
        }
        let mut node = Command::new("node");
        node.arg("server.mjs").current_dir(&home).env("CLIENT_SECRET", SECRET);
        let mut process =
            node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|e| format!("node: {e}"))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().map_err(|_| "node: the server did not start")?;
        Ok(Self { process, port })
    }

    /// The server, or `None` after saying why there is none.
    fn or_skip() -> Option<Self> {
        match Self::start() {
            Ok(server) => Some(server),
            Err(why) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{why}"),
            Err(why) => {
                println!("skipped: {why}");
                None
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What the server itself says of `issued` (RFC 7662).
    fn introspect(&self, issued: &Issued) -> serde_json::Value {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", "with-post").append_pair("client_secret", SECRET);
        let form = form.append_pair("token", issued.secret.expose()).finish();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = "POST /token/introspection HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{form}", form.len()).unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn install(home: &Path) -> Result<(), String> {
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    let output = Command::new("npm").args(arguments).current_dir(home).output().map_err(|e| format!("npm: {e}"))?;
    let told = || format!("npm ci: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(()).ok_or_else(told)
}

fn asking(table: &str, endpoint: Endpoint) -> Asked {
    let secret = SECRET.replace('\\', "\\\\").replace('"', "\\\"");
    let table = format!("client_secret = \"{secret}\"\n{table}");
    Asked::of(Preset::built_in("oauth2").unwrap(), &table, endpoint)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_certified_server_takes_our_requests_and_knows_its_tokens() {
    let Some(server) = Server::or_skip() else { return };
    let token_url = || Endpoint::TokenUrl(server.url("/token"));
    let discovered = || Endpoint::Issuer(server.url(""));
    let scopes = "scopes = ['api:read', 'api:write']";
    let basic = format!("client_id = 'with basic:+'\n{scopes}");
    let post = format!("client_id = 'with-post'\nclient_auth = 'client_secret_post'\n{scopes}");
    for (table, endpoint) in
        [(&basic, token_url()), (&post, token_url()), (&basic, discovered()), (&post, discovered())]
    {
        let issued = asking(table, endpoint).ask().await.unwrap();
        assert_eq!(issued.expires_at.since(issued.issued_at).as_secs(), 600, "{table}");
        assert_eq!(issued.scopes, Some(vec!["api:read".into(), "api:write".into()]));
        let said = server.introspect(&issued);
        assert_eq!((&said["active"], &said["scope"]), (&true.into(), &"api:read api:write".into()), "{said}");
    }

    let resource = format!("{post}\nresource = 'https://api.example.com/v1'");
    let issued = asking(&resource, discovered()).ask().await.unwrap();
    assert_eq!(issued.expires_at.since(issued.issued_at).as_secs(), 300, "the resource's own lifetime");
    assert_eq!(server.introspect(&issued)["aud"], "https://api.example.com/v1");

    let stranger = asking(&post.replace("with-post", "stranger"), token_url()).ask().await.unwrap_err();
    let Failure::Refused(refusal) = &stranger else { panic!("{stranger:?}") };
    assert_eq!((refusal.code.as_deref(), refusal.credentials), (Some("invalid_client"), true));
    let greedy = asking(&post.replace("api:write", "api:rule"), token_url()).ask().await.unwrap_err();
    assert!(matches!(&greedy, Failure::Refused(refusal) if refusal.is_about_scope()), "{greedy:?}");
    let partly = asking(&post.replace("api:write", "unknown"), token_url()).ask().await.unwrap();
    assert_eq!(partly.scopes, Some(vec!["api:read".into()]), "it grants what it knows, and says so");
    let raw = asking(&format!("{basic}\nbasic_encoding = 'raw'"), token_url()).ask().await;
    assert!(raw.is_err(), "this server wants Basic form-encoded");
}
