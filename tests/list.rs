//! The list of uploads.

mod support;

use std::io::Read;
use std::net::TcpStream;
use std::thread;

use jiff::SignedDuration;
use serde_json::{Value, json};
use support::{Client, Form, Server, copies, data, path_of, server};

fn ids(client: &Client, path: &str) -> Vec<String> {
    let Value::Array(uploads) = client.get(path).expect(200).json() else { panic!("no array") };
    uploads.iter().map(|upload| upload["id"].as_str().unwrap().to_owned()).collect()
}

fn next(client: &Client, path: &str) -> Option<String> {
    let reply = client.get(path).expect(200);
    let link = reply.header("link");
    if link.is_empty() {
        return None;
    }
    Some(link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
}

#[test]
fn uploads_are_listed_oldest_first_and_in_pages() {
    let (_server, client) = Server::with_user(&[]);
    let mut all = Vec::new();
    for number in 0..7 {
        let upload = match number % 2 {
            0 => client.put_chunk("/uploads/", b"abc", 0, 1).expect(200),
            _ => client.upload_whole("f", b"abc").expect(200),
        };
        all.push(upload.text("id"));
    }
    assert_eq!(ids(&client, "/uploads/"), all);
    assert_eq!(ids(&client, "/uploads/?status=1"), [0, 2, 4, 6].map(|number| all[number].clone()));
    assert_eq!(ids(&client, "/uploads/?status=2"), [1, 3, 5].map(|number| all[number].clone()));

    for (query, expected) in
        [("limit=3", &all[..]), ("status=2&limit=2", &[all[1].clone(), all[3].clone(), all[5].clone()][..])]
    {
        let (mut path, mut listed) = (Some(format!("/uploads/?{query}")), Vec::new());
        while let Some(page) = path {
            let found = ids(&client, &page);
            assert!(!found.is_empty() && found.len() <= 3);
            listed.extend(found);
            path = next(&client, &page);
        }
        assert_eq!(listed, expected);
    }
    assert_eq!(next(&client, "/uploads/?limit=7"), None);

    client.delete(&format!("/uploads/{}", all[0])).expect(204);
    assert_eq!(ids(&client, "/uploads/"), all[1..]);
    for query in ["limit=0", "limit=x", "limit=1001", "cursor=x", "status=3"] {
        let name = query.split('=').next().unwrap();
        let detail = json!({"detail": format!("The query's {name} can't be read")});
        client.get(&format!("/uploads/?{query}")).expect_json(400, detail);
    }
}

/// On Spin, a listing and another operation of one instance would wait for each other for ever without the gate in
/// src/spin/wasip3/gate.rs.
#[test]
fn listings_and_uploads_do_not_block_each_other() {
    let (_server, client) = Server::with_user(&[("segment_size", "1")]);
    let file = data::bytes(1, 2_000);
    client.upload_whole("f", &file).expect(200);
    thread::scope(|scope| {
        for number in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for _ in 0..5 {
                    match number % 2 {
                        0 => drop(client.get("/uploads/?limit=1").expect(200)),
                        _ => drop(client.put_chunk("/uploads/", b"abc", 0, 1).expect(200)),
                    }
                }
            });
        }
    });
    assert_eq!(ids(&client, "/uploads/").len(), 21);
}

/// The head of a request by the user who is logged in, without its end.
fn head(client: &Client, method: &str, path: &str) -> String {
    let login: String = server::LOGIN.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{login}", client.address())
}

/// Sends a request for this path, and reads only the beginning of the response.
fn get_slowly(client: &Client, path: &str) -> TcpStream {
    let request = head(client, "GET", path) + "\r\n";
    let (mut connection, mut head) = (client.send_raw(request.as_bytes()), [0; 15]);
    connection.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    connection
}

#[test]
fn a_page_costs_one_listing_and_a_bounded_number_of_records() {
    let (server, client) = Server::with_user(&[]);
    let url = client.begin(b"abc", 1);
    copies::copy(&server, &url, (1..=2_500).map(SignedDuration::from_secs));
    let last = client.upload_whole("f", b"abc").expect(200).text("id");
    // The copies are younger than the last one, which is the second upload of the list.
    assert_eq!(ids(&client, "/uploads/?limit=1&status=2"), std::slice::from_ref(&last));

    let (mut path, mut pages, mut listed) = (Some("/uploads/?limit=5&status=2".to_owned()), 0, Vec::new());
    while let Some(page) = path {
        listed.extend(ids(&client, &page));
        (path, pages) = (next(&client, &page), pages + 1);
    }
    assert_eq!((pages, listed), (3, vec![last]));
    assert_eq!(ids(&client, "/uploads/").len(), 2_502);
    assert_eq!(next(&client, "/uploads/"), None);
}

/// A server with this option of the host that knows users, and a client that is logged in as one of them.
fn with_user_and(option: [&str; 2]) -> (Server, Client) {
    let variables = server::USERS.map(|(name, value)| format!("{name}={value}"));
    let variables = variables.iter().flat_map(|variable| ["--variable", variable]);
    let server = Server::with_options(&option.into_iter().chain(variables).collect::<Vec<_>>());
    let client = server.client().with_headers(&server::LOGIN);
    (server, client)
}

/// The lists of slow clients are not in the instance's memory.
#[test]
fn long_lists_of_slow_clients_fit_an_instance() {
    if server::on_spin() {
        return;
    }
    let (server, client) = with_user_and(["--instance-memory", "32MiB"]);
    let form = Form::new().field("filename", &"\u{1}".repeat(255)).file("file", "f", b"a");
    let url = client.put_form("/uploads/", "bytes 0-0/2", form).expect(200).text("url");
    copies::copy(&server, &url, (1..=4_000).map(SignedDuration::from_secs));

    let _slow: Vec<_> = (0..16).map(|_| get_slowly(&client, "/uploads/")).collect();
    assert_eq!(ids(&client, "/uploads/?limit=1").len(), 1);
    assert_eq!(ids(&client, "/uploads/").len(), 4_001);
}

/// A client that stops in the middle of a download keeps nobody from listing.
#[test]
fn slow_downloads_and_listings_do_not_block_each_other() {
    let (_server, client) = Server::with_user(&[]);
    let file = client.upload_whole("f", &data::bytes(1, 40_000_000)).expect(200).text("file");
    let _slow: Vec<_> = (0..8).map(|_| get_slowly(&client, &path_of(&file))).collect();
    for _ in 0..8 {
        assert_eq!(ids(&client, "/uploads/").len(), 1);
        client.put_chunk("/uploads/", b"abc", 0, 1).expect(200);
        client.get(&file).expect(200);
        for id in &ids(&client, "/uploads/")[1..] {
            client.delete(&format!("/uploads/{id}")).expect(204);
        }
    }
}

/// A client that stops in the middle of an upload keeps nobody from listing.
#[test]
fn slow_uploads_and_listings_do_not_block_each_other() {
    if server::on_spin() {
        return;
    }
    let (_server, client) = with_user_and(["--store-latency", "50ms"]);
    let _slow: Vec<_> = (0..8).map(|_| put_slowly(&client)).collect();
    assert_eq!(ids(&client, "/uploads/").len(), 0);
    client.upload_whole("f", b"abc").expect(200);
    assert_eq!(ids(&client, "/uploads/").len(), 1);
}

/// Sends the first half of a chunk, and leaves the connection open.
fn put_slowly(client: &Client) -> TcpStream {
    let head = head(client, "PUT", "/uploads/")
        + "Content-Range: bytes 0-7999999/8000000\r\n\
           Content-Type: application/octet-stream\r\nContent-Length: 8000000\r\n\r\n";
    let mut request = head.into_bytes();
    request.resize(request.len() + 4_000_000, b'a');
    client.send_raw(&request)
}
