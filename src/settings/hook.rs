//! The variables `on_completion_url` and `on_completion_timeout`.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;

use super::reader::{Reader, SettingError};
use super::variable;

/// The completion hook's settings.
#[derive(Clone, Debug)]
pub struct HookSettings {
    /// The URL that is asked.
    pub url: Uri,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// Platforms end a request after 30 s, and a sweep waits minutes for a completion under way.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30);

/// Reads the hook's settings, where it has a URL.
pub(super) fn read(reader: &Reader<'_>) -> Result<Option<HookSettings>, SettingError> {
    let url = reader.parse_optional(&variable::ON_COMPLETION_URL, super::parse_absolute)?;
    let timeout = reader.parse(&variable::ON_COMPLETION_TIMEOUT, parse_timeout)?;
    Ok(url.map(|url| HookSettings { url, timeout }))
}

fn parse_timeout(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|timeout| TIMEOUTS.contains(timeout))
}
