//! An upload of a large file while the server crashes.

mod support;

use std::io::Write;

use support::{Client, Form, Server, data};

const CHUNK: usize = 8 << 20;
const FILE: usize = 300 * 1_000_000 + 1;
/// The server is killed in the middle of each of these chunks.
const CRASHES: [usize; 3] = [2, 11, 30];

#[test]
fn a_large_file_survives_crashes_in_the_middle_of_chunks() {
    let (mut server, file) = (Server::start(), data::bytes(1, FILE));
    let url = server.client().begin(&file, CHUNK);
    let path = url.split_once(server.address()).unwrap().1.to_owned();
    let mut crashes = CRASHES.to_vec();
    loop {
        let client = server.client();
        let offset = usize::try_from(client.get(&path).expect(200).json()["offset"].as_u64().unwrap()).unwrap();
        if offset == FILE {
            break;
        }
        let end = FILE.min(offset + CHUNK);
        if crashes.first() == Some(&(offset / CHUNK)) {
            crashes.remove(0);
            crash_within(&mut server, &client, &path, &file, offset..end);
            let after = server.client().get(&path).expect(200).json()["offset"].as_u64().unwrap();
            assert_eq!(usize::try_from(after).unwrap(), offset, "a chunk that was cut off left the offset alone");
        } else {
            client.put_chunk(&path, &file, offset, end).expect(200);
        }
    }
    assert!(crashes.is_empty());

    let client = server.client();
    let complete = client.complete(&path, &data::md5(&file)).expect(200);
    let download = client.get(&complete.text("file")).expect(200);
    assert_eq!(data::md5(&download.body), data::md5(&file));
    for from in [0, 999_999, CHUNK - 1, 150_000_000, FILE - 70_000] {
        let to = FILE.min(from + 70_000);
        let range = format!("bytes={from}-{}", to - 1);
        let part = client.get_with(&complete.text("file"), &[("Range", &range)]).expect(206);
        assert!(part.body == file[from..to], "{range}");
    }
}

/// Sends most of the chunk, kills the server when a part of the chunk is stored, and starts the server again.
fn crash_within(server: &mut Server, client: &Client, path: &str, file: &[u8], chunk: std::ops::Range<usize>) {
    let before = server.stored().len();
    let range = format!("bytes {}-{}/{}", chunk.start, chunk.end - 1, file.len());
    let body = Form::new().file("file", "blob", &file[chunk]).into_body();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Range: {range}\r\nContent-Length: {}\r\n\r\n",
        server.address(),
        Form::content_type(),
        body.len()
    );
    let mut connection = client.send_raw(head.as_bytes());
    connection.write_all(&body[..body.len() - 1_000_000]).unwrap();
    server.wait_until_stored(|stored| stored.len() > before);
    server.crash_and_restart();
}
