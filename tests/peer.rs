//! Sends the same requests to drf-chunked-upload and to this service. The responses must be the same, except for the
//! rows of peer/differences.md.

#[path = "peer/pair.rs"]
mod pair;
mod support;

use http::Method;
use pair::{Pair, Put, Seen};
use support::{Form, data};

const LIMIT: usize = 1_000;

/// Each kind of response, one after the other.
#[test]
fn each_row_of_the_protocol() {
    let (pair, mut seen) = (Pair::start(86_400, Some(LIMIT)), Seen::default());
    let file = data::bytes(1, 300);
    let url = pair.begin(&mut seen, &file, 100);
    let mut same = |put: &Put<'_>| assert!(pair.put(&mut seen, put));

    // Valid chunks, and chunks with faults.
    same(&Put::chunk(&url, &file, 200, 300));
    same(&Put::chunk(&url, &file, 0, 100));
    same(&Put::chunk(&url, &file, 100, 200));
    for range in [
        "",
        "bytes",
        "bytes 0-9",
        "bytes 0-99",
        "bytes=200-299/300",
        "bytes a-b/c",
        "bytes 200-299/300 ",
        "items 0-9/300",
        "bytes 0-100000/5",
        "bytes 200-299/1001",
        "bytes 200-299/999999999999999999999",
        "bytes 0-999999999999999999999/5",
        "bytes 200-298/300",
        "bytes 200-300/301",
        "bytes 299-200/300",
    ] {
        same(&Put { range: Some(range.into()), ..Put::chunk(&url, &file, 200, 300) });
    }
    same(&Put { range: None, ..Put::chunk(&url, &file, 200, 300) });
    same(&Put { file: None, ..Put::chunk(&url, &file, 200, 300) });
    same(&Put { file: None, range: None, ..Put::chunk("/uploads/", &file, 0, 100) });
    same(&Put { filename: Some("f".repeat(256)), ..Put::chunk("/uploads/", &file, 0, 100) });
    same(&Put { filename: Some("ü".repeat(255)), ..Put::chunk("/uploads/", &file, 0, 100) });
    same(&Put { user: None, ..Put::chunk("/uploads/", &file, 0, 100) });
    same(&Put { user: None, ..Put::chunk(&url, &file, 200, 300) });
    same(&Put { user: Some(2), ..Put::chunk(&url, &file, 200, 300) });
    same(&Put::chunk("/uploads/123e4567-e89b-12d3-a456-426614174000", &file, 0, 100));

    // State and list.
    for user in [None, Some(1), Some(2)] {
        for path in ["/uploads/", &url, "/uploads/123e4567-e89b-12d3-a456-426614174000"] {
            pair.send(&mut seen, Method::GET, path, user, &[], b"");
            pair.send(&mut seen, Method::HEAD, path, user, &[], b"");
        }
    }
    pair.send(&mut seen, Method::PATCH, "/uploads/", Some(1), &[], b"");
    pair.send(&mut seen, Method::PATCH, &url, Some(1), &[], b"");
    pair.send(&mut seen, Method::DELETE, "/uploads/", Some(1), &[], b"");

    // Completion, by each kind of form.
    pair.put(&mut seen, &Put::chunk(&url, &file, 200, 300));
    let md5 = data::md5(&file);
    pair.complete(&mut seen, &url, Some(2), &md5);
    pair.complete(&mut seen, &url, None, &md5);
    for body in ["", "md5=", "md5=x", "other=x"] {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        pair.send(&mut seen, Method::POST, &url, Some(1), &form, body.as_bytes());
    }
    for body in ["", "{", "{}", "{\"md5\": null}", "{\"md5\": \"x\"}", "[", "nonsense"] {
        pair.send(&mut seen, Method::POST, &url, Some(1), &[("Content-Type", "application/json")], body.as_bytes());
    }
    for content_type in ["text/plain", "application/octet-stream", "multipart/form-data"] {
        pair.send(&mut seen, Method::POST, &url, Some(1), &[("Content-Type", content_type)], b"abc");
    }
    pair.send(&mut seen, Method::POST, &url, Some(1), &[], b"");
    let json = format!("{{\"md5\": \"{md5}\"}}");
    pair.send(&mut seen, Method::POST, &url, Some(1), &[("Content-Type", "application/json")], json.as_bytes());
    pair.complete(&mut seen, &url, Some(1), &md5);
    pair.complete(&mut seen, &url, Some(1), "");
    pair.put(&mut seen, &Put::chunk(&url, &file, 200, 300));
    pair.send(&mut seen, Method::GET, &url, Some(1), &[], b"");

    // Whole files.
    let whole = |md5: &str| Form::new().field("filename", "f.bin").field("md5", md5).file("file", "blob", &file);
    pair.post_form(&mut seen, "/uploads/", Some(1), whole(&md5));
    pair.post_form(&mut seen, "/uploads/", None, whole(&md5));
    pair.post_form(&mut seen, "/uploads/", Some(1), whole(""));
    pair.post_form(&mut seen, "/uploads/", Some(1), Form::new().field("md5", &md5));
    pair.post_form(&mut seen, "/uploads/", Some(1), Form::new());
    let left_empty = || Form::new().field("filename", "f").field("md5", &data::md5(b"")).file("file", "", b"");
    pair.post_form(&mut seen, "/uploads/", Some(1), left_empty());
    pair.put_form(&mut seen, "/uploads/", Some(1), "bytes 0-2/3", left_empty());
    let large = Form::new().field("filename", "f").field("md5", "x").file("file", "blob", &[0; LIMIT + 1]);
    pair.post_form(&mut seen, "/uploads/", Some(1), large);
    assert!(pair.send(&mut seen, Method::GET, "/uploads/", Some(2), &[], b""));

    intended_differences(&pair, &mut seen, &file, &md5);
    let short_lived = Pair::start(0, None);
    short_lived.post_form(&mut seen, "/uploads/", Some(1), whole(&md5));
    short_lived.put(&mut seen, &Put::chunk("/uploads/", &file, 0, 100));
    seen.check_all_rows();
}

/// Causes every row of the table.
fn intended_differences(pair: &Pair, seen: &mut Seen, file: &[u8], md5: &str) {
    pair.put(seen, &Put::chunk("/uploads/", file, 100, 200));
    pair.put(
        seen,
        &Put { range: Some("bytes 0-10/10".into()), file: Some(&file[..11]), ..Put::chunk("/uploads/", file, 0, 11) },
    );
    let url = pair.begin(seen, file, 100);
    pair.complete(seen, &url, Some(1), "x");
    pair.put(seen, &Put { range: Some("bytes 100-199/400".into()), ..Put::chunk(&url, file, 100, 200) });
    let url = pair.begin(seen, file, 100);
    pair.complete(seen, &url, Some(1), &data::md5(&file[..100]));
    let url = pair.begin(seen, file, 300);
    pair.complete(seen, &url, Some(1), &md5.to_uppercase());
    pair.put(seen, &Put { filename: None, ..Put::chunk("/uploads/", file, 0, 100) });
    pair.put(seen, &Put { range: Some("bytes 0-99/*".into()), ..Put::chunk("/uploads/", file, 0, 100) });
    let empty = Form::new().field("filename", "f").field("md5", &data::md5(b"")).file("file", "blob", b"");
    pair.post_form(seen, "/uploads/", Some(1), empty);
    let raw = [("Content-Type", "application/octet-stream"), ("Content-Range", "bytes 0-2/3")];
    pair.send(seen, Method::PUT, "/uploads/?filename=f", Some(1), &raw, b"abc");
    let url = pair.begin(seen, file, 100);
    pair.send(seen, Method::DELETE, &url, Some(1), &[], b"");
    let text = Form::new().field("filename", "f").field("file", "abc");
    pair.put_form(seen, "/uploads/", Some(1), "bytes 0-2/3", text);
    pair.send(seen, Method::PUT, "/uploads/", Some(1), &[("Content-Type", "application/json")], b"[1]");
    pair.send(seen, Method::OPTIONS, "/uploads/", Some(1), &[], b"");
    pair.with_bad_token(seen, "/uploads/");
}

/// Two faults in one request. Both servers report the same one.
#[test]
fn each_pair_of_faults() {
    for expired in [false, true] {
        let (mut pair, mut seen) = (Pair::start(86_400, Some(LIMIT)), Seen::default());
        let file = data::bytes(2, 300);
        let open = pair.begin(&mut seen, &file, 100);
        let complete = pair.begin(&mut seen, &file, 300);
        // An upload that expires before it is completed has another fault.
        if expired {
            pair.age(&open);
            pair.age(&complete);
        }
        pair.complete(&mut seen, &complete, Some(1), &data::md5(&file));
        type Fault<'a> = (&'a str, Box<dyn Fn(&mut Put<'a>) + 'a>);
        let faults: Vec<Fault<'_>> = vec![
            ("no file", Box::new(|put| put.file = None)),
            ("malformed range", Box::new(|put| put.range = Some("bytes 0/1".into()))),
            ("no range", Box::new(|put| put.range = None)),
            ("end far past the total", Box::new(|put| put.range = Some("bytes 100-199/50".into()))),
            ("over the limit", Box::new(|put| put.range = Some("bytes 100-199/5000".into()))),
            ("wrong length", Box::new(|put| put.file = Some(&file[..99]))),
            ("wrong offset", Box::new(|put| put.range = Some("bytes 150-249/300".into()))),
            ("reversed", Box::new(|put| put.range = Some("bytes 199-100/300".into()))),
            ("unknown", Box::new(|put| put.path = "/uploads/123e4567-e89b-12d3-a456-426614174000".into())),
            ("complete", Box::new(|put| put.path = complete.clone())),
            ("another user's", Box::new(|put| put.user = Some(2))),
            ("nobody's", Box::new(|put| put.user = None)),
        ];
        for (first, spoil_first) in &faults {
            for (second, spoil_second) in &faults {
                let mut put = Put::chunk(&open, &file, 100, 200);
                spoil_first(&mut put);
                spoil_second(&mut put);
                assert!(pair.put(&mut seen, &put), "{first} and {second} differ");
            }
        }
        let faults: Vec<Fault<'_>> = vec![
            ("no file", Box::new(|put| put.file = None)),
            ("malformed range", Box::new(|put| put.range = Some("bytes 0/1".into()))),
            ("end far past the total", Box::new(|put| put.range = Some("bytes 0-99/50".into()))),
            ("over the limit", Box::new(|put| put.range = Some("bytes 0-99/5000".into()))),
            ("wrong length", Box::new(|put| put.file = Some(&file[..99]))),
            ("nobody's", Box::new(|put| put.user = None)),
            ("long filename", Box::new(|put| put.filename = Some("f".repeat(300)))),
        ];
        for (first, spoil_first) in &faults {
            for (second, spoil_second) in &faults {
                let mut put = Put::chunk("/uploads/", &file, 0, 100);
                spoil_first(&mut put);
                spoil_second(&mut put);
                assert!(pair.put(&mut seen, &put), "{first} and {second} differ");
            }
        }
        // Faults of a completion: no checksum or a wrong one, for an upload that is unknown, complete, expired or
        // another user's.
        for md5 in ["", "x"] {
            for path in [&open, &complete, "/uploads/123e4567-e89b-12d3-a456-426614174000"] {
                for user in [None, Some(1), Some(2)] {
                    pair.complete(&mut seen, path, user, md5);
                }
            }
        }
        // Faults of a whole file.
        for md5 in ["", "x"] {
            for filename in ["f", &"f".repeat(300)] {
                for len in [10, LIMIT + 1] {
                    for user in [None, Some(1)] {
                        let form = Form::new().field("filename", filename).field("md5", md5);
                        let form = form.file("file", "blob", &data::bytes(3, len));
                        assert!(pair.post_form(&mut seen, "/uploads/", user, form));
                    }
                }
            }
        }
    }
}

const SEED: u64 = 20_261_122;
const SEQUENCES: u64 = 2_000;

/// Random requests, valid and invalid. Both servers give the same responses, or differ as the table says.
#[test]
fn sequences_of_requests() {
    let pair = Pair::start(86_400, Some(LIMIT));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let pair = &pair;
            scope.spawn(move || {
                for number in (worker..SEQUENCES).step_by(4) {
                    sequence(pair, SEED + number);
                }
            });
        }
    });
}

fn sequence(pair: &Pair, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut seen = Seen::of(seed);
    let file = data::bytes(seed, random.usize(1..400));
    let url = pair.begin(&mut seen, &file, random.usize(1..=file.len()));
    let mut offset = 0;
    for _ in 0..random.usize(1..8) {
        let is_same = match random.u8(0..10) {
            0 => pair.complete(&mut seen, &url, Some(1), &data::md5(&file)),
            1 => pair.complete(&mut seen, &url, Some(1), "0123"),
            2 => pair.send(&mut seen, Method::GET, &url, Some(1), &[], b""),
            3 => pair.put(&mut seen, &Put { file: None, ..Put::chunk(&url, &file, 0, file.len()) }),
            4 => {
                let (start, end, total) = (random.u8(..), random.u8(..), random.u16(..2_000));
                // An end at the total is one of the table's rows, and hides other faults.
                let total = if u16::from(end) == total { total + 1 } else { total };
                let range = format!("bytes {start}-{end}/{total}");
                pair.put(
                    &mut seen,
                    &Put { range: Some(range.as_str().into()), ..Put::chunk(&url, &file, 0, file.len()) },
                )
            }
            5 => {
                let from = random.usize(0..file.len());
                pair.put(&mut seen, &Put::chunk(&url, &file, from, file.len()))
            }
            _ => {
                offset = pair.offset(&url).unwrap_or(offset);
                if offset >= file.len() {
                    continue;
                }
                let end = random.usize(offset + 1..=file.len());
                pair.put(&mut seen, &Put::chunk(&url, &file, offset, end))
            }
        };
        // After a difference, the states of the two servers differ, too.
        if !is_same {
            return;
        }
    }
}
