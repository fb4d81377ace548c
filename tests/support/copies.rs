//! Many uploads, without their requests.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::Value;
use uuid::Uuid;

use super::Server;

/// Puts copies of an incomplete upload into the store, with its only segment, each under an id of its own. `ages` has one
/// item for each: how much later than the upload it began.
pub fn copy(server: &Server, url: &str, ages: impl Iterator<Item = SignedDuration>) {
    let id = url.rsplit('/').next().expect("an id");
    let database = server.database();
    let keys: Vec<String> = server.stored().into_iter().map(|(key, _)| key).filter(|key| key.contains(id)).collect();
    let key_in = |place: &str| keys.iter().find(|key| key.starts_with(place)).expect("a key");
    let (listed, segment) = (key_in("list/"), key_in("data/"));
    let (user, tag) = (listed.split('/').nth(1).expect("a user"), segment.rsplit('/').next().expect("a tag"));
    let record: Value = serde_json::from_slice(&value(&database, key_in("upload/"))).expect("a record");
    let begun: Timestamp = record["created_at"].as_str().expect("a time").parse().expect("a time");
    let contents = value(&database, segment);

    database.execute_batch("BEGIN").expect("a transaction");
    let mut insert = database
        .prepare("INSERT INTO spin_key_value (store, key, value) VALUES ('default', ?1, ?2)")
        .expect("a statement");
    let mut put = |key: String, value: &[u8]| insert.execute((key, value)).expect("a row");
    for (number, age) in (1_u64..).zip(ages) {
        // Ids that lie as far apart as drawn ones.
        let id = Uuid::from_u64_pair(u64::MAX / 1_000_003 * number, number);
        let created_at = begun + age;
        let mut record = record.clone();
        (record["id"], record["created_at"]) = (id.to_string().into(), created_at.to_string().into());
        put(format!("upload/{id}"), record.to_string().as_bytes());
        put(format!("list/{user}/{:016}-{id}", created_at.as_microsecond()), b"");
        put(format!("data/{id}/{tag}"), &contents);
    }
    drop(insert);
    database.execute_batch("COMMIT").expect("a transaction");
}

fn value(database: &Connection, key: &str) -> Vec<u8> {
    database.query_row("SELECT value FROM spin_key_value WHERE key = ?1", [key], |row| row.get(0)).expect("a value")
}
