//! Python packages that tests need.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use super::server::{root, run};

/// The folder of the programs in the virtual environment for `tests/NAME/requirements.txt`. If the environment is
/// missing or has other requirements, it is made first.
pub fn environment(name: &str) -> PathBuf {
    static KNOWN: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut known = KNOWN.lock().expect("no test has failed in here");
    known.get_or_insert_default().entry(name.to_owned()).or_insert_with(|| install(name)).clone()
}

fn install(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let (folder, requirements) = (target.join(name), root().join("tests").join(name).join("requirements.txt"));
    let wanted = std::fs::read(&requirements).expect("the requirements");
    let installed = folder.join("installed.txt");
    if std::fs::read(&installed).ok().as_ref() != Some(&wanted) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(&requirements));
        std::fs::write(&installed, &wanted).expect("the mark that all is installed");
    }
    folder.join("bin")
}
