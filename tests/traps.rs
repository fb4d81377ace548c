//! A request that traps ends its instance, and all requests that this instance handles. It harms no other upload: a
//! client can continue each one at its offset, and the next request is served.

mod support;

use std::io::Read;

use support::{Form, Server, data, server};

/// As many requests as an instance handles at once, without the one that traps.
const OTHERS: usize = 15;

#[test]
fn a_request_that_traps_harms_no_upload() {
    // The component is for WASI 0.3 only.
    if server::manifest() != "spin.toml" {
        return;
    }
    let (server, file) = (Server::of_example("tests/trapping-view"), data::bytes(1, 3_000_000));
    let client = server.client();
    let urls: Vec<_> = (0..OTHERS).map(|_| client.begin(&file, 1_000_000)).collect();
    let values = server.stored().len();

    // Each of these requests is in the middle of a chunk, and a segment of the chunk is stored.
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
    let failed = client.put_form("/uploads/", "bytes 0-2/3", trap).expect(500);
    assert!(server::on_spin() || failed.code() == "component_failed", "{failed:?}");
    let log = std::fs::read_to_string(server.state().join("logs/trapping_stderr.txt")).unwrap_or_default();
    assert!(log.contains("as it was told"), "{log}");

    for (connection, url) in others.iter_mut().zip(&urls) {
        let mut answer = String::new();
        // Requests of the same instance have failed. The others end in the middle of the body, and their exact response
        // does not matter.
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = connection.read_to_string(&mut answer);
        assert!(!answer.starts_with("HTTP/1.1 200 "), "half a chunk was taken: {answer}");
        assert_eq!(client.get(url).expect(200).json()["offset"], 1_000_000);
        client.put_chunk(url, &file, 1_000_000, 3_000_000).expect(200);
        let complete = client.complete(url, &data::md5(&file)).expect(200);
        assert!(client.get(&complete.text("file")).expect(200).body == file);
    }
}
