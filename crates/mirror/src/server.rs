//! A static file server on loopback, for one directory in upstream's URL layout.
//!
//! It supports the features of artifact hosts on which clients can rely: `GET` and `HEAD`, `Content-Length`, `ETag`
//! with `If-None-Match`, 404 with a body that is not an archive (contracts 6.2), no directory listings. Every
//! connection carries one request.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_tcp_quickack;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The longest request head that is read, in bytes.
const HEAD_LIMIT: u64 = 64 * 1024;

/// A client that stops in the middle of its request is dropped after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The response for a path instead of the file below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Override {
    /// These bytes, with status 200.
    Body(Vec<u8>),
    /// Another file, with status 200.
    File(PathBuf),
    /// This status, with a short body.
    Status(u16),
}

/// A request with its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path as sent: percent-encoded, with the query.
    pub path: String,
    pub status: u16,
    /// Bytes of the body, or 0 if it couldn't be sent.
    pub bytes: u64,
}

/// A server, which runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    https: Vec<SocketAddr>,
}

/// Maps paths of a host that is served by HTTPS to paths below the root: the prefix `path` becomes `below`. Of
/// several routes of a host, the first match counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub host: &'static str,
    pub path: &'static str,
    pub below: &'static str,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    overrides: Mutex<HashMap<String, Override>>,
    requests: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

impl Server {
    /// Serves `root` on a free port of 127.0.0.1.
    pub fn start(root: impl Into<PathBuf>) -> io::Result<Self> {
        Self::start_on(root, 0)
    }

    /// Serves `root` on this port of 127.0.0.1.
    pub fn start_on(root: impl Into<PathBuf>, port: u16) -> io::Result<Self> {
        let root = root.into().canonicalize()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            root,
            overrides: Mutex::default(),
            requests: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            serving.accept(&listener, |shared, mut stream| {
                shared.serve(&mut stream, &|head| head.target.clone())
            });
        });
        Ok(Self {
            shared,
            address,
            https: Vec::new(),
        })
    }

    /// Also serves the same files by HTTPS on `listener`, by host name.
    pub fn with_https(
        mut self,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        routes: &'static [Route],
    ) -> io::Result<Self> {
        self.https.push(listener.local_addr()?);
        let serving = Arc::clone(&self.shared);
        thread::spawn(move || {
            serving.accept(&listener, move |shared, stream| {
                let connection = ServerConnection::new(Arc::clone(&tls));
                let connection = connection.map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(connection, Prompt(stream));
                shared.serve(&mut stream, &|head| routed(routes, head))?;
                stream.conn.send_close_notify();
                stream.flush()
            });
        });
        Ok(self)
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The directory that is served.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Sets another response for `path` from now on. It starts with `/`, and queries are ignored.
    pub fn set_override(&self, path: impl Into<String>, answer: Override) {
        lock(&self.shared.overrides).insert(path.into(), answer);
    }

    /// Serves `path` from the root again.
    pub fn clear_override(&self, path: &str) {
        lock(&self.shared.overrides).remove(path);
    }

    /// All requests so far, in the order in which they were answered.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        lock(&self.shared.requests).clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting threads. If this fails, a thread has already ended.
        for address in self.https.iter().chain([&self.address]) {
            let _ = TcpStream::connect(address);
        }
    }
}

/// The data is valid after every statement that changes it, even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Head {
    method: String,
    target: String,
    host: String,
    if_none_match: Option<String>,
}

/// A connection that acknowledges every segment at once.
///
/// Erlang's ssl ends the handshake with a small segment and sends the request in the next one, which the kernel
/// delays until the first is acknowledged (Nagle's algorithm). Without this, that would take 40 ms for each package
/// that Hex requests, since the server sends nothing between the two.
struct Prompt(TcpStream);

impl Read for Prompt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Set it again for each read: after a write, the kernel returns to delayed acknowledgements.
        set_tcp_quickack(&self.0, true)?;
        self.0.read(buffer)
    }
}

impl Write for Prompt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

enum Body {
    Bytes(Vec<u8>),
    File(File),
}

struct Answer {
    status: u16,
    etag: Option<String>,
    length: u64,
    body: Body,
}

impl Answer {
    fn status(status: u16) -> Self {
        Self::bytes(
            status,
            format!("<Error><Code>{status}</Code></Error>\n").into_bytes(),
        )
    }

    fn bytes(status: u16, bytes: Vec<u8>) -> Self {
        Self {
            status,
            etag: None,
            length: bytes.len() as u64,
            body: Body::Bytes(bytes),
        }
    }

    fn file(path: &Path) -> Self {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) if metadata.is_file() => Self {
                status: 200,
                etag: Some(format!(
                    "\"{:x}-{:x}-{:x}\"",
                    metadata.len(),
                    metadata.mtime(),
                    metadata.mtime_nsec()
                )),
                length: metadata.len(),
                body: Body::File(file),
            },
            _ => Self::status(404),
        }
    }
}

impl Shared {
    fn accept(
        self: &Arc<Self>,
        listener: &TcpListener,
        serve: impl Fn(&Self, TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) {
        let serve = Arc::new(serve);
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            if let Ok(stream) = stream {
                let (shared, serve) = (Arc::clone(self), Arc::clone(&serve));
                // Errors of clients that disconnect are ignored.
                thread::spawn(move || {
                    let _ = stream
                        .set_read_timeout(Some(PATIENCE))
                        .and_then(|()| serve(&shared, stream));
                });
            }
        }
    }

    /// Answers a request. `target` returns its path below the root.
    fn serve(
        &self,
        stream: &mut (impl Read + Write),
        target: &dyn Fn(&Head) -> String,
    ) -> io::Result<()> {
        let Some(mut head) = read_head(stream)? else {
            return Ok(());
        };
        head.target = target(&head);
        let mut answer = match head.method.as_str() {
            "GET" | "HEAD" => self.answer(&head.target),
            _ => Answer::status(405),
        };
        if answer.etag.is_some() && answer.etag == head.if_none_match {
            answer.status = 304;
        }
        let has_body = head.method != "HEAD" && answer.status != 304;
        // Record the request before sending the response: a test may read the requests as soon as its client has the
        // response.
        lock(&self.requests).push(Request {
            method: head.method.clone(),
            path: head.target.clone(),
            status: answer.status,
            bytes: if has_body { answer.length } else { 0 },
        });
        let result = send(stream, &mut answer, &head.method);
        if result.is_err() {
            let mut requests = lock(&self.requests);
            let failed = requests.iter_mut().rfind(|one| one.path == head.target);
            if let Some(failed) = failed {
                failed.bytes = 0;
            }
        }
        result
    }

    fn answer(&self, target: &str) -> Answer {
        let path = target.split('?').next().unwrap_or_default();
        let chosen = lock(&self.overrides).get(path).cloned();
        match chosen {
            Some(Override::Body(bytes)) => Answer::bytes(200, bytes),
            Some(Override::File(file)) => Answer::file(&file),
            Some(Override::Status(status)) => Answer::status(status),
            None => match below(path) {
                Some(relative) => Answer::file(&self.root.join(relative)),
                None => Answer::status(400),
            },
        }
    }
}

/// Returns the target of a request to a host of `routes`, or one without a file if there is no route.
fn routed(routes: &[Route], head: &Head) -> String {
    let host = head.host.split(':').next().unwrap_or_default();
    routes
        .iter()
        .filter(|route| route.host == host)
        .find_map(|route| {
            let rest = head.target.strip_prefix(route.path)?;
            Some(format!("{}{rest}", route.below))
        })
        .unwrap_or_else(|| format!("/no-route/{host}{}", head.target))
}

/// Returns the file of a URL path, relative to the root. `None` if it is outside the root.
fn below(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode(path.strip_prefix('/')?)?;
    let relative = PathBuf::from(decoded);
    relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
        .then_some(relative)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Returns `None` for a closed connection, or one that didn't send HTTP.
fn read_head(stream: &mut impl Read) -> io::Result<Option<Head>> {
    let mut reader = BufReader::new(stream.take(HEAD_LIMIT));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut head = Head {
        method: method.to_owned(),
        target: target.to_owned(),
        host: String::new(),
        if_none_match: None,
    };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let field = line.trim_end();
        if field.is_empty() {
            return Ok(Some(head));
        }
        if let Some((name, value)) = field.split_once(':') {
            let value = value.trim().to_owned();
            match name.to_ascii_lowercase().as_str() {
                "host" => head.host = value,
                "if-none-match" => head.if_none_match = Some(value),
                _ => {}
            }
        }
    }
}

/// Sends a response. Returns the number of bytes of the body that were sent.
fn send(stream: &mut impl Write, answer: &mut Answer, method: &str) -> io::Result<()> {
    let reason = match answer.status {
        200 => "OK",
        304 => "Not Modified",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Status",
    };
    write!(
        stream,
        "HTTP/1.1 {} {reason}\r\nConnection: close\r\n",
        answer.status
    )?;
    if let Some(etag) = &answer.etag {
        write!(stream, "ETag: {etag}\r\n")?;
    }
    if answer.status != 304 {
        write!(stream, "Content-Length: {}\r\n", answer.length)?;
    }
    stream.write_all(b"\r\n")?;
    if method == "HEAD" || answer.status == 304 {
        return Ok(());
    }
    match &mut answer.body {
        Body::Bytes(bytes) => stream.write_all(bytes),
        Body::File(file) => io::copy(&mut file.take(answer.length), stream).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn served() -> (TempDir, Server) {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("builds")).unwrap();
        fs::write(dir.path().join("builds/a b.txt"), "OTP-27.0").unwrap();
        let server = Server::start(dir.path()).unwrap();
        (dir, server)
    }

    fn talk(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "{request}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn response_has_content_length() {
        let (_dir, server) = served();
        let answer = talk(&server, "GET /builds/a%20b.txt?x=1 HTTP/1.1");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 8\r\n"));
        assert!(answer.ends_with("\r\n\r\nOTP-27.0"));
        assert_eq!(
            server.requests(),
            [Request {
                method: "GET".into(),
                path: "/builds/a%20b.txt?x=1".into(),
                status: 200,
                bytes: 8
            }]
        );
        server.forget_requests();
        assert!(server.requests().is_empty());
    }

    #[test]
    fn head_has_content_length_and_no_body() {
        let (_dir, server) = served();
        let answer = talk(&server, "HEAD /builds/a%20b.txt HTTP/1.1");
        assert!(answer.contains("\r\nContent-Length: 8\r\n"));
        assert!(answer.ends_with("\r\n\r\n"));
        assert_eq!(server.requests()[0].bytes, 0);
    }

    #[test]
    fn unchanged_file_returns_304() {
        let (dir, server) = served();
        let first = talk(&server, "GET /builds/a%20b.txt HTTP/1.1");
        let etag = first
            .lines()
            .find(|line| line.starts_with("ETag: "))
            .unwrap();
        let again = format!(
            "GET /builds/a%20b.txt HTTP/1.1\r\nif-none-match: {}",
            &etag[6..]
        );
        assert!(talk(&server, &again).starts_with("HTTP/1.1 304 "));
        fs::write(dir.path().join("builds/a b.txt"), "changed").unwrap();
        assert!(talk(&server, &again).ends_with("changed"));
    }

    #[test]
    fn other_requests_are_rejected() {
        let (dir, server) = served();
        fs::write(dir.path().parent().unwrap().join("beside"), "").ok();
        for (request, status) in [
            ("GET /builds HTTP/1.1", "404"),
            ("GET /none.txt HTTP/1.1", "404"),
            ("GET /../beside HTTP/1.1", "400"),
            ("GET /%2e%2e/beside HTTP/1.1", "400"),
            ("GET //etc/passwd HTTP/1.1", "400"),
            ("POST /builds/a%20b.txt HTTP/1.1", "405"),
        ] {
            let answer = talk(&server, request);
            assert_eq!(&answer[9..12], status, "{request}");
        }
    }

    #[test]
    fn override_replaces_response_of_path() {
        let (dir, server) = served();
        let path = "/builds/a%20b.txt";
        let get = "GET /builds/a%20b.txt HTTP/1.1";
        server.set_override(path, Override::Body(b"other".to_vec()));
        assert!(talk(&server, get).ends_with("\r\n\r\nother"));
        server.set_override(path, Override::Status(503));
        assert!(talk(&server, get).starts_with("HTTP/1.1 503 "));
        let file = dir.path().join("elsewhere");
        fs::write(&file, "a file").unwrap();
        server.set_override(path, Override::File(file));
        assert!(talk(&server, get).ends_with("\r\n\r\na file"));
        server.clear_override(path);
        assert!(talk(&server, get).ends_with("\r\n\r\nOTP-27.0"));
    }

    #[test]
    fn server_stops_on_drop() {
        let (_dir, server) = served();
        let address = server.address;
        drop(server);
        let gone = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(10));
            TcpStream::connect(address).is_err()
        });
        assert!(gone);
    }
}
