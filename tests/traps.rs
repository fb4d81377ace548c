//! A request that traps ends its instance, and with it the requests that this instance is handling. It fails alone as
//! far as uploads go: the others' can be continued where they stood, and whoever comes next is served.

mod support;

use std::io::Read;

use support::{Form, Server, data, server};

/// As many as an instance handles at once, but for the one that traps.
const OTHERS: usize = 15;

#[test]
fn a_request_that_traps_harms_no_upload() {
    // The component is one of WASI 0.3.
    if server::manifest() != "spin.toml" {
        return;
    }
    let (server, file) = (Server::of_example("tests/trapping-view"), data::bytes(1, 3_000_000));
    let client = server.client();
    let urls: Vec<_> = (0..OTHERS).map(|_| client.begin(&file, 1_000_000)).collect();
    let values = server.stored().len();

    // In the middle of a chunk each, with a value of it stored.
    let body = Form::new().file("file", "blob", &file[1_000_000..]).into_body();
    let mut others: Vec<_> = urls
        .iter()
        .map(|url| {
            let head = format!(
                "PUT {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {}\r\n\
                 Content-Range: bytes 1000000-2999999/3000000\r\nContent-Length: {}\r\n\r\n",
                url.split_once(server.address()).unwrap().1,
                server.address(),
                Form::content_type(),
                body.len()
            );
            client.send_raw(&[head.as_bytes(), &body[..1_500_000]].concat())
        })
        .collect();
    server.wait_until_stored(|stored| stored.len() >= values + OTHERS);

    let trap = Form::new().field("filename", "trap").file("file", "blob", b"abc");
    client.put_form("/uploads/", "bytes 0-2/3", trap).expect(500);
    let log = std::fs::read_to_string(server.state().join("logs/trapping_stderr.txt")).unwrap_or_default();
    assert!(log.contains("as it was told"), "{log}");

    for (connection, url) in others.iter_mut().zip(&urls) {
        let mut answer = String::new();
        // Those of the same instance have failed; what a connection that ends in the middle says is of no account.
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = connection.read_to_string(&mut answer);
        assert!(!answer.starts_with("HTTP/1.1 200 "), "half a chunk was taken: {answer}");
        assert_eq!(client.get(url).expect(200).json()["offset"], 1_000_000);
        client.put_chunk(url, &file, 1_000_000, 3_000_000).expect(200);
        let complete = client.complete(url, &data::md5(&file)).expect(200);
        assert!(client.get(&complete.text("file")).expect(200).body == file);
    }
}
