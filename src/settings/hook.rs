//! The variables `on_completion_url` and `on_completion_timeout`.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;

use super::reader::{Reader, SettingError};
use super::variable;

/// The completion hook's settings.
#[derive(Clone, Debug)]
pub struct HookSettings {
    /// The URL that is called.
    pub url: Uri,
    /// How long the URL may take to answer.
    pub timeout: Duration,
}

/// The timeouts that are allowed. Platforms end a request after 30 s. A sweep leaves an expired upload alone for
/// minutes, so that a completion under way can end.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30);

/// Reads the hook's settings. Returns `None` if no URL is set.
pub(super) fn read(reader: &Reader<'_>) -> Result<Option<HookSettings>, SettingError> {
    let url = reader.parse_optional(&variable::ON_COMPLETION_URL, super::parse_absolute)?;
    let timeout = reader.parse(&variable::ON_COMPLETION_TIMEOUT, parse_timeout)?;
    Ok(url.map(|url| HookSettings { url, timeout }))
}

fn parse_timeout(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|timeout| TIMEOUTS.contains(timeout))
}
