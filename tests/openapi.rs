//! The description at `/openapi.json`. schemathesis finds no difference between the description and the service, and
//! each described response can occur.

mod support;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use http::Method;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use support::{Client, Form, Reply, Server, data, python, server};

const SECRET: &str = "of the tests";
const MANAGE_TOKEN: &str = "of the management";
const UNKNOWN: &str = "/uploads/123e4567-e89b-12d3-a456-426614174000";

fn token() -> String {
    let claims = json!({"sub": "ann", "exp": 4_000_000_000_u64});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// The path parameters of the description for a complete file's URL, as lines for the configuration of schemathesis.
fn file_parameters(client: &Client, file: &str) -> String {
    let path = file.strip_prefix(&client.url("/")).unwrap();
    let parts: Vec<_> = path.split('/').collect();
    let [_, year, month, day, name] = parts[..] else { panic!("{path}") };
    format!(
        "\n[parameters]\n\"path.folder1\" = \"{year}\"\n\"path.folder2\" = \"{month}\"\n\"path.folder3\" = \"{day}\"\n\
         \"path.name\" = \"{name}\"\n"
    )
}

fn check_with_schemathesis(variables: &[(&str, &str)], authorization: &str) {
    let server = Server::with(variables);
    let (client, folder) = (server.client(), tempfile::tempdir().unwrap());
    let form = Form::new().field("filename", "f").field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
    let whole = client.send_form(Method::POST, "/uploads/", &[("Authorization", authorization)], form).expect(200);
    let config = std::fs::read_to_string(server::root().join("tests/openapi/schemathesis.toml")).unwrap();
    let config = file_parameters(&client, &whole.text("file")) + &config;
    std::fs::write(folder.path().join("schemathesis.toml"), config).unwrap();
    let output = Command::new(python::environment("openapi").join("schemathesis"))
        .args(["--config-file", "schemathesis.toml", "run", &client.url("/openapi.json"), "--no-color"])
        .args(["--header", &format!("Authorization: {authorization}")])
        .args(["--seed", "20261123", "--max-examples", "60", "--continue-on-failure", "--generation-database", "none"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Tested: 10"), "{said}");
}

#[test]
fn schemathesis_finds_no_failure() {
    check_with_schemathesis(&[("manage_token", MANAGE_TOKEN)], &format!("Bearer {MANAGE_TOKEN}"));
}

#[test]
fn schemathesis_finds_no_failure_with_users() {
    let variables = [("auth", "jwt"), ("auth_jwt_secret", SECRET), ("manage_token", MANAGE_TOKEN)];
    check_with_schemathesis(&variables, &format!("Bearer {}", token()));
}

/// A client that records the operation and the status of each response.
struct Recorder {
    client: Client,
    token: String,
    seen: BTreeSet<(String, String, String)>,
}

impl Recorder {
    fn send(&mut self, method: &Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let token = if path.starts_with("/manage") { MANAGE_TOKEN } else { &self.token };
        let authorization = format!("Bearer {token}");
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "Authorization") {
            headers.push(("Authorization", &authorization));
        }
        let reply = self.client.send(method.clone(), path, &headers, body);
        self.seen.insert((template(path), method.as_str().to_lowercase(), reply.status.as_str().to_owned()));
        reply
    }

    fn form(&mut self, method: &Method, path: &str, headers: &[(&str, &str)], form: Form) -> Reply {
        let content_type = Form::content_type();
        let headers = [headers, &[("Content-Type", content_type.as_str())]].concat();
        self.send(method, path, &headers, &form.into_body())
    }

    fn chunk(&mut self, path: &str, range: &str, bytes: &[u8]) -> Reply {
        self.form(&Method::PUT, path, &[("Content-Range", range)], Form::new().file("file", "f", bytes))
    }

    fn complete(&mut self, path: &str, md5: &str) -> Reply {
        self.form(&Method::POST, path, &[], Form::new().field("md5", md5))
    }

    fn whole(&mut self, md5: &str) -> Reply {
        self.form(&Method::POST, "/uploads/", &[], Form::new().field("md5", md5).file("file", "f", b"abc"))
    }

    /// Sends one valid request for each operation.
    fn each_operation(&mut self, upload: &str, file: &str, headers: &[(&str, &str)]) {
        for path in ["/", "/openapi.json", "/uploads/", upload, file] {
            self.send(&Method::GET, path, headers, &[]);
        }
        self.send(&Method::POST, "/manage/delete_expired_uploads", headers, &[]);
        let range = [headers, &[("Content-Range", "bytes 0-2/3")]].concat();
        let form = || Form::new().field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
        for path in ["/uploads/", upload] {
            self.form(&Method::PUT, path, &range, form());
            self.form(&Method::POST, path, headers, form());
        }
        self.send(&Method::DELETE, upload, headers, &[]);
    }

    /// Switches to another server.
    fn at(&mut self, server: &Server) {
        self.client = server.client();
    }
}

/// The description's path template for a path or a URL.
fn template(path: &str) -> String {
    let path =
        path.splitn(4, '/').nth(3).filter(|_| path.starts_with("http")).map_or(path.into(), |rest| format!("/{rest}"));
    let path = path.split('?').next().unwrap_or_default();
    match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["uploads", id] if !id.is_empty() => "/uploads/{id}".to_owned(),
        ["chunked_uploads", ..] => "/chunked_uploads/{folder1}/{folder2}/{folder3}/{name}".to_owned(),
        _ => path.to_owned(),
    }
}

fn documented(document: &Value) -> BTreeSet<(String, String, String)> {
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            for status in operation["responses"].as_object().unwrap().keys() {
                documented.insert((path.clone(), method.clone(), status.clone()));
            }
        }
    }
    documented
}

#[test]
fn each_answer_that_is_described_can_be_had() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hook = format!("http://{nobody}/");
    let users = [("auth", "jwt"), ("auth_jwt_secret", SECRET), ("manage_token", MANAGE_TOKEN)];
    let mut server = Server::with(&users);
    let with_hook =
        Server::with(&[&users[..], &[("on_completion_url", &hook), ("on_completion_host", &hook)]].concat());
    let short_lived = Server::with(&[&users[..], &[("expiration_delta", "0s")]].concat());
    let misconfigured = Server::with(&[&users[..], &[("max_bytes", "many")]].concat());
    let document = with_hook.client().get("/openapi.json").expect(200).json();
    assert_eq!(document["servers"], json!([{"url": format!("http://{}", with_hook.address())}]));
    let mut recorder = Recorder { client: server.client(), token: token(), seen: BTreeSet::new() };
    let (post, put, get, delete) = (&Method::POST, &Method::PUT, &Method::GET, &Method::DELETE);

    // Responses to uploads and downloads.
    let upload = recorder.chunk("/uploads/", "bytes 0-2/6", b"abc").expect(200).text("url");
    recorder.chunk(&upload, "bytes 3-5/6", b"def").expect(200);
    let file = recorder.complete(&upload, &data::md5(b"abcdef")).expect(200).text("file");
    recorder.whole(&data::md5(b"abc")).expect(200);
    for path in ["/", "/openapi.json", "/uploads/", &upload, &file] {
        recorder.send(get, path, &[], &[]).expect(200);
    }
    recorder.send(get, &file, &[("Range", "bytes=0-0")], &[]).expect(206);
    recorder.send(get, &file, &[("Range", "bytes=9-")], &[]).expect(416);
    let etag = format!("\"{}\"", data::md5(b"abcdef"));
    recorder.send(get, &file, &[("If-None-Match", &etag)], &[]).expect(304);
    recorder.send(get, &file, &[("If-Match", "\"other\"")], &[]).expect(412);
    recorder.send(get, &file, &[("Range", "bytes=0-0"), ("Range", "bytes=0-0")], &[]).expect(400);
    recorder.send(post, "/manage/delete_expired_uploads", &[], &[]).expect(200);

    // Faults of a request.
    recorder.send(get, "/uploads/?limit=0", &[], &[]).expect(400);
    recorder.send(post, "/manage/delete_expired_uploads?cursor=x", &[], &[]).expect(400);
    recorder.chunk("/uploads/", "x", b"abc").expect(400);
    recorder.whole("x").expect(400);
    recorder.chunk(&upload, "bytes 3-5/6", b"def").expect(400);
    recorder.complete(&upload, "x").expect(400);
    recorder.send(get, "/chunked_uploads/1/2/3/x", &[], &[]).expect(404);
    recorder.send(get, UNKNOWN, &[], &[]).expect(404);
    recorder.send(delete, UNKNOWN, &[], &[]).expect(404);
    recorder.chunk(UNKNOWN, "bytes 0-2/6", b"abc").expect(404);
    recorder.complete(UNKNOWN, "x").expect(404);
    let expired = recorder.chunk("/uploads/", "bytes 0-2/6", b"abc").expect(200).text("url");
    server.age(&expired, 25);
    recorder.chunk(&expired, "bytes 3-5/6", b"abc").expect(410);
    recorder.complete(&expired, "x").expect(410);
    let long = "x".repeat(100_000);
    let open = recorder.chunk("/uploads/", "bytes 0-2/6", b"abc").expect(200).text("url");
    for (method, path, range) in
        [(put, "/uploads/", "bytes 0-2/3"), (post, "/uploads/", ""), (put, &open, "bytes 3-5/6"), (post, &open, "")]
    {
        let form = Form::new().field("a", &long).file("file", "f", b"abc");
        recorder.form(method, path, &[("Content-Range", range)], form).expect(413);
    }
    for path in ["/uploads/", UNKNOWN] {
        recorder.send(post, path, &[("Content-Type", "application/x-tar")], b"abc").expect(415);
    }
    for path in ["/uploads/", UNKNOWN] {
        recorder.send(put, path, &[("Content-Encoding", "gzip")], b"abc").expect(415);
    }
    recorder.each_operation(&upload, &file, &[("Authorization", "Bearer x")]);
    recorder.send(delete, &upload, &[], &[]).expect(204);

    recorder.at(&short_lived);
    recorder.chunk("/uploads/", "bytes 0-2/6", b"abc").expect(410);

    // Faults of the server.
    recorder.at(&misconfigured);
    recorder.each_operation(UNKNOWN, &format!("/chunked_uploads/1/2/3/{}", &UNKNOWN[9..]), &[]);
    recorder.at(&with_hook);
    let upload = recorder.chunk("/uploads/", "bytes 0-2/3", b"abc").expect(200).text("url");
    recorder.complete(&upload, &data::md5(b"abc")).expect(502);
    recorder.whole(&data::md5(b"abc")).expect(502);
    with_hook.database().execute("DROP TABLE spin_key_value", []).unwrap();
    recorder.each_operation(UNKNOWN, &format!("/chunked_uploads/1/2/3/{}", &UNKNOWN[9..]), &[]);

    let (mut documented, seen) = (documented(&document), recorder.seen);
    // Nobody waits for these: a request that takes 12 hours.
    let slow = |path: &str, method: &str| (path.to_owned(), method.to_owned(), "408".to_owned());
    for path in ["/uploads/", "/uploads/{id}"] {
        for method in ["put", "post"] {
            assert!(documented.remove(&slow(path, method)));
        }
    }
    assert_eq!(documented.difference(&seen).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new(), "never had");
    assert_eq!(seen.difference(&documented).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new(), "not told");
}

#[test]
fn the_description_follows_the_settings() {
    let variables = [
        ("field_name", "blob"),
        ("checksum", "sha256"),
        ("checksum_required", "false"),
        ("content_range_end", "exclusive"),
        ("upload_path", "a/%Y"),
    ];
    let document = Server::with(&variables).client().get("/openapi.json").expect(200).json();
    let range = &document["paths"]["/uploads/{id}"]["put"]["parameters"][0];
    assert!(range["description"].as_str().unwrap().contains("after the last byte"), "{range}");
    let form = &document["paths"]["/uploads/"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"];
    let names: Vec<_> = form["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["blob", "filename", "sha256"]);
    assert_eq!(form["required"], json!(["blob", "filename"]));
    let upload = &document["components"]["schemas"]["Upload"];
    assert!(upload["properties"]["sha256"].is_object() && upload["properties"].get("md5").is_none());
    assert!(document["paths"]["/a/{folder1}/{name}"]["get"].is_object());
    let responses = document["paths"]["/uploads/{id}"]["get"]["responses"].as_object().unwrap();
    assert!(!responses.contains_key("401") && responses.contains_key("404"));
    assert!(document["paths"].get("/manage/delete_expired_uploads").is_none());
    assert!(document["info"]["description"].as_str().unwrap().contains("405"));

    // A login that comes along by itself can be another site's doing.
    let statuses = |document: &Value| {
        let responses = document["paths"]["/uploads/{id}"]["delete"]["responses"].as_object().unwrap();
        responses.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(statuses(&document), ["204", "404", "500", "503"]);
    let with_users = Server::with(&server::USERS).client().get("/openapi.json").expect(200).json();
    assert_eq!(statuses(&with_users), ["204", "401", "403", "404", "500", "503"]);
    assert!(with_users["components"]["responses"]["CrossSite"].is_object());
}
