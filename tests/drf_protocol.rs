//! The protocol of drf-chunked-upload: chunks, state, completion, and a whole file at once.

mod support;

use http::Method;
use serde_json::{Value, json};
use support::{Form, Server, data};

#[test]
fn a_file_goes_up_in_chunks() {
    let (server, file) = (Server::start(), data::bytes(1, 30_000));
    let client = server.client();

    let begun = client.put_chunk("/uploads/", &file, 0, 10_000).expect(200);
    assert_eq!((begun.header("content-type"), begun.header("range")), ("application/json", "bytes=0-9999"));
    let id = begun.text("id");
    let url = begun.text("url");
    assert_eq!(url, format!("http://{}/uploads/{id}", server.address()));
    let answer = begun.json();
    let date = &begun.text("created_at")[..10].replace('-', "/");
    assert_eq!(answer["file"], format!("http://{}/chunked_uploads/{date}/{id}.part", server.address()));
    assert_eq!(answer["filename"], "f.bin");
    assert_eq!(answer["offset"], 10_000);
    assert_eq!(answer["status"], 1);
    assert_eq!(answer["completed_at"], Value::Null);
    assert_eq!(answer["user"], Value::Null);
    let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["id", "url", "file", "filename", "offset", "created_at", "status", "completed_at", "user", "expires", "md5"];
    assert_eq!(keys, expected);
    assert_eq!(answer["md5"], Value::Null);

    let next = client.put_chunk(&url, &file, 10_000, 20_000).expect(200);
    assert_eq!(next.header("range"), "bytes=0-19999");
    let state = client.get(&url).expect(200);
    assert_eq!((&state.json()["offset"], state.header("range")), (&json!(20_000), ""));
    assert_eq!(client.head(&url).expect(200).header("content-length"), state.header("content-length"));
    client.put_chunk(&url, &file, 20_000, 30_000).expect(200);

    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert_eq!(complete.json()["status"], 2);
    assert_eq!(complete.json()["offset"], 30_000);
    assert!(complete.text("completed_at").ends_with('Z'));
    assert_eq!(complete.text("file"), begun.text("file").replace(".part", ".done"));
    assert_eq!(complete.text("md5"), data::md5(&file));
    assert_eq!(client.get(&url).expect(200).json(), complete.json());
    assert!(client.get(&complete.text("file")).expect(200).body == file);
}

#[test]
fn completion_takes_every_kind_of_form() {
    let (server, file) = (Server::start(), data::bytes(2, 1_000));
    let client = server.client();
    let md5 = data::md5(&file);

    let url = client.begin(&file, file.len());
    client.complete(&url, &md5.to_uppercase()).expect(200);

    let url = client.begin(&file, file.len());
    client.send_form(Method::POST, &url, &[], Form::new().field("md5", &md5)).expect(200);

    let url = client.begin(&file, file.len());
    let json = json!({"md5": md5, "else": 1}).to_string();
    client
        .send(Method::POST, &url, &[("Content-Type", "application/json; charset=utf-8")], json.as_bytes())
        .expect(200);
}

#[test]
fn a_whole_file_goes_up_at_once() {
    let (server, file) = (Server::start(), data::bytes(3, 2_500_000));
    let client = server.client();
    let reply = client.upload_whole("naïve ☃.bin", &file).expect(200);
    assert_eq!(reply.json()["status"], 2);
    assert_eq!(reply.json()["offset"], 2_500_000);
    assert_eq!(reply.json()["filename"], "naïve ☃.bin");
    assert!(client.get(&reply.text("file")).expect(200).body == file);

    // The checksum may come after the file. Without a filename field, the file part's own name is used.
    let form = Form::new().file("file", "own.txt", b"abc").field("md5", &data::md5(b"abc"));
    let reply = client.send_form(Method::POST, "/uploads/", &[], form).expect(200);
    assert_eq!(reply.json()["filename"], "own.txt");

    // An empty file is valid.
    let reply = client.upload_whole("empty", b"").expect(200);
    assert_eq!(reply.json()["offset"], 0);
    assert!(client.get(&reply.text("file")).expect(200).body.is_empty());
}

#[test]
fn a_whole_file_with_a_wrong_checksum_leaves_nothing() {
    let (server, file) = (Server::start(), data::bytes(4, 2_500_000));
    let form = Form::new().field("md5", &data::md5(b"other")).file("file", "f.bin", &file);
    let reply = server.client().send_form(Method::POST, "/uploads/", &[], form);
    reply.expect_json(400, json!({"detail": "checksum does not match"}));
    assert_eq!(server.stored(), []);
}

#[test]
fn trailing_slashes_do_not_matter() {
    let (server, file) = (Server::start(), data::bytes(5, 3_000));
    let client = server.client();
    let url = client.put_chunk("/uploads", &file, 0, 1_000).expect(200).text("url");
    client.put_chunk(&format!("{url}/"), &file, 1_000, 3_000).expect(200);
    client.get(&format!("{url}/")).expect(200);
    client.complete(&format!("{url}/"), &data::md5(&file)).expect(200);
}

#[test]
fn urls_are_those_the_client_came_by() {
    let server = Server::start();
    let request = "GET / HTTP/1.1\r\nHost: files.example:8080\r\nConnection: close\r\n\r\n";
    assert!(server.client().exchange_raw(request.as_bytes()).contains("http://files.example:8080/uploads/"));

    let server = Server::with(&[("public_url", "https://files.example/base/")]);
    let reply = server.client().upload_whole("f", b"abc").expect(200);
    let id = reply.text("id");
    assert_eq!(reply.text("url"), format!("https://files.example/base/uploads/{id}"));
    assert!(reply.text("file").starts_with("https://files.example/base/chunked_uploads/"));
}

#[test]
fn every_checksum_works_under_its_own_name() {
    let checksums = [
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for (name, digest_of_abc) in checksums {
        let server = Server::with(&[("checksum", name)]);
        let client = server.client();
        let url = client.begin(b"abc", 2);
        client.put_chunk(&url, b"abc", 2, 3).expect(200);
        let missing = client.send_form(Method::POST, &url, &[], Form::new().field("md5", "x"));
        missing.expect_json(400, json!({"detail": format!("Checksum of type '{name}' is required")}));
        let upper = Form::new().field(name, &digest_of_abc.to_uppercase());
        let complete = client.send_form(Method::POST, &url, &[], upper).expect(200);
        assert_eq!(complete.text(name), digest_of_abc);
    }
}

#[test]
fn the_root_says_where_to_go() {
    let reply = Server::start().client().get("/").expect(200);
    assert!(reply.header("content-type").starts_with("text/plain"));
    assert!(String::from_utf8(reply.body).unwrap().contains("/uploads/"));
}
