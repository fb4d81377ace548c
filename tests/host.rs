//! The host's own behaviour: its port, its variables, its stores and its signals.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use http::Method;
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

/// Reads the head of an answer, and leaves the rest where it is.
fn read_head(connection: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Longer than any answer takes that doesn't wait.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Sends a request, for which there is no place yet.
fn get_in_vain(server: &Server, path: &str) -> TcpStream {
    let get = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address());
    let mut connection = server.client().send_raw(get.as_bytes());
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let waited = connection.read(&mut [0; 1]).map_err(|error| error.kind());
    assert!(matches!(waited, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "it was let in: {waited:?}");
    connection.set_read_timeout(None).unwrap();
    connection
}

#[test]
fn a_download_keeps_its_place_until_its_last_byte() {
    if server::on_spin() {
        return;
    }
    let server = Server::with_options(&["--concurrent-requests", "1"]);
    // More than the system's buffers hold.
    let (client, file) = (server.client(), data::bytes(1, 24_000_000));
    let place = client.upload_whole("f", &file).expect(200).text("file");
    let path = place.strip_prefix(&client.url("")).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address());
    let mut slow = client.send_raw(request.as_bytes());
    let head = read_head(&mut slow);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");

    let mut next = get_in_vain(&server, "/uploads/");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest == file);
    assert!(read_head(&mut next).starts_with("HTTP/1.1 200 "));

    // Who goes away leaves the place.
    let mut gone = client.send_raw(request.as_bytes());
    assert!(read_head(&mut gone).starts_with("HTTP/1.1 200 "));
    drop(gone);
    client.get("/uploads/").expect(200);
}

/// The component reads past the body of a refused request. The request keeps its place meanwhile.
#[test]
fn refused_requests_keep_their_places_until_their_bodies_end() {
    if server::on_spin() {
        return;
    }
    let server = Server::with_options(&["--concurrent-requests", "2"]);
    let client = server.client();
    let refused = format!(
        "PUT /uploads/00000000-0000-4000-8000-000000000000 HTTP/1.1\r\nHost: {}\r\n\
         Content-Type: application/octet-stream\r\nContent-Range: bytes 0-999999/1000000\r\n\
         Content-Length: 1000000\r\n\r\nabc",
        server.address()
    );
    let mut refused: Vec<_> = (0..8).map(|_| client.send_raw(refused.as_bytes())).collect();
    for connection in &mut refused[..2] {
        let head = read_head(connection);
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    }
    let mut next = get_in_vain(&server, "/");
    drop(refused);
    assert!(read_head(&mut next).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_may_close_its_side_after_its_request() {
    if server::on_spin() {
        return;
    }
    let server = Server::start();
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    for _ in 0..10 {
        let mut connection = server.client().send_raw(get.as_bytes());
        connection.shutdown(Shutdown::Write).unwrap();
        assert!(read_head(&mut connection).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn a_client_that_stalls_does_not_keep_the_host_from_stopping() {
    if server::on_spin() {
        return;
    }
    let mut server = Server::with_options(&["--stop-timeout", "300ms"]);
    let head = format!(
        "PUT /uploads/?filename=f HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\n\
         Content-Range: bytes 0-2999999/3000000\r\nContent-Length: 3000000\r\n\r\n",
        server.address()
    );
    let _stalled = server.client().send_raw(&[head.as_bytes(), &data::bytes(2, 1_500_000)].concat());
    server.wait_until_stored(|stored| !stored.is_empty());
    let began = Instant::now();
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn an_instance_has_the_memory_that_it_is_given() {
    if server::on_spin() {
        return;
    }
    let file = data::bytes(3, 5_000_000);
    Server::with_options(&["--instance-memory", "64MiB"]).client().upload_whole("f", &file).expect(200);
    let server = Server::with_options(&["--instance-memory", "2MiB"]);
    // It may hang up before it has read all of what it has no room for.
    let range = [("Content-Range", "bytes 0-4999999/5000000")];
    let answer = server.client().try_send(Method::PUT, "/uploads/?filename=f", &range, &file);
    assert!(!answer.is_ok_and(|reply| reply.status.is_success()), "all of it is in 2 MiB");
    // Less than the component begins with, and what is no size.
    for (size, told) in [("1MiB", "memory"), ("64MB", "expected bytes, or such as 64MiB")] {
        let output = Command::new(server::host())
            .current_dir(server::root())
            .args(["--no-build", "--from", &server::manifest(), "--listen", "127.0.0.1:0", "--instance-memory", size])
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(told), "{message}");
    }
}

#[test]
fn a_route_of_another_kind_is_told() {
    if server::on_spin() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spin.toml");
    let manifest = std::fs::read_to_string(server::root().join(server::manifest())).unwrap();
    std::fs::write(&path, manifest.replace("route = \"/...\"", "route = \"/:user/...\"")).unwrap();
    let output = Command::new(server::host()).args(["--no-build", "--from"]).arg(&path).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("\"/:user/...\""), "{message}");
}
