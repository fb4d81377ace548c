//! The route of a component: which paths it gets.

use anyhow::{Result, bail};

/// A route with a wildcard at its end: `/...` or `/files/...`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    prefix: String,
}

impl Route {
    /// Reads a route as the manifest has it.
    ///
    /// # Errors
    /// If the text is another kind of route.
    pub fn parse(text: &str) -> Result<Self> {
        // Spin takes a route without a slash in front for one with it.
        let path = format!("/{}", text.strip_prefix('/').unwrap_or(text));
        match path.strip_suffix("/...") {
            Some(prefix) if !prefix.contains(['*', ':']) => Ok(Self { prefix: prefix.to_owned() }),
            _ => bail!(
                "this host serves no route {text:?}, only such as \"/...\" and \"/files/...\"; use Spin for others"
            ),
        }
    }

    /// The route as a manifest has it.
    pub fn pattern(&self) -> String {
        format!("{}/...", self.prefix)
    }

    /// The part without the wildcard, and without a slash at the end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What of the path the wildcard stands for; `None` for a path of another route.
    pub fn wildcard<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_takes_the_paths_below_it() {
        let files = Route::parse("/files/...").unwrap();
        assert_eq!(files.pattern(), "/files/...");
        for (path, wildcard) in [("/files", Some("")), ("/files/", Some("/")), ("/files/a/", Some("/a/"))] {
            assert_eq!(files.wildcard(path), wildcard);
        }
        for path in ["/", "/filesystem", "/other/files", "//files"] {
            assert_eq!(files.wildcard(path), None, "{path}");
        }
        let all = Route::parse("/...").unwrap();
        assert_eq!((all.prefix(), all.wildcard("/a")), ("", Some("/a")));
        assert_eq!(Route::parse("files/...").unwrap(), files);
        for other in ["/files", "/:user/...", "/*", ""] {
            assert!(Route::parse(other).is_err(), "{other}");
        }
    }
}
