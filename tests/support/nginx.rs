//! An nginx of a test's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// It takes milliseconds to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running nginx. Dropping it kills it.
pub struct Nginx {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Nginx {
    /// An nginx with these directives in its server; `None` where there is none to be started.
    pub fn start(directives: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string();
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, configuration(&address, directives)).expect("a configuration");
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-p").arg(folder.path()).arg("-c").arg(&path).args(["-e", "stderr"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok()
        });
        let nginx = Self { process: program?, address, _folder: folder };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&nginx.address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen on {}", nginx.address);
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(nginx)
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One process, so that it ends when it is killed, and nothing outside of its folder.
fn configuration(address: &str, directives: &str) -> String {
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\nserver {{\nlisten {address};\n{directives}\n}}\n}}\n"
    )
}
