//! The host's own behaviour: its port, its variables, its stores and its signals.

mod support;

use std::io::{Read, Write};
use std::process::Command;

use support::{Form, Server, data, server};

#[test]
fn a_port_that_is_taken_is_told() {
    let server = Server::start();
    let output = Command::new(server::host())
        .current_dir(server::root())
        .args(["--no-build", "--from", &server::manifest(), "--listen", server.address()])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(&format!("cannot listen on {}", server.address())), "{message}");
}

#[test]
fn a_variable_that_is_not_declared_is_told() {
    let output = Command::new(server::host())
        .current_dir(server::root())
        .args(["--no-build", "--from", &server::manifest(), "--listen", "127.0.0.1:0", "--variable", "max_byte=1"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("max_bytes"));
}

#[test]
fn a_store_that_can_not_be_had_is_told() {
    if server::on_spin() {
        return;
    }
    let rows = [
        ("[key_value_store.default]\ntype = \"azure_cosmos\"\nkey = \"k\"", "\"azure_cosmos\""),
        ("[key_value_store.default]\ntype = \"redis\"", "url"),
        ("[key_value_store.default]\ntype = \"redis\"\nurl = \"nonsense\"", "nonsense"),
        ("[key_value_store.default]\ntype = \"spin\"\npaths = \"x\"", "paths"),
        ("[key_value_store.default]\npath = \"x\"", "type"),
        ("[llm_compute]\ntype = \"spin\"", "llm_compute"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("runtime-config.toml");
    for (text, named) in rows {
        std::fs::write(&config, text).unwrap();
        let output = Command::new(server::host())
            .current_dir(server::root())
            .args(["--no-build", "--from", &server::manifest(), "--listen", "127.0.0.1:0", "--state-dir"])
            .arg(folder.path())
            .arg("--runtime-config-file")
            .arg(&config)
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(named), "{text}: {message}");
    }
}

#[test]
fn a_signal_lets_requests_in_flight_finish() {
    if server::on_spin() {
        return;
    }
    let (mut server, file) = (Server::start(), data::bytes(1, 3_000_000));
    let body = Form::new().field("md5", &data::md5(&file)).file("file", "f.bin", &file).into_body();
    let head = format!(
        "POST /uploads/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        server.address(),
        Form::content_type(),
        body.len()
    );
    let mut connection = server.client().send_raw(&[head.as_bytes(), &body[..2_000_000]].concat());
    // The server handles the request: a segment of it is stored.
    server.wait_until_stored(|stored| !stored.is_empty());
    server.signal("TERM");
    connection.write_all(&body[2_000_000..]).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(server.wait().success());
}
