//! One instance of the component handles many requests at once. No request sees anything of another.

mod support;

use std::collections::BTreeSet;

use http::Method;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use support::{Client, Form, Server, data};

const SECRET: &str = "of the tests";
/// As many requests as an instance handles at once.
const USERS: u64 = 16;
const UPLOADS: u64 = 8;

#[test]
fn requests_at_once_are_not_mixed_up() {
    let server = Server::with(&[("auth", "jwt"), ("auth_jwt_secret", SECRET), ("segment_size", "1000")]);
    std::thread::scope(|scope| {
        for user in 0..USERS {
            let client = server.client();
            scope.spawn(move || use_as(&client, user));
        }
    });
}

fn use_as(client: &Client, user: u64) {
    let name = format!("user {user}");
    let claims = json!({"sub": name, "exp": 4_000_000_000_u64});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    let authorization = format!("Bearer {token}");
    let mut ids = BTreeSet::new();
    for number in 0..UPLOADS {
        let file = data::bytes(user * UPLOADS + number, 10_000);
        let chunk = |path: &str, range: &str, bytes: &[u8]| {
            let headers = [("Authorization", authorization.as_str()), ("Content-Range", range)];
            let form = Form::new().field("filename", &format!("{name}.{number}")).file("file", "f", bytes);
            client.send_form(Method::PUT, path, &headers, form).expect(200)
        };
        let begun = chunk("/uploads/", "bytes 0-4999/10000", &file[..5_000]);
        assert_eq!((begun.text("user"), begun.text("filename")), (name.clone(), format!("{name}.{number}")));
        chunk(&begun.text("url"), "bytes 5000-9999/10000", &file[5_000..]);
        let form = Form::new().field("md5", &data::md5(&file));
        let headers = [("Authorization", authorization.as_str())];
        let complete = client.send_form(Method::POST, &begun.text("url"), &headers, form).expect(200);
        assert!(client.get_with(&complete.text("file"), &headers).expect(200).body == file);
        ids.insert(complete.text("id"));
    }
    let list = client.get_with("/uploads/", &[("Authorization", &authorization)]).expect(200).json();
    let listed: BTreeSet<String> =
        list.as_array().unwrap().iter().map(|upload| upload["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, ids);
}
