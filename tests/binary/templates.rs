//! Token files in the operator's own form.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread::spawn;

use crate::setup::{Setup, wait_until};

fn sink(setup: &Setup, keys: &str) -> String {
    let sinks = format!("sinks = [{{ file = \"{}\", {keys} }}]", setup.path("tokens/bank").display());
    setup.oauth2("bank", "") + &format!("[tokens.bank]\nprovider = \"bank\"\n{sinks}\n")
}

/// Answers one request; 200 if it carries `authorization`. Returns what was asked of it.
fn protected(authorization: String) -> (String, std::thread::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut part = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0, "the request ended early");
            request.extend_from_slice(&part[..length]);
        }
        let request = String::from_utf8(request).unwrap();
        let right = request.lines().any(|line| line == format!("Authorization: {authorization}"));
        let status = if right { "200 OK" } else { "401 Unauthorized" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        right
    };
    (url, spawn(answer))
}

/// The template of a shipped example.
fn shipped(name: &str) -> String {
    let text = std::fs::read_to_string(format!("packaging/examples/templates/{name}.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let token = table["tokens"].as_table().unwrap().values().next().unwrap();
    token["sinks"][0]["template"].as_str().unwrap().to_owned()
}

#[test]
fn curl_reads_the_token_from_the_shipped_example() {
    if Command::new("curl").arg("--version").output().is_err() {
        return println!("skipped: there is no curl");
    }
    let setup = Setup::new();
    setup.write("curl.template", &shipped("curl"));
    setup.configure(&[sink(&setup, &format!("template_file = \"{}\"", setup.path("curl.template").display()))]);
    let daemon = setup.run();
    wait_until("the file is there", || setup.path("tokens/bank").exists());
    let token = setup.tokend(&["get", "bank"]).out;
    let (url, answered) = protected(format!("Bearer {token}"));
    let config = setup.path("tokens/bank");
    let output = Command::new("curl").args(["-fsS", "--noproxy", "*", "-K"]).arg(config).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(answered.join().unwrap());
    drop(daemon);
}

#[test]
fn a_template_file_that_cannot_be_used_is_a_state_of_its_sink_and_a_written_one_is_taken_at_once() {
    let setup = Setup::new();
    let path = setup.path("form");
    setup.configure(&[sink(&setup, &format!("template_file = \"{}\"", path.display()))]);
    let checked = setup.tokend(&["check"]);
    assert!(checked.code == 0 && checked.out.contains("note: template_file"), "{}", checked.out);
    let daemon = setup.run();
    let told = |what: &str| setup.tokend(&["status", "--json"]).out.contains(what);
    wait_until("status names the missing template", || told("No such file"));
    setup.write("form", "{{ generation }}:{{ nothing }}");
    wait_until("status names the mistake", || told("undefined value"));
    let checked = setup.tokend(&["check"]);
    assert!(checked.out.contains(&format!("{}:1: there is no field nothing", path.display())), "{}", checked.out);
    setup.write("form", "{{ generation }}:{{ name }}\n");
    wait_until("the file is made", || setup.read("tokens/bank").as_deref() == Some("1:bank\n"));
    setup.write("form", "again {{ generation }}\n");
    wait_until("the file is made again", || setup.read("tokens/bank").as_deref() == Some("again 1\n"));
    drop(daemon);
}

#[test]
fn a_wrong_template_is_a_wrong_configuration() {
    let setup = Setup::new();
    setup.configure(&[sink(&setup, "template = \"{{ acces_token }}\", format = \"raw\"")]);
    let checked = setup.tokend(&["check"]);
    assert_eq!(checked.code, 78);
    assert!(checked.out.contains("there is no field acces_token; did you mean access_token?"), "{}", checked.out);
    assert!(checked.out.contains("format says already what the file holds"), "{}", checked.out);
}
