//! The service behind a real proxy: Debian's nginx, set up as docs/operations.md and docs/clients.md show it.

mod support;

use std::io::{Read, Write};

use http::Method;
use support::{Client, Form, Nginx, Server, data, server};

/// The first block of this language on a page, with the service's address in it.
fn documented(page: &str, server: &Server) -> String {
    let text = std::fs::read_to_string(server::root().join(page)).unwrap();
    let block = text.split_once("```nginx\n").and_then(|(_, rest)| rest.split_once("```")).expect("a block").0;
    assert!(block.contains("127.0.0.1:3000"));
    block.replace("127.0.0.1:3000", server.address())
}

/// A server with these variables behind nginx, and a client of that.
fn start(variables: &[(&str, &str)]) -> Option<(Server, Nginx, Client)> {
    start_as("docs/operations.md", variables)
}

/// The same, with the configuration of another page.
fn start_as(page: &str, variables: &[(&str, &str)]) -> Option<(Server, Nginx, Client)> {
    let server = Server::with(variables);
    let Some(nginx) = Nginx::start(&documented(page, &server)) else {
        eprintln!("not tested: there is no nginx here");
        return None;
    };
    let client = Client::new(nginx.address());
    Some((server, nginx, client))
}

#[test]
fn an_upload_by_the_urls_that_the_client_is_told() {
    let Some((_server, nginx, client)) = start(&[("trust_forwarded", "true")]) else { return };
    let file = data::bytes(1, 5_000_000);
    let begun = client.put_chunk("/files/uploads/", &file, 0, 2_000_000).expect(200);
    let url = begun.text("url");
    assert_eq!(url, format!("http://{}/files/uploads/{}", nginx.address(), begun.text("id")));
    client.put_chunk(&url, &file, 2_000_000, 5_000_000).expect(200);
    assert_eq!(client.get(&url).expect(200).json()["offset"], 5_000_000);
    let place = client.complete(&url, &data::md5(&file)).expect(200).text("file");
    let reply = client.get(&place).expect(200);
    assert!(reply.body == file);
    assert_eq!(reply.header("cache-control"), "no-cache");
    assert_eq!(
        client.get_with(&place, &[("Range", "bytes=4000000-4000009")]).expect(206).body,
        file[4_000_000..4_000_010]
    );
    client.get_with(&place, &[("If-None-Match", reply.header("etag"))]).expect(304);
    client.delete(&url).expect(204);
    client.get(&place).expect(404);
    client.get("/uploads/").expect(404);
}

/// A client may make its URLs itself, or take those of the responses.
#[test]
fn a_clients_own_path_is_mapped() {
    let Some((_server, nginx, client)) = start_as("docs/clients.md", &[]) else { return };
    let (own, file) = ("/api/chunked_upload/", data::bytes(3, 2_500_000));
    let begun = client.put_chunk(own, &file, 0, 1_500_000).expect(200);
    let (id, url) = (begun.text("id"), begun.text("url"));
    assert_eq!(url, format!("http://{}/uploads/{id}", nginx.address()));
    client.put_chunk(&url, &file, 1_500_000, 2_000_000).expect(200);
    client.put_chunk(&format!("{own}{id}/"), &file, 2_000_000, 2_500_000).expect(200);
    let place = client.complete(&format!("{own}{id}/"), &data::md5(&file)).expect(200).text("file");
    assert!(client.get(&place).expect(200).body == file);
    client.get(own).expect_json(200, serde_json::json!([]));
}

/// A client behind the proxy cannot choose what URLs in responses begin with.
#[test]
fn what_clients_say_of_proxies_does_not_get_past_it() {
    let Some((_server, nginx, client)) = start(&[("trust_forwarded", "true")]) else { return };
    let forged = [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/evil"),
        ("Forwarded", "host=evil.example"),
    ];
    let url = client.with_headers(&forged).put_chunk("/files/uploads/", b"abc", 0, 3).expect(200).text("url");
    assert!(url.starts_with(&format!("http://{}/files/uploads/", nginx.address())), "{url}");
}

#[test]
fn a_public_url_needs_nobody_to_be_trusted() {
    let Some((_server, _nginx, client)) = start(&[("public_url", "https://files.example/files")]) else { return };
    let url = client.put_chunk("/files/uploads/", b"abc", 0, 1).expect(200).text("url");
    let path = url.strip_prefix("https://files.example").unwrap();
    client.put_chunk(path, b"abc", 1, 3).expect(200);
    let file = client.complete(path, &data::md5(b"abc")).expect(200).text("file");
    assert_eq!(client.get(file.strip_prefix("https://files.example").unwrap()).expect(200).body, b"abc");
}

/// `proxy_request_buffering off`: the service stores what has come while the rest is under way.
#[test]
fn a_chunk_reaches_the_service_while_it_comes() {
    let Some((server, nginx, client)) = start(&[("trust_forwarded", "true")]) else { return };
    let file = data::bytes(2, 3_000_000);
    let body = Form::new().field("md5", &data::md5(&file)).file("file", "f.bin", &file).into_body();
    for framing in [format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked".to_owned()] {
        let is_chunked = framing.starts_with("Transfer");
        let piece = |bytes: &[u8]| match is_chunked {
            true => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
            false => bytes.to_vec(),
        };
        let head = format!(
            "POST /files/uploads/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {}\r\n{framing}\r\n\r\n",
            nginx.address(),
            Form::content_type(),
        );
        let before = server.stored();
        let mut connection = client.send_raw(&[head.as_bytes(), &piece(&body[..2_000_000])].concat());
        server.wait_until_stored(|stored| stored.len() > before.len());
        connection.write_all(&piece(&body[2_000_000..])).unwrap();
        connection.write_all(if is_chunked { b"0\r\n\r\n" } else { b"" }).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"status\":2"), "{answer}");
    }
}

/// A login at the proxy is a cookie, perhaps: pages of other sites can't use it.
#[test]
fn a_form_of_another_site_is_refused_behind_the_proxy_too() {
    let variables = [&server::USERS[..], &[("trust_forwarded", "true")]].concat();
    let Some((_server, nginx, client)) = start(&variables) else { return };
    let client = client.with_headers(&server::LOGIN);
    let post = |origin: &str| {
        let form = Form::new().field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
        client.send_form(Method::POST, "/files/uploads/", &[("Origin", origin)], form)
    };
    post(&format!("http://{}", nginx.address())).expect(200);
    post("https://evil.example").expect(403);
}
