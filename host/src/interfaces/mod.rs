//! Spin's key-value and variables interfaces, as components import them. Each kind of component has its own file.

mod wasip2;
mod wasip3;

use crate::guest::GuestState;

/// Makes the interfaces available to components.
pub fn add_to_linker(linker: &mut wasmtime::component::Linker<GuestState>) -> wasmtime::Result<()> {
    wasip2::add_to_linker(linker)?;
    wasip3::add_to_linker(linker)
}
