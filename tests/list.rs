//! The list of uploads.

mod support;

use std::thread;

use serde_json::{Value, json};
use support::{Client, Server, data};

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
