//! Real servers that store objects, on loopback, if they are installed.
//!
//! nginx supports GET and PUT (`apt-get install nginx`). versitygw supports S3 and verifies signatures (`go install
//! github.com/versity/versitygw/cmd/versitygw@v1.8.0`).

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The credentials for reading, as `user:password` or `id:secret`.
pub const READER: &str = "reader:readers-password";
/// The credentials for reading and writing.
pub const WRITER: &str = "writer:writers-password";
/// The bucket that the S3 server has.
pub const BUCKET: &str = "dependencies";

/// The time that a server has to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server, which stops when it is dropped.
#[derive(Debug)]
pub struct ObjectStore {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl ObjectStore {
    /// Starts nginx, with PUT for [`WRITER`] and GET for both. Returns `None` if it isn't installed.
    pub fn nginx() -> io::Result<Option<Self>> {
        Self::nginx_with("create_full_put_path on; client_max_body_size 256m;")
    }

    /// Starts nginx with these directives instead of those that create directories and allow large files.
    pub fn nginx_with(directives: &str) -> io::Result<Option<Self>> {
        Self::start("nginx", |command, directory, port| {
            let conf = directory.join("nginx.conf");
            fs::create_dir(directory.join("files"))?;
            let [reader, writer] = [READER, WRITER].map(|user| user.replace(':', ":{PLAIN}"));
            fs::write(directory.join("writers"), format!("{writer}\n"))?;
            fs::write(directory.join("readers"), format!("{reader}\n{writer}\n"))?;
            fs::write(&conf, nginx_conf(directory, port, directives))?;
            command.arg("-p").arg(directory).arg("-c").arg(&conf);
            // Otherwise it tries to open its log in /var first.
            command.arg("-e").arg(directory.join("error.log"));
            Ok(())
        })
    }

    /// Starts an S3 server with the bucket [`BUCKET`], which [`WRITER`] has all access to. Returns
    /// `None` if it isn't installed.
    pub fn s3() -> io::Result<Option<Self>> {
        Self::start("versitygw", |command, directory, port| {
            let files = directory.join("files");
            fs::create_dir_all(files.join(BUCKET))?;
            let (id, secret) = WRITER.split_once(':').unwrap_or_default();
            let sidecar = directory.join("metadata");
            fs::create_dir(&sidecar)?;
            command
                .args(["--port", &format!("127.0.0.1:{port}")])
                .args(["--access", id, "--secret", secret, "--quiet"])
                .args(["posix", "--sidecar"])
                .args([&sidecar, &files]);
            Ok(())
        })
    }

    fn start(
        program: &str,
        prepare: impl FnOnce(&mut Command, &Path, u16) -> io::Result<()>,
    ) -> io::Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = Command::new(program);
        prepare(&mut command, directory.path(), port)?;
        let log = fs::File::create(directory.path().join("output"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut server = Self {
            child,
            port,
            directory,
        };
        server.await_start()?;
        Ok(Some(server))
    }

    fn await_start(&mut self) -> io::Result<()> {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if self.child.try_wait()?.is_some() || started.elapsed() > PATIENCE {
                let output = fs::read_to_string(self.directory.path().join("output"))?;
                return Err(io::Error::other(format!("no server: {output}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The directory with the stored files.
    #[must_use]
    pub fn files(&self) -> std::path::PathBuf {
        self.directory.path().join("files")
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        // Both only fail if it has already ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn nginx_conf(directory: &Path, port: u16, directives: &str) -> String {
    let directory = directory.display();
    format!(
        "daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {directory}/files;
    location / {{
      auth_basic store;
      auth_basic_user_file {directory}/readers;
      limit_except GET {{
        auth_basic store;
        auth_basic_user_file {directory}/writers;
      }}
      dav_methods PUT;
      {directives}
    }}
  }}
}}
"
    )
}
