//! Ids for logs.

use uuid::Uuid;
use uuid::fmt::Hyphenated;

const SHORT_ID_LEN: usize = 8;

/// The first characters of an id, for logs: enough to find the upload, and no more. Where users aren't told apart, an
/// id is a secret.
pub fn short_id(id: Uuid) -> String {
    let mut text = id.to_string();
    text.truncate(SHORT_ID_LEN);
    text
}

/// The text with each id in it cut as [`short_id`] cuts it. Keys and paths have ids in them.
pub(crate) fn short_ids(text: &str) -> String {
    let (mut short, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let id = rest.get(..Hyphenated::LENGTH).and_then(|id| Uuid::try_parse(id).ok());
        let (kept, read) = id.map_or((first.len_utf8(), first.len_utf8()), |_| (SHORT_ID_LEN, Hyphenated::LENGTH));
        short += &rest[..kept];
        rest = &rest[read..];
    }
    short
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
    }
}
