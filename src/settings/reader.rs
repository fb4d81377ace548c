//! Reading single variables.

use thiserror::Error;

use super::variable::Variable;

/// A variable that can't be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("The variable \"{name}\" can't be read: it must be {expected}")]
pub struct SettingError {
    name: &'static str,
    expected: &'static str,
}

impl SettingError {
    /// The error for this variable.
    pub fn new(variable: &Variable) -> Self {
        Self::with(variable, variable.expected)
    }

    /// The error for a variable whose value does not go with another variable's.
    pub(super) fn with(variable: &Variable, expected: &'static str) -> Self {
        Self { name: variable.name, expected }
    }
}

/// Reads single variables. A variable that isn't set has its default.
pub(super) struct Reader<'a>(&'a dyn Fn(&str) -> Option<String>);

impl<'a> Reader<'a> {
    pub(super) fn new(value_of: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(value_of)
    }

    /// The variable's text. An empty value counts as none, because a Spin variable needs a default, and empty is the
    /// natural one.
    pub(super) fn optional(&self, variable: &Variable) -> Option<String> {
        let value = (self.0)(variable.name).filter(|value| !value.is_empty());
        value.or_else(|| (!variable.default.is_empty()).then(|| variable.default.to_owned()))
    }

    /// The text of a variable that has a default.
    pub(super) fn text(&self, variable: &Variable) -> String {
        self.optional(variable).unwrap_or_default()
    }

    /// The text of a variable that may be empty.
    pub(super) fn text_or_empty(
        &self,
        variable: &Variable,
        is_valid: impl Fn(&str) -> bool,
    ) -> Result<String, SettingError> {
        let text = (self.0)(variable.name).unwrap_or_else(|| variable.default.to_owned());
        if is_valid(&text) { Ok(text) } else { Err(SettingError::new(variable)) }
    }

    /// The value of a variable that has a default.
    pub(super) fn parse<T>(&self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Result<T, SettingError> {
        parse(self.text(variable).trim()).ok_or(SettingError::new(variable))
    }

    /// The value of a variable that may be left out.
    pub(super) fn parse_optional<T>(
        &self,
        variable: &Variable,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        match self.optional(variable) {
            None => Ok(None),
            Some(value) => parse(value.trim()).map(Some).ok_or(SettingError::new(variable)),
        }
    }
}
