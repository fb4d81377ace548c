//! An error and its causes as one line for the log.

use std::error::Error;

/// The error's text, and after it the text of each cause: `outer: inner: innermost`.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::store::{StoreError, StoreErrorKind};
    use crate::uploads;

    #[test]
    fn each_cause_is_named_once() {
        let cause = anyhow::Error::msg("locked").context("write");
        let error = uploads::Error::from(StoreError::new(StoreErrorKind::Unavailable, cause));
        assert_eq!(super::error_chain(&error), "the key-value store failed (unavailable): write: locked");
    }
}
