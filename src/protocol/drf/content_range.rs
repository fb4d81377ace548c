//! The `Content-Range` of a chunk.
//!
//! This module reads the header itself, because the peer's rules are not those of RFC 9110. The peer accepts a last
//! byte before the first, and reports it as a chunk of the wrong length. It does not accept `bytes */30`. Each case has
//! its own answer.

use http::HeaderMap;
use http::header::CONTENT_RANGE;

use super::error::Error;
use crate::settings::ContentRangeEnd;

/// The range of a chunk's bytes in the file: `bytes 0-9999/30000` (RFC 9110, 14.4). The end is inclusive, unless the
/// setting `content_range_end` says otherwise. The range is `bytes 0-9999/*` while the file's length isn't known, and
/// `bytes */0` for the only chunk of an empty file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The offset of the first byte.
    pub(super) start: u64,
    /// How many bytes there are; below 1 if the last byte comes before the first.
    pub(super) len: i128,
    /// The file's length in bytes; `None` while it isn't known.
    pub(super) total: Option<u64>,
}

/// The most bytes of a file where no setting says less. A greater number is read as the greatest one, `u64::MAX`: it
/// counts as too large, and is never stored.
const LARGEST_FILE: u64 = u64::MAX - 1;

impl ContentRange {
    pub(super) fn from_headers(headers: &HeaderMap, end: ContentRangeEnd) -> Result<Self, Error> {
        let value = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        value.and_then(|value| Self::parse(value, end)).ok_or(Error::ContentRange)
    }

    fn parse(text: &str, end_is: ContentRangeEnd) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        if (range, total) == ("*", "0") {
            return Some(Self { start: 0, len: 0, total: Some(0) });
        }
        let (start, end) = range.split_once('-')?;
        let (start, end) = (parse_number(start)?, parse_number(end)?);
        let total = if total == "*" { None } else { Some(parse_number(total)?) };
        let after_last = i128::from(end) + i128::from(end_is == ContentRangeEnd::Inclusive);
        Some(Self { start, len: after_last - i128::from(start), total })
    }

    /// The offset after the last byte.
    pub(super) fn end(&self) -> i128 {
        i128::from(self.start) + self.len
    }

    /// Makes the checks that do not need the chunk itself.
    pub(super) fn check(&self, max_bytes: Option<u64>) -> Result<(), Error> {
        let end = self.end();
        if let Some(total) = self.total.filter(|total| *total <= LARGEST_FILE && end > i128::from(*total)) {
            return Err(Error::EndPastTotal(total));
        }
        // If the total isn't known, the limit applies to the chunk's end.
        let limit = max_bytes.unwrap_or(LARGEST_FILE).min(LARGEST_FILE);
        let is_too_large = self.total.map_or(end, i128::from) > i128::from(limit) || self.start > LARGEST_FILE;
        if is_too_large { Err(Error::OverLimit(limit)) } else { Ok(()) }
    }
}

/// Takes only digits. `u64::from_str` would take a plus sign, too. A number that is too large is still a number.
fn parse_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<ContentRange> {
        ContentRange::parse(text, ContentRangeEnd::Inclusive)
    }

    #[test]
    fn ranges_are_read() {
        let range = |start, len, total| Some(ContentRange { start, len, total });
        assert_eq!(parse("bytes 0-9999/30000"), range(0, 10_000, Some(30_000)));
        assert_eq!(parse("bytes 5-9/*"), range(5, 5, None));
        assert_eq!(parse("bytes 5-3/*"), range(5, -1, None));
        assert_eq!(parse("bytes */0"), range(0, 0, Some(0)));

        let parse = |text| ContentRange::parse(text, ContentRangeEnd::Exclusive);
        assert_eq!(parse("bytes 0-10000/30000"), range(0, 10_000, Some(30_000)));
        assert_eq!(parse("bytes 5-3/*"), range(5, -2, None));
        assert_eq!(parse("bytes */0"), range(0, 0, Some(0)));
    }

    #[test]
    fn other_texts_are_not() {
        let texts = [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 0-9/",
            "bytes -9/10",
            "bytes 0-/10",
            "bytes +0-9/10",
            "bytes 0-9/10 ",
            "bytes  0-9/10",
            "bytes */10",
            "items 0-9/10",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn ranges_are_checked() {
        let check = |text, limit| parse(text).unwrap().check(limit);
        assert!(check("bytes 0-9/10", None).is_ok());
        assert!(matches!(check("bytes 0-10/10", None), Err(Error::EndPastTotal(10))));
        assert!(matches!(check("bytes 0-9/10", Some(9)), Err(Error::OverLimit(9))));
        assert!(matches!(check("bytes 0-9/*", Some(9)), Err(Error::OverLimit(9))));
        assert!(check("bytes 0-9/*", Some(10)).is_ok());
    }

    #[test]
    fn a_number_that_is_too_large_is_a_number() {
        let check = |text, limit| parse(text).unwrap().check(limit);
        let check_exclusive = |text| ContentRange::parse(text, ContentRangeEnd::Exclusive).unwrap().check(None);
        let texts = [
            "bytes 0-9/18446744073709551615",
            "bytes 0-9/18446744073709551616",
            "bytes 0-9/999999999999999999999999999999999999999999",
            "bytes 0-18446744073709551615/*",
            "bytes 0-99999999999999999999/99999999999999999999",
            "bytes 99999999999999999999-5/10",
            "bytes 99999999999999999999-99999999999999999999/*",
        ];
        for text in texts {
            for (limit, told) in [(None, LARGEST_FILE), (Some(u64::MAX), LARGEST_FILE), (Some(100), 100)] {
                assert!(matches!(check(text, limit), Err(Error::OverLimit(limit)) if limit == told), "{text}");
            }
            assert!(matches!(check_exclusive(text), Err(Error::OverLimit(LARGEST_FILE))), "{text}");
        }
        assert!(matches!(check("bytes 0-99999999999999999999/5", None), Err(Error::EndPastTotal(5))));
        assert!(check("bytes 0-9/18446744073709551614", None).is_ok());
    }
}
