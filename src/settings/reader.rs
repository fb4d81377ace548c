//! Reading single variables.

use thiserror::Error;

/// A variable that can't be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("The variable \"{name}\" can't be read: it must be {expected}")]
pub struct SettingError {
    name: &'static str,
    expected: &'static str,
}

impl SettingError {
    /// The variable `name` must be what `expected` says.
    pub fn new(name: &'static str, expected: &'static str) -> Self {
        Self { name, expected }
    }
}

/// Reads single variables. An empty value is none: a Spin variable needs a default, and empty is the natural one.
pub(super) struct Reader<'a>(&'a dyn Fn(&str) -> Option<String>);

impl<'a> Reader<'a> {
    pub(super) fn new(value_of: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(value_of)
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.value(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn read<T>(
        &self,
        name: &'static str,
        default: T,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, SettingError> {
        match self.value(name) {
            None => Ok(default),
            Some(value) => parse(value.trim()).ok_or(SettingError::new(name, expected)),
        }
    }

    /// A number of bytes, for which there is no limit by default.
    pub(super) fn bytes(&self, name: &'static str) -> Result<Option<u64>, SettingError> {
        self.read(name, None, |text| text.parse().ok().map(Some), "a number of bytes")
    }

    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool, SettingError> {
        self.read(name, default, |text| text.parse().ok(), "true or false")
    }

    /// A variable that may be empty.
    pub(super) fn read_text(
        &self,
        name: &'static str,
        default: &str,
        is_valid: impl Fn(&str) -> bool,
        expected: &'static str,
    ) -> Result<String, SettingError> {
        let text = (self.0)(name).unwrap_or_else(|| default.to_owned());
        if is_valid(&text) { Ok(text) } else { Err(SettingError::new(name, expected)) }
    }

    pub(super) fn extension(&self, name: &'static str, default: &str) -> Result<String, SettingError> {
        self.read_text(name, default, |text| !text.contains('/'), "an extension such as .done, without slashes")
    }
}
