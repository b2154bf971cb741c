//! An HTTP server that misbehaves on demand, for tests of HTTP clients.
//!
//! It supports GET in HTTP/1.1, with one request per connection, so that a response can break at any byte.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The response for a path.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// 200 with this body and its length.
    Ok(Vec<u8>),
    /// 200 with this body, chunked.
    Chunked(Vec<u8>),
    /// This status, with a body.
    Status(u16, Vec<u8>),
    /// This status with this `Retry-After`: seconds, or a date.
    RetryAfter(u16, String),
    /// The first behaviour for this number of requests, then the second.
    FailTimes(usize, Box<Behaviour>, Box<Behaviour>),
    /// This status, to a path of this server or to another URL.
    Redirect(u16, String),
    /// This status, to itself.
    RedirectLoop(u16),
    /// 200 with this body, and a wrong announced length.
    Announced { body: Vec<u8>, length: usize },
    /// 200 with a body that is truncated after `at` bytes, with an orderly close.
    TruncateAt {
        body: Vec<u8>,
        at: usize,
        framing: Framing,
    },
    /// Reads the request and never responds.
    StallBeforeHead,
    /// 200 and the first bytes of the body, then nothing.
    StallAt { body: Vec<u8>, at: usize },
    /// 200 and the first bytes of the body, then a TCP reset.
    ResetAt { body: Vec<u8>, at: usize },
    /// Closes without an answer.
    CloseBeforeHead,
    /// A response that isn't HTTP.
    Garbage,
    /// 200 with a body in pieces, with a pause after each.
    SlowDrip {
        body: Vec<u8>,
        chunk: usize,
        pause: Duration,
    },
}

/// How the end of a body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By an announced length.
    Length,
    /// By a last chunk.
    Chunked,
    /// By the end of the connection, so that a truncated body looks complete.
    Close,
}

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The headers in order, with names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Returns the first header with this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The server, which runs on a free port of loopback from [`FaultServer::start`] until it is dropped. For a path
/// without a behaviour, it serves the file below the root, if there is a root, and otherwise 404.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    root: Option<PathBuf>,
    behaviours: Mutex<HashMap<String, Behaviour>>,
    requests: Mutex<Vec<Request>>,
    stopped: AtomicBool,
    /// Stalled connections and pauses wait on this, so that stopping ends them at once.
    gate: Mutex<()>,
    stop: Condvar,
}

impl FaultServer {
    /// # Errors
    ///
    /// If loopback has no free port.
    pub fn start<P: Into<String>>(
        behaviours: impl IntoIterator<Item = (P, Behaviour)>,
    ) -> io::Result<Self> {
        Self::serving(None, behaviours)
    }

    /// Starts a server with the files below `root`, for paths without a behaviour.
    ///
    /// # Errors
    ///
    /// If loopback has no free port.
    pub fn in_front_of<P: Into<String>>(
        root: impl Into<PathBuf>,
        behaviours: impl IntoIterator<Item = (P, Behaviour)>,
    ) -> io::Result<Self> {
        Self::serving(Some(root.into()), behaviours)
    }

    fn serving<P: Into<String>>(
        root: Option<PathBuf>,
        behaviours: impl IntoIterator<Item = (P, Behaviour)>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let behaviours = behaviours
            .into_iter()
            .map(|(path, what)| (path.into(), what))
            .collect();
        let shared = Arc::new(Shared {
            root,
            behaviours: Mutex::new(behaviours),
            ..Shared::default()
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a path, which starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sets the behaviour of a path from the next request on.
    pub fn set(&self, path: &str, behaviour: Behaviour) {
        lock(&self.shared.behaviours).insert(path.to_owned(), behaviour);
    }

    /// Removes the behaviour of a path.
    pub fn clear(&self, path: &str) {
        lock(&self.shared.behaviours).remove(path);
    }

    /// Returns every request so far, oldest first, including those without a response.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Returns the number of requests for a path.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        lock(&self.shared.requests)
            .iter()
            .filter(|request| request.path == path)
            .count()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        {
            // Set while the gate is locked, so that no thread checks the flag before this and then waits.
            let _gate = lock(&self.shared.gate);
            self.shared.stopped.store(true, Ordering::SeqCst);
        }
        self.shared.stop.notify_all();
        // Wakes the accepting thread. If connecting fails, it has already ended.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of a server thread has been printed; a second one here would abort.
            drop(acceptor.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        connections.push(std::thread::spawn(move || {
            // Errors of clients that disconnect are expected.
            drop(serve(&stream, &shared));
        }));
    }
    for connection in connections {
        drop(connection.join());
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    // A client that never sends a request must not keep the server from stopping.
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some(request) = read_request(stream, shared)? else {
        return Ok(());
    };
    let path = request.path.clone();
    lock(&shared.requests).push(request);
    let behaviour = shared.next(&path);
    if !matches!(behaviour, Some(Behaviour::ResetAt { .. })) {
        read_rest(stream)?;
    }
    answer(stream, shared, &path, behaviour)
}

/// Reads all of a request but its last byte. On Linux, closing a connection with an unread byte resets it. The
/// standard library has no other way to do so.
fn read_request(mut stream: &TcpStream, shared: &Shared) -> io::Result<Option<Request>> {
    let mut buffer = vec![0; 64 * 1024];
    let end = loop {
        let seen = stream.peek(&mut buffer)?;
        if let Some(end) = buffer[..seen]
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
        {
            break end + 4;
        }
        if seen == 0 || seen == buffer.len() {
            return Ok(None);
        }
        // Data that isn't HTTP may never end like a request.
        if shared.stopped.load(Ordering::SeqCst) {
            return Ok(None);
        }
        shared.wait(Some(Duration::from_millis(1)));
    };
    stream.read_exact(&mut buffer[..end - 1])?;
    let text = String::from_utf8_lossy(&buffer[..end - 1]);
    let mut lines = text.lines();
    let mut words = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Some(Request {
        method,
        path,
        headers,
    }))
}

/// Reads the rest of a request, so that the connection closes orderly.
fn read_rest(mut stream: &TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0])
}

/// Gives the client time to read the data. Closing the connection then resets it.
fn reset(shared: &Shared) {
    shared.wait(Some(Duration::from_millis(30)));
}

fn head(
    mut stream: &TcpStream,
    status: u16,
    framing: Framing,
    headers: &str,
    length: usize,
) -> io::Result<()> {
    let framing = match framing {
        Framing::Length => format!("Content-Length: {length}\r\n"),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        Framing::Close => String::new(),
    };
    let head = format!("HTTP/1.1 {status} Test\r\n{headers}{framing}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

fn whole(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) -> io::Result<()> {
    head(stream, status, Framing::Length, headers, body.len())?;
    stream.write_all(body)
}

fn whole_file(mut stream: &TcpStream, mut file: File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    head(stream, 200, Framing::Length, "", length)?;
    io::copy(&mut file, &mut stream).map(drop)
}

fn chunks(mut stream: &TcpStream, body: &[u8]) -> io::Result<()> {
    for chunk in body.chunks(1000) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    Ok(())
}

impl Shared {
    /// Returns the behaviour for the next request for a path, and counts it.
    fn next(&self, path: &str) -> Option<Behaviour> {
        let mut behaviours = lock(&self.behaviours);
        let mut behaviour = behaviours.get_mut(path)?;
        while let Behaviour::FailTimes(left, first, then) = behaviour {
            if *left > 0 {
                *left -= 1;
                behaviour = first;
            } else {
                behaviour = then;
            }
        }
        Some(behaviour.clone())
    }

    /// Opens the file of a path below the root. Tests only request valid paths.
    fn file(&self, path: &str) -> Option<File> {
        let relative = Path::new(path.split('?').next()?.strip_prefix('/')?);
        let is_below = relative
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        let file = is_below.then_some(self.root.as_ref()?.join(relative))?;
        File::open(file)
            .ok()
            .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
    }

    /// Waits for a duration, or without one until the server stops.
    fn wait(&self, time: Option<Duration>) {
        let gate = lock(&self.gate);
        let is_running = |(): &mut ()| !self.stopped.load(Ordering::SeqCst);
        match time {
            Some(time) => drop(self.stop.wait_timeout_while(gate, time, is_running)),
            None => drop(self.stop.wait_while(gate, is_running)),
        }
    }
}

fn answer(
    mut stream: &TcpStream,
    shared: &Shared,
    path: &str,
    behaviour: Option<Behaviour>,
) -> io::Result<()> {
    match behaviour {
        None => match shared.file(path) {
            Some(file) => whole_file(stream, file),
            None => whole(stream, 404, "", b"not found"),
        },
        Some(Behaviour::Ok(body)) => whole(stream, 200, "", &body),
        Some(Behaviour::Status(status, body)) => whole(stream, status, "", &body),
        Some(Behaviour::RetryAfter(status, when)) => whole(
            stream,
            status,
            &format!("Retry-After: {when}\r\n"),
            b"later",
        ),
        Some(Behaviour::Redirect(status, to)) => {
            whole(stream, status, &format!("Location: {to}\r\n"), b"")
        }
        Some(Behaviour::RedirectLoop(status)) => {
            whole(stream, status, &format!("Location: {path}\r\n"), b"")
        }
        Some(Behaviour::Announced { body, length }) => {
            head(stream, 200, Framing::Length, "", length)?;
            stream.write_all(&body)
        }
        Some(Behaviour::Chunked(body)) => {
            head(stream, 200, Framing::Chunked, "", body.len())?;
            chunks(stream, &body)?;
            stream.write_all(b"0\r\n\r\n")
        }
        Some(Behaviour::TruncateAt { body, at, framing }) => {
            head(stream, 200, framing, "", body.len())?;
            let part = &body[..at.min(body.len())];
            match framing {
                Framing::Chunked => chunks(stream, part)?,
                Framing::Length | Framing::Close => stream.write_all(part)?,
            }
            stream.shutdown(Shutdown::Write)
        }
        Some(Behaviour::StallBeforeHead) => {
            shared.wait(None);
            Ok(())
        }
        Some(Behaviour::StallAt { body, at }) => {
            head(stream, 200, Framing::Length, "", body.len())?;
            stream.write_all(&body[..at.min(body.len())])?;
            shared.wait(None);
            Ok(())
        }
        Some(Behaviour::ResetAt { body, at }) => {
            head(stream, 200, Framing::Length, "", body.len())?;
            stream.write_all(&body[..at.min(body.len())])?;
            reset(shared);
            Ok(())
        }
        // The connection closes when it goes out of scope.
        Some(Behaviour::CloseBeforeHead | Behaviour::FailTimes(..)) => Ok(()),
        Some(Behaviour::Garbage) => stream.write_all(b"\x00\x01 this is \xff no HTTP\r\n\r\n"),
        Some(Behaviour::SlowDrip { body, chunk, pause }) => {
            head(stream, 200, Framing::Length, "", body.len())?;
            for piece in body.chunks(chunk.max(1)) {
                stream.write_all(piece)?;
                shared.wait(Some(pause));
            }
            Ok(())
        }
    }
}
