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
    while let Some(first) = rest.chars().next() {
        let read = secret_len(rest);
        let (kept, read) = read.map_or((first.len_utf8(), first.len_utf8()), |read| (SHORT_ID_LEN, read));
        short += &rest[..kept];
        rest = &rest[read..];
    }
    short
}

/// How long an id or most of one is, if the text begins with it.
fn secret_len(text: &str) -> Option<usize> {
    let is_id = |text: &str| text.get(..Hyphenated::LENGTH).is_some_and(|id| Uuid::try_parse(id).is_ok());
    if is_id(text) {
        return Some(Hyphenated::LENGTH);
    }
    let end = text.find(|character: char| !character.is_ascii_hexdigit() && !"-_".contains(character));
    let run = &text[..end.unwrap_or(text.len())];
    let digits = run.bytes().filter(u8::is_ascii_hexdigit).count();
    // A whole id within the run is cut where it begins.
    let has_id = (1..run.len()).any(|start| is_id(&run[start..]));
    (digits >= MANY_DIGITS && !has_id).then_some(run.len())
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
    }
}
