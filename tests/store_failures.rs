//! A store that fails: it is full, locked, read-only or damaged. Requests get a 503 and change nothing, and the upload
//! goes on when the store works again.

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

use support::{Client, Server, data, path_of, server};

/// Begins an upload with the first half of the file.
fn begun(client: &Client, file: &[u8]) -> String {
    client.begin(file, file.len() / 2)
}

/// Checks that no acknowledged byte is lost, and finishes the upload.
fn finish(client: &Client, url: &str, file: &[u8]) {
    let half = file.len() / 2;
    assert_eq!(client.get(url).expect(200).json()["offset"], half);
    client.put_chunk(url, file, half, file.len()).expect(200);
    let complete = client.complete(url, &data::md5(file)).expect(200);
    assert!(client.get(&complete.text("file")).expect(200).body == file);
}

fn expect_unavailable(client: &Client, url: &str, file: &[u8]) {
    let reply = client.put_chunk(url, file, file.len() / 2, file.len()).expect(503);
    assert_eq!(reply.header("retry-after"), "5");
    assert_eq!(reply.text("detail"), "The server's store is not available; try again later");
}

fn log(server: &Server) -> String {
    std::fs::read_to_string(server.state().join("logs/upload_stderr.txt")).unwrap_or_default()
}

#[test]
fn a_full_store_takes_no_chunk_and_loses_none() {
    let (server, file) = (Server::start(), data::bytes(1, 3_000_000));
    let client = server.client();
    let url = begun(&client, &file);
    // SQLite has the same error for a full disk and for a limit on its pages. But that limit applies to one connection
    // only, so a trigger raises the error in the server's connection.
    server
        .database()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON spin_key_value WHEN length(NEW.value) > 100000
             BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
        )
        .unwrap();
    expect_unavailable(&client, &url, &file);
    assert!(log(&server).contains("database or disk is full"), "{}", log(&server));
    client.get(&url).expect(200);
    server.database().execute_batch("DROP TRIGGER full").unwrap();
    finish(&client, &url, &file);
}

#[test]
fn a_full_disk_takes_no_chunk_and_loses_none() {
    if server::on_spin() {
        return;
    }
    let file = data::bytes(2, 3_000_000);
    // The process may write files of 2 MB at most. For SQLite, this is a full disk.
    let mut server = Server::with_file_limit(2_000_000);
    let client = server.client();
    let url = begun(&client, &file);
    expect_unavailable(&client, &url, &file);
    assert!(!log(&server).is_empty());
    server.kill();
    server.restart();
    finish(&server.client(), &path_of(&url), &file);
}

#[test]
fn a_store_that_may_only_be_read_answers_what_it_can() {
    if server::on_spin() {
        return;
    }
    let (mut server, file) = (Server::start(), data::bytes(5, 1_000));
    let client = server.client();
    let url = begun(&client, &file);
    let whole = client.upload_whole("f", &file).expect(200).text("file");
    let writable = |server: &Server, writable: bool| {
        let database = server.state().join("sqlite_key_value.db");
        let mode = if writable { 0o644 } else { 0o444 };
        std::fs::set_permissions(database, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    server.kill();
    writable(&server, false);
    server.restart();
    let client = server.client();
    expect_unavailable(&client, &path_of(&url), &file);
    client.upload_whole("f", &file).expect(503);
    client.delete(&path_of(&url)).expect(503);
    assert!(log(&server).contains("readonly database"), "{}", log(&server));
    assert!(client.get(&path_of(&whole)).expect(200).body == file);
    server.kill();
    writable(&server, true);
    server.restart();
    finish(&server.client(), &path_of(&url), &file);
}

#[test]
fn a_locked_store_is_waited_for_and_told() {
    let (server, file) = (Server::start(), data::bytes(3, 1_000));
    let client = server.client();
    let url = begun(&client, &file);
    let lock = server.database();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    expect_unavailable(&client, &url, &file);
    assert!(log(&server).contains("locked"), "{}", log(&server));
    lock.execute_batch("ROLLBACK").unwrap();
    finish(&client, &url, &file);
}

/// SQLite's largest page size. A page of any size begins at each multiple of it.
const LARGEST_PAGE: u64 = 65_536;

#[test]
fn a_damaged_page_costs_no_other_upload() {
    if server::on_spin() {
        return;
    }
    let (mut server, file) = (Server::start(), data::bytes(4, 1_000_000));
    let client = server.client();
    let (kept, damaged) = (begun(&client, &file), client.upload_whole("f", &file).expect(200).text("file"));
    server.kill();
    // This moves everything from a write-ahead log into the file.
    server.database().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // The zeros overwrite the middle of the last upload's value, so that its chain of pages ends too early.
    let path_of_database = server.state().join("sqlite_key_value.db");
    let length = std::fs::metadata(&path_of_database).unwrap().len();
    let mut database = std::fs::OpenOptions::new().write(true).open(&path_of_database).unwrap();
    database.seek(SeekFrom::Start((length - 200_000) / LARGEST_PAGE * LARGEST_PAGE)).unwrap();
    database.write_all(&[0; 4096]).unwrap();
    server.restart();
    let client = server.client();
    // The damaged file can't be read, or comes unchanged. It never comes with other bytes.
    let cut_off = client.try_send(http::Method::GET, &path_of(&damaged), &[], &[]);
    assert!(cut_off.ok().is_none_or(|reply| reply.status == 503 || reply.body == file));
    finish(&client, &path_of(&kept), &file);
}
