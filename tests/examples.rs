//! The applications under `examples/`: views of your own, and a completion hook that is called by local chaining.

mod support;

use http::Method;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use support::{Form, Server, data, server};

/// A file whose first bytes are those of an image.
fn image(len: usize) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".as_slice(), &data::bytes(1, len)].concat()
}

fn form(filename: &str, bytes: &[u8]) -> Form {
    Form::new().field("filename", filename).file("image", "blob", bytes)
}

/// The examples are components of WASI 0.3 only, so there is nothing to test with another manifest.
fn not_here() -> bool {
    server::manifest() != "spin.toml"
}

#[test]
fn a_view_of_ones_own_changes_what_it_says() {
    if not_here() {
        return;
    }
    let server = Server::of_example("examples/own-view");
    let (client, file) = (server.client(), image(1_000));
    let range = format!("bytes 0-99/{}", file.len());

    // The field's name, the validation, and the limit.
    client
        .put_form("/uploads/", &range, Form::new().field("filename", "a.png").file("file", "blob", &file[..100]))
        .expect(400);
    let refusal = json!({"detail": "Send a .png or a .jpg"});
    client.put_form("/uploads/", &range, form("a.txt", &file[..100])).expect_json(422, refusal);
    let limit = json!({"detail": "Size of file exceeds the limit (1000000 bytes)"});
    client.put_form("/uploads/", "bytes 0-99/1000001", form("a.png", &file[..100])).expect_json(400, limit);
    assert_eq!(server.stored(), []);

    // The response's fields.
    let begun = client.put_form("/uploads/", &range, form("a.PNG", &file[..100])).expect(200);
    assert_eq!(begun.text("kind"), "png");
    assert!(begun.json().get("user").is_none());
    let range = format!("bytes 100-{}/{}", file.len() - 1, file.len());
    client.put_form(&begun.text("url"), &range, form("", &file[100..])).expect(200);

    // The response to the completion.
    let complete = client.complete(&begun.text("url"), &data::md5(&file)).expect(201);
    assert_eq!(complete.json()["bytes"], file.len());
    assert!(client.get(&complete.text("image")).expect(200).body == file);
}

#[test]
fn a_view_of_ones_own_reads_the_file_before_it_is_complete() {
    if not_here() {
        return;
    }
    let server = Server::of_example("examples/own-view");
    let (client, file) = (server.client(), data::bytes(1, 100));
    let refusal = json!({"detail": "The file is not an image"});
    let begun = client.put_form("/uploads/", "bytes 0-99/100", form("a.jpg", &file)).expect(200);
    client.complete(&begun.text("url"), &data::md5(&file)).expect_json(422, refusal.clone());
    assert_eq!(client.get(&begun.text("url")).expect(200).json()["status"], 1);
    client.delete(&begun.text("url")).expect(204);

    // Nothing remains of a whole file that is refused.
    let before = server.stored();
    let whole = form("a.jpg", &file).field("md5", &data::md5(&file));
    client.send_form(Method::POST, "/uploads/", &[], whole).expect_json(422, refusal);
    assert_eq!(server.stored(), before);
}

#[test]
fn another_component_decides_on_completions() {
    if not_here() {
        return;
    }
    let server = Server::of_example("examples/completion-hook");
    let (client, file) = (server.client(), data::bytes(1, 1_000));
    let answer = json!({"stored": "a.txt", "md5": data::md5(&file)});
    client.upload_whole("a.txt", &file).expect_json(201, answer);
    client.upload_whole("a.exe", &file).expect_json(422, json!({"detail": "No programs, please"}));
}

/// The requests are shippy's: its URLs, its scheme, and what it reads. tests/clients.rs has its requests to the service
/// itself.
#[test]
fn shippys_server_is_a_view_of_ones_own() {
    if not_here() {
        return;
    }
    let list = "/api/v1/maintainers/chunked_upload/";
    let server = Server::of_example_with("examples/shippy", &[("auth_jwt_secret", "of the tests")]);
    let claims = json!({"sub": "ann", "exp": 4_000_000_000_u64});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(b"of the tests")).unwrap();
    let client = server.client().with_headers(&[("Authorization", &format!("Token {token}"))]);
    let file = data::bytes(1, 3_000);
    let put = |url: &str, filename: &str, from: usize, to: usize| {
        let form = Form::new().field("filename", filename).file("file", "file", &file[from..to]);
        client.put_form(url, &format!("bytes {from}-{}/{}", to - 1, file.len()), form)
    };

    client.get(list).expect_json(200, json!([]));
    assert_eq!(put(list, "build.tar", 0, 1_000).expect(400).text("message"), "The file name was malformed!");
    let begun = put(list, "out/build.zip", 0, 1_000).expect(200);
    let url = format!("{list}{}/", begun.text("id"));
    let refused = put(&url, "out/build.zip", 2_000, 3_000).expect(400);
    assert_eq!(
        (refused.text("message"), refused.text("detail")),
        (refused.text("detail"), "Offsets do not match".into())
    );

    // Another run resumes by the list.
    let attempts = client.get(list).expect(200).json();
    assert_eq!((&attempts[0]["id"], &attempts[0]["offset"]), (&begun.json()["id"], &json!(1_000)));
    put(&url, "out/build.zip", 1_000, 3_000).expect(200);
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&file));
    let complete = client.send_form(Method::POST, &url, &[], Form::new().field("sha256", &digest)).expect(200);
    assert_eq!(complete.text("build_id"), begun.text("id"));
    client.get(list).expect_json(200, json!([]));

    // The URLs of responses lead to the same uploads.
    let state = client.get(&begun.text("url")).expect(200);
    assert!(client.get(&state.text("file")).expect(200).body == file);
    client.delete(&url).expect(204);
}
