//! Ids for logs.

use uuid::Uuid;
use uuid::fmt::Hyphenated;

const SHORT_ID_LEN: usize = 8;
/// How many of an id's 32 digits are too many for a log.
const MANY_DIGITS: usize = 16;

/// The first characters of an id, for logs: enough to find the upload, and no more. Where users aren't told apart, an
/// id is a secret.
pub fn short_id(id: Uuid) -> String {
    let mut text = id.to_string();
    text.truncate(SHORT_ID_LEN);
    text
}

/// The text with each id in it cut as [`short_id`] cuts it. Keys and paths have ids in them. So is what looks like most
/// of an id: a client may send one without its hyphens, or lose a digit.
pub(crate) fn short_ids(text: &str) -> String {
    let (mut short, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let (run, after) = split_where(rest, |character| !is_of_id(character));
        shorten_run(run, &mut short);
        let (between, next) = split_where(after, is_of_id);
        short += between;
        rest = next;
    }
    short
}

fn is_of_id(character: char) -> bool {
    character.is_ascii_hexdigit() || matches!(character, '-' | '_')
}

fn split_where(text: &str, begins: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(begins).unwrap_or(text.len()))
}

/// Adds a run of characters that ids have. Each of its characters is looked at once, because a client may send long
/// ones.
fn shorten_run(run: &str, short: &mut String) {
    let is_id =
        |start: &usize| run.get(*start..start + Hyphenated::LENGTH).is_some_and(|id| Uuid::try_parse(id).is_ok());
    let mut read = 0;
    while let Some(start) = (read..run.len()).find(is_id) {
        *short += &run[read..start + SHORT_ID_LEN];
        read = start + Hyphenated::LENGTH;
    }
    let rest = &run[read..];
    let digits = rest.bytes().filter(u8::is_ascii_hexdigit).count();
    *short += if digits < MANY_DIGITS { rest } else { &rest[..SHORT_ID_LEN] };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_short_for_logs() {
        let id = Uuid::from_u128(0x1234_5678_0000_4000_8000_0000_0000_0001);
        assert_eq!(short_id(id), "12345678");
        assert_eq!(short_ids(&format!("data/{id}/5-{id}")), "data/12345678/5-12345678");
        assert_eq!(short_ids("/\u{e9}/uploads/x"), "/\u{e9}/uploads/x");
        let hyphenated = id.to_string();
        for id in [id.simple().to_string(), hyphenated.replace('-', "_"), hyphenated[..35].to_owned()] {
            assert_eq!(short_ids(&format!("/uploads/{id}/")), "/uploads/12345678/");
        }
        assert_eq!(short_ids("/a/2026-11-28/1234567890"), "/a/2026-11-28/1234567890");
        let long = "a".repeat(60_000);
        assert_eq!(short_ids(&format!("/{long}{hyphenated}{long}")), format!("/{long}12345678aaaaaaaa"));
    }
}
