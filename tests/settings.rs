//! Settings, as Spin variables.

mod support;

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;
use spin_chunked_upload::settings::VARIABLES;
use support::{Form, Server, data};

#[test]
fn a_variable_that_can_not_be_read_stops_requests_and_is_named_in_the_log_alone() {
    let server = Server::with(&[("expiration_delta", "soon")]);
    let client = server.client();
    let detail = "The service is not set up right; its log says which variable to mend";
    client.get("/uploads/").expect_json(500, json!({"detail": detail}));
    let told = r#"The variable \"expiration_delta\" can't be read: it must be a duration such as 1d, 12h or 90s"#;
    assert!(server.log().contains(told), "{}", server.log());
    client.put_chunk("/uploads/", b"abc", 0, 3).expect(500);
    assert!(client.head("/uploads/").expect(500).body.is_empty());
    assert_eq!(server.stored(), []);
}

#[test]
fn a_store_that_the_manifest_lacks_stops_requests_and_its_variable_is_in_the_log() {
    let server = Server::with(&[("blob_store", "other")]);
    assert_eq!(server.client().get("/uploads/").expect(500).code(), "invalid_setting");
    assert!(server.log().contains("blob_store"), "{}", server.log());
}

#[test]
fn files_are_named_as_the_settings_say() {
    let server = Server::with(&[("upload_path", "/a b/%Y/"), ("complete_ext", ""), ("incomplete_ext", ".tmp")]);
    let client = server.client();
    let begun = client.put_chunk("/uploads/", b"abc", 0, 3).expect(200);
    let (id, year) = (begun.text("id"), begun.text("created_at")[..4].to_owned());
    assert_eq!(begun.text("file"), format!("http://{}/a%20b/{year}/{id}.tmp", server.address()));
    let complete = client.complete(&begun.text("url"), &data::md5(b"abc")).expect(200);
    assert_eq!(complete.text("file"), format!("http://{}/a%20b/{year}/{id}", server.address()));
    client.get(&complete.text("file")).expect(200);
}

#[test]
fn paths_by_which_nobody_gets_a_file_are_refused() {
    let refused = [
        &[("upload_path", "uploads"), ("complete_ext", "")][..],
        &[("upload_path", "uploads"), ("incomplete_ext", "")],
        &[("upload_path", "../up")],
        &[("upload_path", "a/./b")],
    ];
    for variables in refused {
        let server = Server::with(variables);
        assert_eq!(server.client().upload_whole("f", b"abc").expect(500).code(), "invalid_setting", "{variables:?}");
        assert!(server.log().contains(r#"The variable \"upload_path\""#), "{}", server.log());
    }
    let server = Server::with(&[("upload_path", "uploads")]);
    let file = server.client().upload_whole("f", b"abc").expect(200).text("file");
    assert_eq!(server.client().get(&file).expect(200).body, b"abc");
}

#[test]
fn the_form_is_read_as_the_settings_say() {
    let server = Server::with(&[("field_name", "blob"), ("checksum_required", "false"), ("max_bytes", "5")]);
    let client = server.client();
    let form = |bytes: &[u8]| Form::new().file("blob", "f", bytes);
    let url = client.put_form("/uploads/", "bytes 0-2/3", form(b"abc")).expect(200).text("url");
    client.put_form("/uploads/", "bytes 0-2/3", Form::new().file("file", "f", b"abc")).expect(400);

    // A checksum is checked if the client sends one.
    client.complete(&url, &data::md5(b"")).expect(400);
    client.send(Method::POST, &url, &[], b"").expect(200);
    client.send_form(Method::POST, "/uploads/", &[], form(b"abcde")).expect(200);
    let limit = json!({"detail": "Size of file exceeds the limit (5 bytes)"});
    client.send_form(Method::POST, "/uploads/", &[], form(b"abcdef")).expect_json(400, limit);
}

/// Versions 0.1.7 to 0.3.0 of the peer take the end so.
#[test]
fn the_end_of_a_range_may_be_exclusive() {
    let server = Server::with(&[("content_range_end", "exclusive"), ("max_bytes", "3000")]);
    let (client, file) = (server.client(), data::bytes(1, 3_000));
    let put = |path: &str, range: &str, bytes: &[u8]| {
        client.put_form(path, range, Form::new().field("filename", "f").file("file", "f", bytes))
    };
    let begun = put("/uploads/", "bytes 0-1000/3000", &file[..1_000]).expect(200);
    assert_eq!(begun.header("range"), "bytes=0-999", "RFC 9110's ranges stay what they are");
    let url = begun.text("url");
    let length = json!({"detail": "File size doesn't match headers: file size is 1000 but 999 reported"});
    put(&url, "bytes 1000-1999/3000", &file[1_000..2_000]).expect_json(400, length);
    put(&url, "bytes 1000-2000/*", &file[1_000..2_000]).expect(200);
    let past = json!({"detail": "End of chunk exceeds reported total (3000 bytes)"});
    put(&url, "bytes 2000-3001/3000", &file[1_999..]).expect_json(400, past);
    let limit = json!({"detail": "Size of file exceeds the limit (3000 bytes)"});
    put(&url, "bytes 2000-3001/*", &file[1_999..]).expect_json(400, limit);
    put(&url, "bytes 2000-3000/3000", &file[2_000..]).expect(200);
    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert!(client.get(&complete.text("file")).expect(200).body == file);
    put("/uploads/", "bytes */0", b"").expect(200);
}

#[test]
fn equal_extensions_mean_no_rename() {
    let server = Server::with(&[("complete_ext", ".bin"), ("incomplete_ext", ".bin")]);
    let client = server.client();
    let begun = client.put_chunk("/uploads/", b"abc", 0, 3).expect(200);
    client.get(&begun.text("file")).expect(404);
    let complete = client.complete(&begun.text("url"), &data::md5(b"abc")).expect(200);
    assert_eq!(complete.text("file"), begun.text("file"));
    assert_eq!(client.get(&begun.text("file")).expect(200).body, b"abc");
}

#[test]
fn records_and_bytes_go_to_the_stores_that_the_settings_name() {
    let variables = [("blob_store", "blobs"), ("segment_size", "1000"), ("manage_token", "t")];
    let server = Server::with_stores(&["blobs"], &variables);
    let (client, file) = (server.client(), data::bytes(1, 2_500));
    let url = client.begin(&file, 1_500);
    client.put_chunk(&url, &file, 1_500, 2_500).expect(200);
    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert!(client.get(&complete.text("file")).expect(200).body == file);
    let keys = |store: &str| server.stored_in(store).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert!(keys("default").iter().all(|key| key.starts_with("upload/")));
    assert_eq!(keys("blobs").iter().filter(|key| key.starts_with("data/")).count(), 3);
    // A sweep reads both stores.
    let token = [("Authorization", "Bearer t")];
    client.send(Method::POST, "/manage/delete_expired_uploads", &token, b"").expect(200);
    assert!(client.get(&complete.text("file")).expect(200).body == file);
    client.delete(&url).expect(204);
    assert_eq!(keys("blobs"), Vec::<String>::new());

    let server = Server::with_stores(&["records", "blobs"], &[("store", "records")]);
    server.client().upload_whole("f", b"abc").expect(200);
    assert_eq!((server.stored().len(), server.stored_in("records").len()), (0, 2));
}

#[test]
fn an_upload_expires_when_its_settings_say() {
    for (delta, seconds) in [("90s", 90), ("2h 30m", 9_000), ("1d", 86_400)] {
        let server = Server::with(&[("expiration_delta", delta)]);
        let begun = server.client().put_chunk("/uploads/", b"abc", 0, 1).expect(200);
        let time = |key: &str| begun.text(key).parse::<jiff::Timestamp>().unwrap();
        assert_eq!(time("expires").duration_since(time("created_at")).as_secs(), seconds);
    }
}

/// Spin can't share parts of a manifest, so both manifests have everything that isn't about the component's kind.
#[test]
fn both_manifests_say_the_same() {
    let read = |name: &str| {
        let text = std::fs::read_to_string(support::server::root().join(name)).unwrap();
        let differs = |line: &&str| ["#", "source = ", "command = "].iter().any(|start| line.starts_with(start));
        text.lines().filter(|line| !differs(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(read("spin.toml"), read("spin.wasip2.toml"));
}

/// The code declares the variables, but a manifest has to list each one twice.
#[test]
fn the_manifest_has_each_declared_variable() {
    let text = std::fs::read_to_string(support::server::root().join("spin.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let (application, component) = (&manifest["variables"], &manifest["component"]["upload"]["variables"]);
    let declared: BTreeMap<_, _> = VARIABLES.iter().map(|variable| (variable.name, variable)).collect();
    let named = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<Vec<_>>();

    let names: Vec<_> = declared.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(named(component), names);
    // The manifest's allowed_outbound_hosts use one more variable.
    let others = named(application).into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>();
    assert_eq!(others, ["on_completion_host"]);
    for variable in VARIABLES {
        let (name, entry) = (variable.name, &application[variable.name]);
        assert_eq!(component[name].as_str(), Some(format!("{{{{ {name} }}}}").as_str()));
        assert_eq!(entry["default"].as_str(), Some(variable.default), "the default of {name}");
        let secret = entry.get("secret").and_then(toml::Value::as_bool).unwrap_or_default();
        assert_eq!(secret, variable.secret, "whether {name} is secret");
    }
}

/// docs/settings.md has a row for each variable, with the same words.
#[test]
fn the_documentation_has_each_declared_variable() {
    let text = std::fs::read_to_string(support::server::root().join("docs/settings.md")).unwrap();
    let table = text.split_once("<!-- settings -->").and_then(|(_, rest)| rest.split_once("<!-- /settings -->"));
    let rows = VARIABLES.iter().map(|variable| {
        let default = if variable.default.is_empty() { "none".to_owned() } else { format!("`{}`", variable.default) };
        format!("| `{}` | {default} | {} |\n", variable.name, variable.meaning)
    });
    let expected = format!("| variable | default | meaning |\n| --- | --- | --- |\n{}", rows.collect::<String>());
    assert_eq!(table.unwrap().0.trim_start(), expected, "the table should be:\n{expected}");
}
