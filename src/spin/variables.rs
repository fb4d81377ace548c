//! The settings from Spin's variables.

use std::collections::HashMap;

use futures::future::try_join_all;
use spin_sdk::variables;

use crate::protocol::SetupError;
use crate::settings::Settings;
use crate::store::StoreError;

/// Reads all variables at once, since each may come from a server of its own.
pub(super) async fn read_settings() -> Result<Settings, SetupError> {
    let values: HashMap<&str, Option<String>> = try_join_all(Settings::NAMES.map(read)).await?.into_iter().collect();
    Ok(Settings::read(|name| values.get(name).cloned().flatten())?)
}

async fn read(name: &'static str) -> Result<(&'static str, Option<String>), SetupError> {
    match variables::get(name).await {
        Ok(value) => Ok((name, Some(value))),
        // A manifest may leave out what it doesn't set.
        Err(variables::Error::Undefined(_)) => Ok((name, None)),
        // The provider's failure may pass, like a store's.
        Err(error) => Err(StoreError(format!("cannot read the variable {name:?}: {error}")).into()),
    }
}
