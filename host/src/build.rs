//! Builds the components. It installs the wasm target if it is missing, and then runs the manifest's own commands.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use wait_timeout::ChildExt;

use crate::manifest::{Build, Manifest};

const TARGET: &str = "wasm32-wasip2";
/// The download has about 25 MB. If it takes longer than this, there is no connection to the server.
const TARGET_TIMEOUT: Duration = Duration::from_secs(180);

/// Builds the manifest's components, and shows the builds' own output.
///
/// # Errors
/// If the wasm target can't be installed or a build command fails.
pub fn build(manifest: &Manifest) -> Result<()> {
    for (id, component) in &manifest.components {
        if let Some(build) = &component.build {
            build_one(id, build, &manifest.build_folder(build))?;
        }
    }
    Ok(())
}

fn build_one(id: &str, build: &Build, folder: &Path) -> Result<()> {
    if build.command.contains(TARGET) {
        ensure_target()?;
    }
    eprintln!("Building component {id} with `{}`", build.command);
    let status = shell(&build.command)
        .current_dir(folder)
        .status()
        .with_context(|| format!("cannot run `{}`", build.command))?;
    ensure!(status.success(), "`{}` failed ({status}); its messages are above", build.command);
    Ok(())
}

/// The manifest's command is one line. The platform's shell runs it, as with `spin build`.
fn shell(command: &str) -> Command {
    let (program, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell = Command::new(program);
    // `cargo run` sets these variables for the program that it runs. A build from a plain shell does not have them.
    shell.arg(flag).arg(command).env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    shell
}

fn ensure_target() -> Result<()> {
    if target_is_installed()? {
        return Ok(());
    }
    eprintln!("Installing the Rust target {TARGET} (rustup target add {TARGET})");
    let advice = format!(
        "the Rust target {TARGET} is missing. Install it with `rustup target add {TARGET}`; if your Rust does not \
         come from rustup, install your system's package of the standard library for {TARGET}, or get rustup from \
         https://rustup.rs"
    );
    let mut child = match Command::new("rustup").args(["target", "add", TARGET]).stdin(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) => bail!("cannot run rustup ({error}), and {advice}"),
    };
    let Some(status) = child.wait_timeout(TARGET_TIMEOUT)? else {
        child.kill()?;
        child.wait()?;
        bail!("rustup did not finish in {} s, and {advice}", TARGET_TIMEOUT.as_secs());
    };
    ensure!(status.success(), "rustup failed ({status}), and {advice}");
    ensure!(target_is_installed()?, "rustup added it to another toolchain than the one in use, and {advice}");
    Ok(())
}

/// Asks the compiler in use, because rustup may not have installed it.
fn target_is_installed() -> Result<bool> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("cannot run rustc; is Rust installed? See https://rustup.rs")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}
