//! A real Prometheus: it scrapes the daemon, finds our alert rules good, and scrapes a target that
//! lets only the newest access token in, which it reads from the file that the daemon keeps fresh.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::setup::{Answer, Setup, free_address, skip, wait_for, wait_until};

/// A target that wants the access token which was issued last.
struct Protected {
    address: SocketAddr,
    state: Arc<Mutex<Door>>,
}

#[derive(Default)]
struct Door {
    /// Who comes with this is let in.
    wanted: String,
    /// How often somebody came with what, and was let in or not.
    seen: HashMap<(String, bool), u32>,
}

impl Protected {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<Door>>::default();
        let door = Arc::clone(&state);
        // Ends with the test's process.
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| receive(stream, &door)));
        Self { address, state }
    }

    fn want(&self, token: &str) {
        token.clone_into(&mut self.state.lock().unwrap().wanted);
    }

    fn let_in(&self, token: &str) -> u32 {
        self.state.lock().unwrap().seen.get(&(token.to_owned(), true)).copied().unwrap_or(0)
    }

    fn turned_away(&self) -> u32 {
        self.state.lock().unwrap().seen.iter().filter(|((_, good), _)| !good).map(|(_, count)| count).sum()
    }
}

fn receive(mut stream: TcpStream, door: &Mutex<Door>) {
    let lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let tokens: Vec<String> =
        lines.filter_map(|line| line.strip_prefix("Authorization: Bearer ").map(str::to_owned)).collect();
    let token = tokens.concat();
    let mut door = door.lock().unwrap();
    let good = token == door.wanted;
    *door.seen.entry((token, good)).or_default() += 1;
    let (status, body) = if good { ("200 OK", "protected_value 7\n") } else { ("401 Unauthorized", "") };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close");
    let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

struct Prometheus {
    address: SocketAddr,
    child: Child,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Runs in `dir`; `None` where there is none.
    fn start(dir: &Path, config: &str) -> Option<Self> {
        fs::create_dir(dir).unwrap();
        let (file, address) = (dir.join("prometheus.yml"), free_address());
        fs::write(&file, config).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.join("log")).unwrap());
        match command.spawn() {
            Ok(child) => Some(Self { address, child }),
            Err(error) => {
                skip(&format!("prometheus cannot be started: {error}"));
                None
            }
        }
    }

    fn ask(&self, path: &str) -> Option<Value> {
        let answer = Answer::over_tcp(self.address, path, "").ok().filter(|answer| answer.status == 200)?;
        serde_json::from_str(&answer.body).ok()
    }

    /// The value of the only sample that `query` has now.
    fn value(&self, query: &str) -> Option<String> {
        let encoded = query.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02X}");
            text
        });
        let answer = self.ask(&format!("/api/v1/query?query={encoded}"))?;
        let samples = answer["data"]["result"].as_array()?;
        let [sample] = &samples[..] else { return None };
        sample["value"][1].as_str().map(str::to_owned)
    }
}

#[test]
fn prometheus_scrapes_the_daemon_and_with_its_token_a_protected_target() {
    let (setup, address) = (Setup::new(), free_address());
    let config = setup.oauth2("bank", "") + &setup.token("a", "bank", "");
    setup.configure(&[format!("metrics = \"{address}\"\n{config}")]);
    let daemon = setup.run_ready();
    let protected = Protected::open();
    let first = setup.read("tokens/a").unwrap();
    protected.want(&first);

    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
         rule_files: [{packaging}/prometheus/tokend.rules.yml]\n\
         scrape_configs:\n\
         - {{ job_name: tokend, static_configs: [{{ targets: [\"{address}\"] }}] }}\n\
         - job_name: protected\n  \
           authorization: {{ credentials_file: {file} }}\n  \
           static_configs: [{{ targets: [\"{target}\"] }}]\n",
        packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging"),
        file = setup.path("tokens/a").display(),
        target = protected.address,
    );
    let Some(prometheus) = Prometheus::start(&setup.path("prometheus"), &config) else { return };

    let is = |query: &str, value: &str| {
        wait_until(query, || prometheus.value(query).as_deref() == Some(value));
    };
    is("up{job=\"tokend\"}", "1");
    is("tokend_token_valid{job=\"tokend\",token=\"a\"}", "1");
    is("tokend_token_generation{token=\"a\"}", "1");
    is("tokend_issues_total{slot=\"bank/a\",result=\"issued\"}", "1");
    is("protected_value", "7");
    is("up{job=\"protected\"}", "1");
    assert!(protected.let_in(&first) > 0);
    let kind = wait_for("what it was told of a counter", || {
        let told = prometheus.ask("/api/v1/metadata?metric=tokend_issues")?;
        told["data"]["tokend_issues"][0]["type"].as_str().map(str::to_owned)
    });
    assert_eq!(kind, "counter");

    // A new one: the target lets the old one in no more, and the next scrape comes with the new one.
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    let second = wait_for("the file holds the next one", || setup.read("tokens/a").filter(|token| *token != first));
    let before = protected.turned_away();
    protected.want(&second);
    wait_until("it comes with the new one", || protected.let_in(&second) > 1);
    is("up{job=\"protected\"}", "1");
    is("tokend_token_generation{token=\"a\"}", "2");
    // What was on its way meanwhile may have had the old one.
    assert!(protected.turned_away() <= before + 1);

    wait_until("every rule was tried and is good", || {
        let Some(answer) = prometheus.ask("/api/v1/rules") else { return false };
        let rules: Vec<Value> = answer["data"]["groups"]
            .as_array()
            .map(|groups| groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect())
            .unwrap_or_default();
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
        rules.len() >= 10 && rules.iter().all(|rule| rule["health"] == "ok")
    });
    is("count(ALERTS) or vector(0)", "0");
}
