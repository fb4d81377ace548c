//! The variables `on_completion_url` and `on_completion_timeout`.

use std::time::Duration;

use http::Uri;

use super::reader::{Reader, SettingError};

/// The completion hook's settings.
#[derive(Clone, Debug)]
pub struct HookSettings {
    /// The URL that is asked.
    pub url: Uri,
    /// How long it may take to answer.
    pub timeout: Duration,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Platforms end a request after 30 s, and a sweep waits a minute for a completion under way.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the hook's settings, where it has a URL.
pub(super) fn read(reader: &Reader<'_>) -> Result<Option<HookSettings>, SettingError> {
    let url = reader.read(
        "on_completion_url",
        None,
        |text| super::parse_absolute(text).map(Some),
        "an absolute URL such as https://example.com/uploaded",
    )?;
    let timeout = reader.read(
        "on_completion_timeout",
        DEFAULT_TIMEOUT,
        |text| {
            humantime::parse_duration(text)
                .ok()
                .filter(|timeout| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(timeout))
        },
        "a duration such as 10s, at most 30s",
    )?;
    Ok(url.map(|url| HookSettings { url, timeout }))
}
