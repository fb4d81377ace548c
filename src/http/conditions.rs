//! Conditional requests (RFC 9110, 13).

use std::time::SystemTime;

use headers::{ETag, HeaderMapExt, IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, LastModified};
use http::HeaderMap;
use http::header::IF_RANGE;

use super::failure::Failure;

/// What tells one version of a file from another.
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    pub(crate) etag: ETag,
    /// A strong validator, too: a file has one version only.
    pub(crate) last_modified: LastModified,
}

impl Validators {
    /// Evaluates the conditions of a `GET` or `HEAD` in their order (RFC 9110, 13.2.2). Returns whether the client has
    /// this version already.
    ///
    /// # Errors
    /// [`Failure::Precondition`] if the client asks for another version.
    pub(crate) fn are_known(&self, request: &HeaderMap) -> Result<bool, Failure> {
        let modified = SystemTime::from(self.last_modified);
        // A tag overrides the date beside it. A date that can't be read doesn't count.
        let is_wanted = match request.typed_get::<IfMatch>() {
            Some(wanted) => wanted.precondition_passes(&self.etag),
            None => request.typed_get::<IfUnmodifiedSince>().is_none_or(|since| since.precondition_passes(modified)),
        };
        if !is_wanted {
            return Err(Failure::Precondition);
        }
        Ok(match request.typed_get::<IfNoneMatch>() {
            Some(known) => !known.precondition_passes(&self.etag),
            None => request.typed_get::<IfModifiedSince>().is_some_and(|since| !since.is_modified(modified)),
        })
    }

    /// Whether `If-Range` lets a range be sent: it is missing, or it is exactly one of the validators (RFC 9110, 13.1.5).
    pub(crate) fn allow_range(&self, request: &HeaderMap) -> bool {
        let modified = SystemTime::from(self.last_modified);
        match request.get_all(IF_RANGE).iter().count() {
            0 => true,
            1 => request.typed_get::<IfRange>().is_some_and(|condition| {
                condition == IfRange::etag(self.etag.clone()) || condition == IfRange::date(modified)
            }),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderName;
    use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};

    use super::*;

    const BEFORE: &str = "Sat, 22 Nov 2025 10:00:00 GMT";
    const MODIFIED: &str = "Sat, 22 Nov 2025 10:00:01 GMT";
    const AFTER: &str = "Sat, 22 Nov 2025 10:00:02 GMT";

    fn validators() -> Validators {
        let modified = date(MODIFIED) + Duration::from_millis(900);
        Validators { etag: "\"a\"".parse().unwrap(), last_modified: modified.into() }
    }

    fn date(text: &str) -> SystemTime {
        let line = [(IF_MODIFIED_SINCE, text.parse().unwrap())];
        line.into_iter().collect::<HeaderMap>().typed_get::<IfModifiedSince>().unwrap().into()
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn conditions_are_evaluated_in_their_order() {
        let (wanted, since, known, newer) = (IF_MATCH, IF_UNMODIFIED_SINCE, IF_NONE_MATCH, IF_MODIFIED_SINCE);
        let line = |name: &HeaderName, value: &'static str| (name.clone(), value);
        let rows = [
            (vec![], Some(false)),
            (vec![line(&wanted, "\"a\"")], Some(false)),
            (vec![line(&wanted, "*")], Some(false)),
            (vec![line(&wanted, "\"b\""), line(&wanted, "\"a\"")], Some(false)),
            (vec![line(&wanted, "\"b\"")], None),
            (vec![line(&wanted, "W/\"a\"")], None),
            (vec![line(&wanted, "a")], None),
            (vec![line(&wanted, "\"a\""), line(&since, BEFORE)], Some(false)),
            (vec![line(&since, BEFORE)], None),
            (vec![line(&since, MODIFIED)], Some(false)),
            (vec![line(&since, AFTER)], Some(false)),
            (vec![line(&since, "yesterday")], Some(false)),
            (vec![line(&since, BEFORE), line(&since, BEFORE)], Some(false)),
            (vec![line(&known, "\"a\"")], Some(true)),
            (vec![line(&known, "W/\"a\"")], Some(true)),
            (vec![line(&known, "*")], Some(true)),
            (vec![line(&known, "\"b\""), line(&known, "\"c\", \"a\"")], Some(true)),
            (vec![line(&known, "\"b\""), line(&newer, AFTER)], Some(false)),
            (vec![line(&wanted, "\"b\""), line(&known, "\"a\"")], None),
            (vec![line(&since, BEFORE), line(&known, "\"a\"")], None),
            (vec![line(&newer, BEFORE)], Some(false)),
            (vec![line(&newer, MODIFIED)], Some(true)),
            (vec![line(&newer, AFTER)], Some(true)),
            // The two older forms of a date.
            (vec![line(&newer, "Saturday, 22-Nov-25 10:00:01 GMT")], Some(true)),
            (vec![line(&newer, "Sat Nov 22 10:00:01 2025")], Some(true)),
            (vec![line(&newer, "1 Nov")], Some(false)),
            (vec![line(&newer, AFTER), line(&newer, AFTER)], Some(false)),
        ];
        for (lines, expected) in rows {
            assert_eq!(validators().are_known(&headers(&lines)).ok(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_range_needs_exactly_a_validator_of_the_file() {
        for value in ["\"a\"", MODIFIED, "Saturday, 22-Nov-25 10:00:01 GMT"] {
            assert!(validators().allow_range(&headers(&[(IF_RANGE, value)])), "{value}");
        }
        for value in ["\"b\"", "W/\"a\"", "a", "*", "\"a\", \"b\"", "", BEFORE, AFTER, "yesterday"] {
            assert!(!validators().allow_range(&headers(&[(IF_RANGE, value)])), "{value}");
        }
        assert!(validators().allow_range(&HeaderMap::new()));
        assert!(!validators().allow_range(&headers(&[(IF_RANGE, "\"a\""), (IF_RANGE, "\"a\"")])));
    }
}
