//! drf-chunked-upload and this service side by side.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use http::Method;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::server::root;
use crate::support::{Client, Form, Reply, Server, python};

const SECRET: &str = "of the tests";
const UUID_LEN: usize = 36;

/// Both servers. They have different ids for an upload, so the tests use the path at this service for both.
pub struct Pair {
    ours: Client,
    peer: Client,
    /// The peer's path for each path at this service.
    paths: Mutex<HashMap<String, String>>,
    server: Server,
    peer_server: Peer,
}

/// A request that puts a chunk, with or without faults.
#[derive(Clone)]
pub struct Put<'a> {
    pub path: String,
    pub range: Option<Cow<'a, str>>,
    pub file: Option<&'a [u8]>,
    pub filename: Option<String>,
    pub user: Option<usize>,
}

impl<'a> Put<'a> {
    /// A request without faults that puts the bytes `from..to` of the file.
    pub fn chunk(path: &str, file: &'a [u8], from: usize, to: usize) -> Self {
        Self {
            path: path.to_owned(),
            range: Some(format!("bytes {from}-{}/{}", to - 1, file.len()).into()),
            file: Some(&file[from..to]),
            filename: Some("f.bin".to_owned()),
            user: Some(1),
        }
    }
}

/// The rows of the table that have been seen.
#[derive(Default)]
pub struct Seen {
    rows: BTreeSet<usize>,
    context: String,
}

impl Seen {
    /// For a sequence of requests with this seed.
    pub fn of(seed: u64) -> Self {
        Self { context: format!("seed {seed}: "), ..Self::default() }
    }

    /// Fails if a row of the table was never seen.
    pub fn check_all_rows(&self) {
        for (number, row) in rows().iter().enumerate() {
            assert!(self.rows.contains(&number), "never seen: {row:?}");
        }
    }
}

impl Pair {
    /// Starts both servers with this expiration in seconds and this limit in bytes.
    pub fn start(expiration: u32, max_bytes: Option<usize>) -> Self {
        let (seconds, limit) = (format!("{expiration}s"), max_bytes.map(|limit| limit.to_string()).unwrap_or_default());
        let server = Server::with(&[
            ("auth", "jwt"),
            ("auth_jwt_secret", SECRET),
            ("expiration_delta", &seconds),
            ("max_bytes", &limit),
        ]);
        let peer = Peer::start(expiration, &limit);
        Self {
            ours: server.client(),
            peer: Client::new(&peer.address),
            paths: Mutex::default(),
            server,
            peer_server: peer,
        }
    }

    /// Moves the creation time of an upload back by two days, at both servers.
    pub fn age(&mut self, path: &str) {
        self.server.age(path, 48);
        let peer_path = self.paths.lock().unwrap()[path].clone();
        self.peer_server.age(peer_path.rsplit('/').next().unwrap());
    }

    /// Begins an upload with the first `to` bytes of the file.
    pub fn begin(&self, seen: &mut Seen, file: &[u8], to: usize) -> String {
        let (ours, peer) = self.put_both(&Put::chunk("/uploads/", file, 0, to));
        assert!(compare(seen, "begin", &ours, &peer));
        let path = |reply: &Reply| format!("/uploads/{}", reply.text("id"));
        self.paths.lock().unwrap().insert(path(&ours), path(&peer));
        path(&ours)
    }

    /// The offset of the upload at this service.
    pub fn offset(&self, path: &str) -> Option<usize> {
        let reply = self.ours.get_with(path, &[("Authorization", &ours_auth(1))]);
        reply.json()["offset"].as_u64()?.try_into().ok()
    }

    /// Puts a chunk, and says whether the responses are the same. Fails if they differ and no row says so.
    pub fn put(&self, seen: &mut Seen, put: &Put<'_>) -> bool {
        let (ours, peer) = self.put_both(put);
        let what = format!("PUT {} {:?} {:?} bytes as {:?}", put.path, put.range, put.file.map(<[u8]>::len), put.user);
        compare(seen, &what, &ours, &peer)
    }

    fn put_both(&self, put: &Put<'_>) -> (Reply, Reply) {
        let form = || {
            let named = put.filename.iter().fold(Form::new(), |form, name| form.field("filename", name));
            put.file.iter().fold(named, |form, bytes| form.file("file", "blob", bytes)).into_body()
        };
        let content_type = Form::content_type();
        let range = put.range.iter().map(|range| ("Content-Range", range.as_ref()));
        let headers: Vec<_> = range.chain([("Content-Type", content_type.as_str())]).collect();
        self.both(&Method::PUT, &put.path, put.user, &headers, &form())
    }

    /// Completes an upload.
    pub fn complete(&self, seen: &mut Seen, path: &str, user: Option<usize>, md5: &str) -> bool {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send(seen, Method::POST, path, user, &form, format!("md5={md5}").as_bytes())
    }

    /// Posts a multipart form.
    pub fn post_form(&self, seen: &mut Seen, path: &str, user: Option<usize>, form: Form) -> bool {
        self.send(seen, Method::POST, path, user, &[("Content-Type", &Form::content_type())], &form.into_body())
    }

    /// Puts a multipart form.
    pub fn put_form(&self, seen: &mut Seen, path: &str, user: Option<usize>, range: &str, form: Form) -> bool {
        let headers = [("Content-Range", range), ("Content-Type", &Form::content_type())];
        self.send(seen, Method::PUT, path, user, &headers, &form.into_body())
    }

    /// Sends any request.
    pub fn send(
        &self,
        seen: &mut Seen,
        method: Method,
        path: &str,
        user: Option<usize>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> bool {
        let (ours, peer) = self.both(&method, path, user, headers, body);
        let what = format!("{method} {path} {headers:?} {} as {user:?}", String::from_utf8_lossy(body));
        compare(seen, &what, &ours, &peer)
    }

    /// Sends a `GET` with a token that neither server accepts.
    pub fn with_bad_token(&self, seen: &mut Seen, path: &str) -> bool {
        let ours = self.ours.get_with(path, &[("Authorization", "Bearer x")]);
        let peer = self.peer.get_with(path, &[("Authorization", "Token x")]);
        compare(seen, "a bad token", &ours, &peer)
    }

    fn both(
        &self,
        method: &Method,
        path: &str,
        user: Option<usize>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Reply, Reply) {
        let peer_path = self.paths.lock().unwrap().get(path).cloned().unwrap_or_else(|| path.to_owned());
        let send = |client: &Client, path: &str, authorization: Option<String>| {
            let mut headers = headers.to_vec();
            headers.extend(authorization.iter().map(|value| ("Authorization", value.as_str())));
            client.send(method.clone(), path, &headers, body)
        };
        let ours = send(&self.ours, path, user.map(ours_auth));
        (ours, send(&self.peer, &peer_path, user.map(|user| format!("Token token{user}"))))
    }
}

fn ours_auth(user: usize) -> String {
    let claims = json!({"sub": user.to_string(), "exp": 4_000_000_000_u64});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    format!("Bearer {token}")
}

/// Says whether the responses are the same. Fails if they differ and no row of the table says so.
fn compare(seen: &mut Seen, what: &str, ours: &Reply, peer: &Reply) -> bool {
    let (our_answer, peer_answer) = (normal(ours), normal(peer));
    if our_answer == peer_answer {
        if has_code(ours) {
            seen.rows.insert(row_of_codes());
        }
        return true;
    }
    let (our_gist, peer_gist) = (gist(ours), gist(peer));
    let row = rows().iter().position(|row| fits(&row.peer, &peer_gist) && fits(&row.here, &our_gist));
    let Some(row) = row else {
        panic!("{}{what}:\nours {our_answer:#}\npeer {peer_answer:#}", seen.context);
    };
    seen.rows.insert(row);
    false
}

fn has_code(reply: &Reply) -> bool {
    serde_json::from_slice::<Value>(&reply.body).is_ok_and(|body| body.get("code").is_some())
}

/// The row that is about every fault, and not about a particular one.
fn row_of_codes() -> usize {
    rows().iter().position(|row| row.peer == "(a fault)").expect("a row about codes")
}

/// The parts of a response that must be the same.
fn normal(reply: &Reply) -> Value {
    let allow = match reply.status.as_u16() {
        405 => reply.header("allow").split(", ").filter(|method| !["DELETE", "OPTIONS"].contains(method)).collect(),
        _ => BTreeSet::new(),
    };
    let body = serde_json::from_slice(&reply.body).map_or(Value::Null, normal_value);
    json!({"status": reply.status.as_u16(), "type": reply.header("content-type"), "allow": allow, "body": body})
}

fn normal_value(value: Value) -> Value {
    match value {
        Value::Array(values) => {
            let mut values: Vec<_> = values.into_iter().map(normal_value).collect();
            values.sort_by_key(Value::to_string);
            values.into()
        }
        Value::Object(mut fields) => {
            for ours_alone in ["expires", "md5", "code"] {
                fields.remove(ours_alone);
            }
            if fields.contains_key("expected_offset") {
                fields.remove("offset");
            }
            fields.into_iter().map(|(name, value)| (name.clone(), normal_field(&name, value))).collect()
        }
        other => other,
    }
}

fn normal_field(name: &str, value: Value) -> Value {
    match (name, value) {
        ("id", Value::String(id)) => id.len().into(),
        // The path without the id.
        ("url" | "file", Value::String(url)) => {
            let path = url.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
            let at = path.find(|_: char| true).and(path.rfind('/')).map_or(0, |slash| slash + 1);
            format!("{}{}", &path[..at], &path[(at + UUID_LEN).min(path.len())..]).into()
        }
        // A time in whole seconds has no fraction. This happens once in a million times.
        ("created_at" | "completed_at", Value::String(time)) => {
            without_numbers(&time, "0").replace("0.0Z", "0Z").into()
        }
        // The user is a number at the peer, and a name at this service.
        ("user", Value::Number(user)) => user.to_string().into(),
        ("detail", Value::String(detail)) => match detail.split_once(" parse error - ") {
            Some((kind, _)) => format!("{kind} parse error").into(),
            None => detail.into(),
        },
        (_, value) => value,
    }
}

/// A response in the words of the table.
fn gist(reply: &Reply) -> String {
    let status = reply.status.as_u16();
    let Ok(body) = serde_json::from_slice::<Value>(&reply.body) else {
        return status.to_string();
    };
    let detail = &body["detail"];
    let text = match detail {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            fields.values().next().and_then(|texts| texts[0].as_str()).unwrap_or_default().to_owned()
        }
        _ if body.get("offset").is_some() => "(upload)".to_owned(),
        _ => String::new(),
    };
    format!("{status} {}", without_numbers(&text, "#"))
}

/// The text with each number replaced.
fn without_numbers(text: &str, by: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for character in text.chars() {
        if !character.is_ascii_digit() {
            out.push(character);
        } else if !in_number {
            out.push_str(by);
        }
        in_number = character.is_ascii_digit();
    }
    out
}

#[derive(Debug)]
struct Row {
    peer: String,
    here: String,
}

fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let table = include_str!("differences.md").lines().filter(|line| line.starts_with("| ")).skip(2);
        let cells = table.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
        cells.map(|cells| Row { peer: cells[0].to_owned(), here: cells[1].to_owned() }).collect()
    })
}

/// Whether a response is what a cell says; `…` stands for any text.
fn fits(cell: &str, gist: &str) -> bool {
    match cell.split_once('…') {
        None => cell == gist,
        Some((start, end)) => gist.starts_with(start.trim_end()) && gist.ends_with(end),
    }
}

/// drf-chunked-upload under gunicorn.
struct Peer {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Peer {
    fn start(expiration: u32, max_bytes: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(python::environment("peer").join("gunicorn"))
            .args(["--preload", "--workers", "2", "--bind", "127.0.0.1:0", "peer:application"])
            .current_dir(root().join("tests/peer"))
            .env("PEER_FOLDER", folder.path())
            .env("PEER_EXPIRATION_SECONDS", expiration.to_string())
            .env("PEER_MAX_BYTES", max_bytes)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // gunicorn keeps a socket in the home folder.
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("gunicorn starts");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("Listening at: http://")?.1.split(' ').next()?.to_owned()));
        // gunicorn must not wait for a reader of its output.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: address.expect("gunicorn says where it listens"), folder }
    }

    /// Django writes a UUID without its dashes into SQLite.
    fn age(&self, id: &str) {
        let update =
            "UPDATE drf_chunked_upload_chunkedupload SET created_at = datetime(created_at, '-2 days') WHERE id = ?1";
        let database = rusqlite::Connection::open(self.folder.path().join("db.sqlite3")).unwrap();
        assert_eq!(database.execute(update, [id.replace('-', "")]).unwrap(), 1);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.wait();
    }
}
