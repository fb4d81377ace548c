//! The completion hook: a URL that the service calls before an upload is complete.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Client, Server, data, path_of};

/// A request that the hook got.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    idempotency_key: String,
    upload: Value,
}

/// A server that records all requests, and gives each of them the response that a test has set.
struct Hook {
    url: String,
    host: String,
    answer: Arc<Mutex<String>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        let (answer, calls) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<Vec<Call>>>::default());
        let hook =
            Self { url: format!("{host}/uploaded?by=tests"), host, answer: answer.clone(), calls: calls.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answer, calls) = (stream.unwrap(), answer.clone(), calls.clone());
                std::thread::spawn(move || answer_call(stream, &answer, &calls));
            }
        });
        hook
    }

    fn will_answer(&self, status: &str, body: &str) {
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }

    /// Accepts calls, and never responds.
    fn will_not_answer(&self) {
        self.answer.lock().unwrap().clear();
    }

    fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn server(&self) -> Server {
        self.server_with(&[])
    }

    fn server_with(&self, more: &[(&str, &str)]) -> Server {
        Server::with(&[&[("on_completion_url", self.url.as_str()), ("on_completion_host", &self.host)], more].concat())
    }
}

fn answer_call(mut stream: TcpStream, answer: &Mutex<String>, calls: &Mutex<Vec<Call>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    assert_eq!(lines[0], "POST /uploaded?by=tests HTTP/1.1");
    let header = |name: &str| {
        let mut headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut body = Vec::new();
    match header("content-length") {
        Some(length) => drop(reader.take(length.parse().unwrap()).read_to_end(&mut body).unwrap()),
        None => body = read_chunked(&mut reader),
    }
    let upload = serde_json::from_slice(&body).unwrap();
    calls.lock().unwrap().push(Call { idempotency_key: header("idempotency-key").unwrap(), upload });
    let answer = answer.lock().unwrap().clone();
    if answer.is_empty() {
        // Waits until the service closes the connection.
        let _ = stream.read(&mut [0]);
    } else {
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

fn read_chunked(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Begins an upload with the whole file. It only has to be completed.
fn upload(client: &Client, file: &[u8]) -> String {
    client.begin(file, file.len())
}

#[test]
fn the_hook_is_not_told_the_host_that_a_client_names() {
    let hook = Hook::start();
    let server = hook.server();
    let (client, file) = (server.client(), data::bytes(1, 1_000));
    hook.will_answer("200 OK", "");
    let path = path_of(&upload(&client, &file));
    let body = format!("md5={}", data::md5(&file));
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = client.exchange_raw(request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let calls = hook.take_calls();
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert!(!call.upload.to_string().contains("evil.example"), "{}", call.upload);
    assert_eq!(call.upload["url"], path);
}

#[test]
fn the_hooks_answer_becomes_the_completions() {
    let hook = Hook::start();
    let server = hook.server();
    let (client, file) = (server.client(), data::bytes(1, 1_000));
    hook.will_answer("201 Created", r#"{"photo": 7}"#);
    let url = upload(&client, &file);
    assert_eq!(hook.take_calls(), []);
    client.complete(&url, &data::md5(&file)).expect_json(201, json!({"photo": 7}));

    // The hook got the upload as it is now, and its checksum.
    let calls = hook.take_calls();
    let [call] = &calls[..] else { panic!("{calls:?}") };
    let mut expected = client.get(&url).expect(200).json();
    let download = expected["file"].as_str().unwrap().to_owned();
    assert_eq!(expected["md5"], data::md5(&file));
    for field in ["url", "file"] {
        expected[field] = path_of(expected[field].as_str().unwrap()).into();
    }
    assert_eq!(call.upload, expected);
    assert_eq!(call.upload["status"], 2);
    assert!(client.get(&download).expect(200).body == file);

    // After an acknowledged completion, the hook is never called again.
    client.complete(&url, &data::md5(&file)).expect(400);
    client.complete(&url, "0123").expect(400);
    assert_eq!(hook.take_calls(), []);
}

#[test]
fn an_answer_without_a_body_leaves_the_usual_one() {
    let hook = Hook::start();
    let server = hook.server();
    let (client, file) = (server.client(), data::bytes(1, 1_000));
    hook.will_answer("204 No Content", "");
    let url = upload(&client, &file);
    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert_eq!(complete.json(), client.get(&url).expect(200).json());
    client.upload_whole("f", &file).expect(200);
    assert_eq!(hook.take_calls().len(), 2);
}

#[test]
fn the_hook_can_refuse() {
    let hook = Hook::start();
    let server = hook.server();
    let (client, file) = (server.client(), data::bytes(1, 1_000));
    let url = upload(&client, &file);
    hook.will_answer("409 Conflict", r#"{"detail": "You have this one", "photo": 7}"#);
    client.complete(&url, &data::md5(&file)).expect_json(409, json!({"detail": "You have this one", "photo": 7}));
    hook.will_answer("403 Forbidden", "<p>no</p>");
    client.complete(&url, &data::md5(&file)).expect_json(403, json!({"detail": "The completion was refused"}));
    assert_eq!(client.get(&url).expect(200).json()["status"], 1);

    // Nothing remains of a refused whole file. The refused upload is still open.
    let before = server.stored();
    client.upload_whole("f", &file).expect(403);
    assert_eq!(server.stored(), before);
    hook.will_answer("200 OK", "{}");
    client.complete(&url, &data::md5(&file)).expect_json(200, json!({}));
}

#[test]
fn a_hook_that_fails_can_be_tried_again_with_the_same_key() {
    let hook = Hook::start();
    let server = hook.server_with(&[("on_completion_timeout", "200ms")]);
    let (client, file) = (server.client(), data::bytes(1, 1_000));
    let url = upload(&client, &file);
    let failed = |client: &Client| {
        let reply = client.complete(&url, &data::md5(&file));
        assert_eq!(reply.header("retry-after"), "5");
        reply.expect_json(502, json!({"detail": "What decides on the completion failed; try again later"}));
        assert_eq!(client.get(&url).expect(200).json()["status"], 1);
    };
    hook.will_answer("500 Internal Server Error", "{}");
    failed(&client);
    hook.will_answer("302 Found", "{}");
    failed(&client);
    hook.will_answer("200 OK", "not JSON");
    failed(&client);
    hook.will_answer("200 OK", &format!("\"{}\"", "x".repeat(2_000_000)));
    failed(&client);
    hook.will_not_answer();
    failed(&client);
    hook.will_answer("200 OK", "[]");
    client.complete(&url, &data::md5(&file)).expect_json(200, json!([]));

    let keys: Vec<_> = hook.take_calls().into_iter().map(|call| call.idempotency_key).collect();
    let id = url.rsplit('/').next().unwrap();
    assert_eq!(keys, vec![format!("\"{id}-{}\"", data::md5(&file)); 6]);
}

#[test]
fn a_hook_that_is_not_there_or_not_allowed_fails() {
    // No server listens on this port any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}/");
    for host in [&url, "http://*.spin.internal"] {
        let server = Server::with(&[("on_completion_url", &url), ("on_completion_host", host)]);
        let (client, file) = (server.client(), data::bytes(1, 1_000));
        let upload = upload(&client, &file);
        client.complete(&upload, &data::md5(&file)).expect(502);
        // With a wrong checksum, the hook is not called.
        client.complete(&upload, "0123").expect(400);
    }
}
