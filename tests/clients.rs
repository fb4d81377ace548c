//! Clients that were written for drf-chunked-upload: the requests that each sends, in the form that its library gives
//! them, and what each reads of the responses. docs/clients.md says what each needs. The clients' sources are public; they
//! were read in November 2026.

mod support;

use http::Method;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use sha2::Digest;
use support::{Client, Reply, Server, data, path_of};

const SECRET: &str = "a secret of the tests";

/// A server whose users have tokens, and the token of one of them.
fn with_tokens(variables: &[(&str, &str)]) -> (Server, String) {
    let claims = json!({"sub": "ann", "exp": 4_000_000_000_u64});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    (Server::with(&[&[("auth", "jwt"), ("auth_jwt_secret", SECRET)], variables].concat()), token)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

/// A part of a form, as a library writes it.
enum Part<'a> {
    Field(&'a str, &'a str),
    /// A file with its name, and its type if the library gives one.
    File(&'a str, &'a str, Option<&'a str>, &'a [u8]),
}

use Part::{Field, File};

fn form(boundary: &str, parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let (head, bytes) = match part {
            Field(name, value) => (format!("name=\"{name}\"\r\n"), value.as_bytes()),
            File(name, filename, None, bytes) => (format!("name=\"{name}\"; filename=\"{filename}\"\r\n"), *bytes),
            File(name, filename, Some(kind), bytes) => {
                (format!("name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: {kind}\r\n"), *bytes)
            }
        };
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

/// A program that sends requests by one library.
struct Program {
    client: Client,
    boundary: &'static str,
}

impl Program {
    /// Python's requests. `more` are the headers that the program itself adds.
    fn of_requests(server: &Server, more: &[(&str, &str)]) -> Self {
        let own = [
            ("User-Agent", "python-requests/2.31.0"),
            ("Accept-Encoding", "gzip, deflate"),
            ("Accept", "*/*"),
            ("Connection", "keep-alive"),
        ];
        let client = server.client().with_headers(&own).with_headers(more);
        Self { client, boundary: "0d5b1f3c9a7e4f26b8c1d2e3f4a5b6c7" }
    }

    /// A page's script: axios, fetch or Angular's HttpClient.
    fn of_a_page(server: &Server, more: &[(&str, &str)]) -> Self {
        let own = [
            ("Accept", "application/json, text/plain, */*"),
            ("Accept-Language", "en-GB,en;q=0.9"),
            ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0.0.0 Safari/537.36"),
        ];
        let client = server.client().with_headers(&own).with_headers(more);
        Self { client, boundary: "----WebKitFormBoundaryePkpFF7tjBAqx29L" }
    }

    /// HTTPie.
    fn of_httpie(server: &Server) -> Self {
        let own = [("User-Agent", "HTTPie/1.0.3"), ("Accept-Encoding", "gzip, deflate"), ("Accept", "*/*")];
        Self { client: server.client().with_headers(&own), boundary: "f8a3c5d7e9b14a6c8d0e2f4a6b8c0d1e" }
    }

    fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], parts: &[Part<'_>]) -> Reply {
        let content_type = format!("multipart/form-data; boundary={}", self.boundary);
        let headers = [headers, &[("Content-Type", content_type.as_str())]].concat();
        self.client.send(method, url, &headers, &form(self.boundary, parts))
    }

    fn put(&self, url: &str, range: &str, parts: &[Part<'_>]) -> Reply {
        self.send(Method::PUT, url, &[("Content-Range", range)], parts)
    }

    fn post(&self, url: &str, parts: &[Part<'_>]) -> Reply {
        self.send(Method::POST, url, &[], parts)
    }

    /// Posts fields as a form in a URL's encoding.
    fn post_fields(&self, url: &str, headers: &[(&str, &str)], fields: &str) -> Reply {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.client.send(Method::POST, url, &[headers, &[kind]].concat(), fields.as_bytes())
    }

    fn post_json(&self, url: &str, content_type: &str, body: &str) -> Reply {
        self.client.send(Method::POST, url, &[("Content-Type", content_type)], body.as_bytes())
    }

    fn assert_served(&self, complete: &Reply, file: &[u8]) {
        assert_eq!(complete.json()["status"], 2);
        assert!(self.client.get(&path_of(&complete.text("file"))).expect(200).body == file);
    }
}

fn offset(reply: &Reply) -> usize {
    reply.json()["offset"].as_u64().unwrap().try_into().unwrap()
}

fn inclusive(from: usize, to: usize, total: usize) -> String {
    format!("bytes {from}-{}/{total}", to - 1)
}

/// shippy (shipperstack): it makes URLs of its own from `id`, and resumes at the last upload of the list that has the same
/// filename.
#[test]
fn shippy() {
    const CHUNK: usize = 1_000_000;
    for (checksum, digest) in [("md5", data::md5 as fn(&[u8]) -> String), ("sha256", sha256)] {
        let (server, token) = with_tokens(&[("checksum", checksum)]);
        let authorization = format!("Token {token}");
        let headers = [("User-Agent", "shippy 2.1.0"), ("Authorization", authorization.as_str())];
        let program = Program::of_requests(&server, &headers);
        let (file, path) = (data::bytes(1, 2 * CHUNK + 500), "out/target/product/lineage-20.zip");
        let put = |id: Option<&str>, from: usize| {
            let url = id.map_or("/uploads/".to_owned(), |id| format!("/uploads/{id}/"));
            let to = file.len().min(from + CHUNK);
            let parts = [Field("filename", path), File("file", "file", None, &file[from..to])];
            program.put(&url, &inclusive(from, to, file.len()), &parts).expect(200)
        };

        program.client.get("/uploads/").expect_json(200, json!([]));
        let id = put(None, 0).text("id");
        put(Some(&id), CHUNK);
        // Another run of the program.
        let list = program.client.get("/uploads/").expect(200).json();
        let attempt = list.as_array().unwrap().iter().rfind(|attempt| attempt["filename"] == path).unwrap();
        assert_eq!((attempt["offset"].as_u64(), attempt["id"].as_str()), (Some(2 * CHUNK as u64), Some(id.as_str())));
        assert!(attempt["created_at"].is_string());
        put(Some(&id), 2 * CHUNK);
        let fields = format!("{checksum}={}", digest(&file));
        let complete = program.post_fields(&format!("/uploads/{id}/"), &[], &fields).expect(200);
        program.assert_served(&complete, &file);
    }
}

/// sample-chunked-upload (PSU-CSAR), of the laboratory that drf-chunked-upload comes from: the end of its ranges is the
/// offset after the last byte, and its last `Content-Range` comes again with the completion.
#[test]
fn sample_chunked_upload() {
    const CHUNK: usize = 1 << 22;
    let (server, token) = with_tokens(&[("content_range_end", "exclusive")]);
    let authorization = format!("Token {token}");
    let program = Program::of_requests(&server, &[("Authorization", &authorization)]);
    let file = data::bytes(2, 2 * CHUNK + 1_000);
    let (md5, total) = (data::md5(&file), file.len());

    program.client.get("/uploads/").expect(200);
    let named = [Field("filename", "aoi.zip"), Field("md5", &md5), File("file", "file", None, &file[..CHUNK])];
    let mut reply = program.put("/uploads/", &format!("bytes 0-{CHUNK}/{total}"), &named).expect(200);
    let mut range = String::new();
    for index in 1..3 {
        let (from, to) = (offset(&reply), total.min(CHUNK * (index + 1)));
        range = format!("bytes {from}-{to}/{total}");
        reply = program.put(&reply.text("url"), &range, &[File("file", "file", None, &file[from..to])]).expect(200);
    }
    let fields = format!("filename=aoi.zip&md5={md5}");
    let complete = program.post_fields(&reply.text("url"), &[("Content-Range", &range)], &fields).expect(200);
    program.assert_served(&complete, &file);

    // `--no_chunks`.
    let whole = [Field("filename", "aoi.zip"), Field("md5", &md5), File("file", "file", None, &file)];
    program.assert_served(&program.post("/uploads/", &whole).expect(200), &file);
}

/// The client of Garmonik/Chunked_upload. Its login is HTTP's own; without users, nobody reads it.
#[test]
fn garmonik() {
    const CHUNK: usize = 2_097_152;
    let server = Server::start();
    let program = Program::of_requests(&server, &[("Authorization", "Basic cXFxOnFxcQ==")]);
    let (file, name) = (data::bytes(3, CHUNK + 7), "BioShock - Trailer.mp4");
    let (mut url, mut from) = ("/uploads/".to_owned(), 0);
    for chunk in file.chunks(CHUNK) {
        let parts = [Field("filename", name), File("file", "file", None, chunk)];
        let reply = program.put(&url, &inclusive(from, from + chunk.len(), file.len()), &parts).expect(200);
        (url, from) = (reply.text("url"), offset(&reply));
    }
    let complete = program.post_fields(&url, &[], &format!("md5={}", data::md5(&file))).expect(200);
    assert_eq!(complete.text("filename"), name);
    program.assert_served(&complete, &file);
}

/// The probe of PodAdmin (Toulouse), which removes its upload in the end.
#[test]
fn pod_probe() {
    const CHUNK: usize = 1 << 20;
    let (server, token) = with_tokens(&[]);
    let authorization = format!("Token {token}");
    let program = Program::of_requests(&server, &[("Authorization", &authorization)]);
    let (file, name) = (data::bytes(4, 3 * CHUNK), "test_chunk_podadmin.bin");
    let (mut url, mut from) = ("/uploads/".to_owned(), 0);
    for chunk in file.chunks(CHUNK) {
        let parts = [Field("filename", name), File("file", name, Some("application/octet-stream"), chunk)];
        let reply = program.put(&url, &inclusive(from, from + CHUNK, file.len()), &parts).expect(200);
        (url, from) = (reply.text("url"), offset(&reply));
    }
    let complete = program.post_fields(&url, &[], &format!("md5={}", data::md5(&file))).expect(200);
    program.client.delete(&complete.text("url")).expect(204);
    program.client.get(&url).expect(404);
}

/// nuxt-chunked-upload (tngeene), by axios. Its md5 stays empty, so it needs `checksum_required=false`.
#[test]
fn nuxt_chunked_upload() {
    const CHUNK: usize = 1_000_000;
    let file = data::bytes(5, CHUNK + 9);
    let upload = |server: &Server| {
        let program = Program::of_a_page(server, &[]);
        let (mut url, mut from) = ("/uploads/".to_owned(), 0);
        for chunk in file.chunks(CHUNK) {
            let to = from + chunk.len();
            let parts = [File("file", "blob", Some("video/mp4"), chunk), Field("filename", "film.mp4")];
            let reply = program.put(&url, &inclusive(from, to, file.len()), &parts).expect(200);
            (url, from) = (reply.text("url"), to);
        }
        let complete = program.post_json(&url, "application/json;charset=utf-8", r#"{"md5":""}"#);
        (program, complete)
    };
    let server = Server::with(&[("checksum_required", "false")]);
    let (program, complete) = upload(&server);
    program.assert_served(&complete.expect(200), &file);

    let server = Server::start();
    let required = json!({"detail": "Checksum of type 'md5' is required"});
    upload(&server).1.expect_json(400, required);
}

/// CinderFrontend and cupcake-ng (noatgnu), by Angular's HttpClient. They change `http://` of a `url` to `https://`, unless
/// the host is localhost, so `public_url` must be the URL of the proxy that has TLS.
#[test]
fn cinder_and_cupcake_ng() {
    const CHUNK: usize = 1 << 20;
    let (server, token) = with_tokens(&[("checksum", "sha256"), ("public_url", "https://files.example")]);
    for scheme in ["Token", "Bearer"] {
        let authorization = format!("{scheme} {token}");
        let headers = [("Authorization", authorization.as_str()), ("Origin", "https://files.example")];
        let program = Program::of_a_page(&server, &headers);
        let file = data::bytes(6, 2 * CHUNK + 11);
        let (mut url, mut from) = ("/uploads/".to_owned(), 0);
        while from < file.len() {
            let to = file.len().min(from + CHUNK);
            let parts = [File("file", "raw.txt", Some("text/plain"), &file[from..to]), Field("filename", "raw.txt")];
            let reply = program.put(&url, &inclusive(from, to, file.len()), &parts).expect(200);
            assert!(reply.text("url").starts_with("https://files.example/uploads/"));
            (url, from) = (path_of(&reply.text("url")), offset(&reply));
        }
        let complete = program.post(&url, &[Field("sha256", &sha256(&file))]).expect(200);
        assert!(complete.text("completed_at").ends_with('Z'));
        program.assert_served(&complete, &file);

        // A file that is smaller than a chunk.
        let small = &file[..1_000];
        let digest = sha256(small);
        let parts = [
            Field("sha256", &digest),
            File("file", "raw.txt", Some("text/plain"), small),
            Field("filename", "raw.txt"),
        ];
        program.assert_served(&program.post("/uploads/", &parts).expect(200), small);
    }
}

/// The worker of cupcake-ng: its `Content-Range` is a field of the form, which neither server reads.
#[test]
fn the_worker_of_cupcake_ng_can_not_be_served() {
    let (server, token) = with_tokens(&[("checksum", "sha256")]);
    let authorization = format!("Bearer {token}");
    let program = Program::of_a_page(&server, &[("Authorization", &authorization)]);
    let parts = [
        File("file", "f.txt", Some("text/plain"), b"abc"),
        Field("filename", "f.txt"),
        Field("Content-Range", "bytes 0-2/6"),
    ];
    let refused = program.send(Method::PUT, "/uploads/", &[], &parts);
    refused.expect_json(400, json!({"detail": "Error in request headers"}));
}

/// cupcake-vanilla-ng (noatgnu): URLs of its own from `id`, and up to ten more fields with each chunk and with the
/// completion.
#[test]
fn cupcake_vanilla_ng() {
    const CHUNK: usize = 1 << 20;
    let (server, token) = with_tokens(&[("checksum", "sha256")]);
    let authorization = format!("Bearer {token}");
    let program = Program::of_a_page(&server, &[("Authorization", &authorization)]);
    let more = || {
        [
            Field("upload_session_id", "7"),
            Field("metadata_table_id", "12"),
            Field("create_pools", "true"),
            Field("replace_existing", "false"),
            Field("override_sample_count", "false"),
            Field("validate_only", "false"),
            Field("schema_names", "default,human"),
            Field("skip_ontology", "false"),
            Field("use_ols_cache_only", "false"),
            Field("apply_schema_templates", "true"),
        ]
    };
    let file = data::bytes(7, CHUNK + 13);
    let put = |url: &str, from: usize, to: usize| {
        let chunk = File("file", "s.tsv", Some("text/tab-separated-values"), &file[from..to]);
        let parts: Vec<_> = [chunk, Field("filename", "s.tsv")].into_iter().chain(more()).collect();
        program.put(url, &inclusive(from, to, file.len()), &parts).expect(200)
    };
    let begun = put("/uploads/", 0, CHUNK);
    let url = format!("/uploads/{}/", begun.text("id"));
    assert_eq!(offset(&program.client.get(&url).expect(200)), CHUNK);
    put(&url, offset(&begun), file.len());
    let digest = sha256(&file);
    let parts: Vec<_> = [Field("sha256", &digest)].into_iter().chain(more()).collect();
    program.assert_served(&program.post(&url, &parts).expect(200), &file);

    let whole = File("file", "s.tsv", Some("text/tab-separated-values"), &file);
    let parts: Vec<_> =
        [whole, Field("filename", "s.tsv")].into_iter().chain(more()).chain([Field("sha256", &digest)]).collect();
    program.assert_served(&program.post("/uploads/", &parts).expect(200), &file);

    // Cancelling.
    let url = format!("/uploads/{}/", put("/uploads/", 0, CHUNK).text("id"));
    program.client.delete(&url).expect(204);
}

/// The documentation of Pulp 3 when it used drf-chunked-upload: HTTPie without a field `filename`, and a completion in
/// JSON. Its example names a total that is larger than its file, which completes at the peer alone.
#[test]
fn pulps_documentation() {
    let server = Server::start();
    let program = Program::of_httpie(&server);
    let file = data::bytes(8, 10_485);
    let chunks = [("chunkaa", 0, 6_291), ("chunkab", 6_291, 10_485)];
    let upload = |total: usize| {
        let mut url = "/uploads/".to_owned();
        for (name, from, to) in chunks {
            let reply = program.put(&url, &inclusive(from, to, total), &[File("file", name, None, &file[from..to])]);
            url = format!("/uploads/{}/", reply.expect(200).text("id"));
        }
        program.post_json(&url, "application/json", &format!(r#"{{"md5": "{}"}}"#, data::md5(&file)))
    };
    let complete = upload(file.len()).expect(200);
    assert_eq!(complete.text("filename"), "chunkaa");
    program.assert_served(&complete, &file);
    assert_eq!(upload(32_095).expect(400).code(), "upload_incomplete");
}

/// drf-chunked-upload-example (m3hrdadfi), by jQuery File Upload: each chunk goes to the URL of the list, with the field
/// `upload_id`, which only a fork of the peer reads. A file of one chunk comes without a `Content-Range`, which both refuse.
#[test]
fn the_example_of_m3hrdadfi_can_not_be_served() {
    let server = Server::start();
    let page = [("X-Requested-With", "XMLHttpRequest"), ("X-CSRFToken", "t")];
    let program = Program::of_a_page(&server, &page);
    let file = data::bytes(9, 3_000);
    let disposition = ("Content-Disposition", "attachment; filename=\"a%20b.png\"");
    let put = |headers: &[(&str, &str)], id: Option<&str>, bytes: &[u8]| {
        let id = id.map(|id| Field("upload_id", id));
        let parts: Vec<_> = id.into_iter().chain([File("file", "a b.png", Some("image/png"), bytes)]).collect();
        program.send(Method::PUT, "/uploads/", headers, &parts)
    };
    let begun = put(&[("Content-Range", "bytes 0-999/3000"), disposition], None, &file[..1_000]).expect(200);
    // jQuery File Upload goes on after the last byte of this header, if there is one.
    assert_eq!(begun.header("range"), "bytes=0-999");
    let next = [("Content-Range", "bytes 1000-1999/3000"), disposition];
    let refused = put(&next, Some(&begun.text("id")), &file[1_000..2_000]).expect(400);
    assert_eq!((refused.code(), refused.json()["expected_offset"].clone()), ("offset_mismatch".into(), Value::from(0)));
    put(&[], None, b"abc").expect_json(400, json!({"detail": "Error in request headers"}));
}
