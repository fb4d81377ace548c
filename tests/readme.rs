//! Runs the examples of README.md as they are.

mod support;

use std::process::Command;

use support::{Server, server};

/// The first code block of this language after the heading, for this server.
fn example(heading: &str, language: &str, server: &Server) -> String {
    let readme = std::fs::read_to_string(server::root().join("README.md")).unwrap();
    let section = readme.split_once(heading).expect("the heading").1;
    let block = section.split_once(&format!("```{language}\n")).expect("a block").1;
    block.split_once("```").unwrap().0.replace("127.0.0.1:3000", server.address())
}

fn run(program: &str, arguments: &[&str], folder: &std::path::Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout.into_owned()
}

#[test]
fn the_curl_example_works() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let script = example("## An upload with curl", "sh", &server);
    let said = run("bash", &["-euc", &script], folder.path());
    assert!(said.contains("\"offset\":20000") && said.ends_with("the same file\n"), "{said}");
}

#[test]
fn the_python_example_works() {
    if !Command::new("python3").args(["-c", "import requests"]).output().is_ok_and(|tried| tried.status.success()) {
        eprintln!("not tested: there is no python3 with the package requests here");
        return;
    }
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("example.bin"), support::data::bytes(1, 25_000)).unwrap();
    let script = example("## An upload with Python", "python", &server);
    let url = run("python3", &["-c", &script], folder.path());
    assert!(server.client().get(url.trim()).expect(200).body == support::data::bytes(1, 25_000));
}
