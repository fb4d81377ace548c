//! Spin variables: an application's values, and the components' templates over them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::manifest::{Component, Manifest};

/// The component's variables by name, as the guest reads them.
pub type Variables = BTreeMap<String, String>;

/// Reads `NAME=VALUE`.
pub fn parse_assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// The application's variables. A value comes from the command line, the environment (`SPIN_VARIABLE_NAME`) or the
/// default, in this order.
pub struct Resolver<'a> {
    manifest: &'a Manifest,
    assignments: &'a [(String, String)],
}

impl<'a> Resolver<'a> {
    /// Resolves with the command line's `assignments`.
    ///
    /// # Errors
    /// If an assignment names a variable that the manifest doesn't declare.
    pub fn new(manifest: &'a Manifest, assignments: &'a [(String, String)]) -> Result<Self> {
        if let Some((name, _)) = assignments.iter().find(|(name, _)| !manifest.variables.contains_key(name)) {
            let known = manifest.variables.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("there is no variable {name:?}; the application's variables are {known}");
        }
        Ok(Self { manifest, assignments })
    }

    /// A component's variables.
    ///
    /// # Errors
    /// If a variable has no value or is not declared, or if a template can't be read.
    pub fn component_variables(&self, component: &Component) -> Result<Variables> {
        component.variables.iter().map(|(name, template)| Ok((name.clone(), self.expand(template)?))).collect()
    }

    /// The text of a template, with the values of its variables.
    ///
    /// # Errors
    /// If a variable in the template has no value.
    pub fn expand(&self, template: &str) -> Result<String> {
        expand(template, &|name| application_value(self.manifest, self.assignments, name))
    }
}

fn application_value(manifest: &Manifest, assignments: &[(String, String)], name: &str) -> Result<String> {
    let variable = manifest.variables.get(name).with_context(|| format!("the variable {name:?} is not declared"))?;
    let assigned = assignments.iter().rev().find(|(assigned, _)| assigned == name).map(|(_, value)| value.clone());
    assigned
        .or_else(|| std::env::var(format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase())).ok())
        .or_else(|| variable.default.clone())
        .with_context(|| format!("the variable {name:?} needs a value: --variable {name}=…"))
}

/// Replaces each `{{ name }}` of a component variable's template.
fn expand(template: &str, value_of: &dyn Fn(&str) -> Result<String>) -> Result<String> {
    let mut expanded = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").with_context(|| format!("no }}}} in the template {template:?}"))?;
        expanded += before;
        expanded += &value_of(name.trim())?;
        rest = after;
    }
    Ok(expanded + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shout(name: &str) -> Result<String> {
        Ok(name.to_uppercase())
    }

    #[test]
    fn templates_mix_text_and_variables() {
        assert_eq!(expand("{{ a }}-{{b}}.x", &shout).unwrap(), "A-B.x");
        assert_eq!(expand("plain", &shout).unwrap(), "plain");
        assert!(expand("{{ a", &shout).is_err());
    }

    #[test]
    fn an_assignment_keeps_later_equals_signs() {
        assert_eq!(parse_assignment("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_assignment("a="), Ok(("a".into(), String::new())));
        assert!(parse_assignment("=b").is_err());
        assert!(parse_assignment("a").is_err());
    }
}
