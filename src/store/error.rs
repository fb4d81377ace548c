//! What goes wrong in a store.

use std::fmt;

use thiserror::Error;

/// The store failed in an operation.
///
/// The platform's own error is this error's source. It is for the log, and not for clients.
#[derive(Debug, Error)]
#[error("the key-value store failed ({kind})")]
pub struct StoreError {
    kind: StoreErrorKind,
    #[source]
    source: anyhow::Error,
}

/// The kind of a failure, by what an operator can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store did not answer, or answered with a failure that may pass.
    Unavailable,
    /// The store has no room for more.
    Full,
    /// The application may not use the store, or there is none with this label.
    Denied,
}

impl StoreError {
    /// An error of this kind, with its cause: an error, or a text as [`anyhow::Error::msg`] takes one.
    pub fn new(kind: StoreErrorKind, source: impl Into<anyhow::Error>) -> Self {
        Self { kind, source: source.into() }
    }

    /// A failure that may pass, with its reason in words.
    pub fn unavailable(reason: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::new(StoreErrorKind::Unavailable, anyhow::Error::msg(reason))
    }

    /// The kind of failure.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unavailable => "unavailable",
            Self::Full => "full",
            Self::Denied => "denied",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn the_cause_stays_a_cause() {
        let error = StoreError::new(StoreErrorKind::Full, io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(error.kind(), StoreErrorKind::Full);
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()));
        assert_eq!(error.to_string(), "the key-value store failed (full)");
    }
}
