//! The variables that make the paths of URLs: `upload_path`, `complete_ext`, `incomplete_ext` and `public_url`.

use http::Uri;
use jiff::Timestamp;

use super::reader::{Reader, SettingError};
use super::{format_path, parse_absolute, variable};
use crate::http::path::{is_plain, normalize};
use crate::http::urls;

/// What the paths of URLs are made of.
pub(super) struct Paths {
    pub(super) complete_ext: String,
    pub(super) incomplete_ext: String,
    pub(super) public_url: Option<String>,
    pub(super) upload_path: String,
}

/// Reads the variables. A file must have a URL of its own, and clients must reach it.
pub(super) fn read(reader: &Reader<'_>) -> Result<Paths, SettingError> {
    let is_extension = |text: &str| !text.contains('/');
    let is_folder =
        |pattern: &str| folder(pattern).is_some_and(|folder| folder.is_empty() || is_plain(&format!("/{folder}")));
    let paths = Paths {
        complete_ext: reader.text_or_empty(&variable::COMPLETE_EXT, is_extension)?,
        incomplete_ext: reader.text_or_empty(&variable::INCOMPLETE_EXT, is_extension)?,
        public_url: reader.parse_optional(&variable::PUBLIC_URL, parse_public_url)?,
        upload_path: reader.text_or_empty(&variable::UPLOAD_PATH, is_folder)?,
    };
    if paths.hide_files() {
        let expected =
            "another path: where complete_ext or incomplete_ext is empty, a file would have its upload's URL";
        return Err(SettingError::with(&variable::UPLOAD_PATH, expected));
    }
    Ok(paths)
}

impl Paths {
    /// Whether a file has the URL of its upload. The folder of the files may stand below the path of `public_url`.
    fn hide_files(&self) -> bool {
        let folder = folder(&self.upload_path).unwrap_or_default();
        let prefix: Option<Uri> = self.public_url.as_ref().and_then(|url| url.parse().ok());
        let below = prefix.map(|prefix| normalize(&format!("{}/{folder}", prefix.path())).trim_matches('/').to_owned());
        let is_uploads = folder == urls::UPLOADS || below.as_deref() == Some(urls::UPLOADS);
        is_uploads && (self.complete_ext.is_empty() || self.incomplete_ext.is_empty())
    }
}

fn folder(pattern: &str) -> Option<String> {
    format_path(pattern, Timestamp::UNIX_EPOCH)
}

fn parse_public_url(text: &str) -> Option<String> {
    let uri = parse_absolute(text)?;
    let path = normalize(uri.path().trim_end_matches('/'));
    let is_base = uri.query().is_none() && is_plain(&path);
    is_base.then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use crate::settings::{SettingError, Settings};

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::read(|asked| variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_path_is_one_that_clients_leave_as_it_is() {
        for path in ["", "/", "a", "/a/b/", "a.b/.c/..d", "%Y/%m", "a b/%%2e%%2e"] {
            assert!(read(&[("upload_path", path)]).is_ok(), "{path}");
        }
        for path in ["..", "../up", "a/..", "a/./b", "/./a", "a//b", "%Y/../a"] {
            let error = read(&[("upload_path", path)]).err().expect(path).to_string();
            assert!(error.contains("\"upload_path\"") && error.contains("without . and .."), "{error}");
        }
        for path in ["", "/", "/a", "/a/b.c/", "/a%20b//"] {
            assert!(read(&[("public_url", &format!("https://example.com{path}"))]).is_ok(), "{path}");
        }
        for path in ["/..", "/a/../b", "/a/./b/", "/a//b", "//a", "/%2e%2E/a", "/a?b"] {
            let error = read(&[("public_url", &format!("https://example.com{path}"))]).err().expect(path).to_string();
            assert!(error.contains("\"public_url\"") && error.contains("without . and .."), "{error}");
        }
    }

    #[test]
    fn a_file_has_not_the_url_of_its_upload() {
        for extension in ["complete_ext", "incomplete_ext"] {
            let mut refused = vec![vec![("upload_path", "uploads")], vec![("upload_path", "/uploads/")]];
            for url in ["https://example.com/uploads/", "http://example.com/upload%73"] {
                refused.push(vec![("upload_path", ""), ("public_url", url)]);
            }
            for variables in &mut refused {
                assert!(read(variables).is_ok(), "{variables:?}");
                variables.push((extension, ""));
                let error = read(variables).err().expect("a collision").to_string();
                assert!(error.contains("\"upload_path\"") && error.contains(extension), "{error}");
            }
            for path in ["", "uploads/a", "a/uploads", "files", "chunked_uploads/%Y"] {
                assert!(read(&[("upload_path", path), (extension, "")]).is_ok(), "{path}");
            }
        }
    }
}
