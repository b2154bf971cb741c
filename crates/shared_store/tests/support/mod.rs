//! What the tests share: writers, and a stand-in for an HTTP server that stores what is PUT.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use shared_store::{Generated, Object, Settings, SharedStore, generate};

pub(crate) const SECRET: &str = "a-secret-of-enough-characters";

/// A key whose 64 digits are all this one.
pub(crate) fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub(crate) fn object(name: &str) -> Object {
    Object {
        statement: json!({ "name": name }),
        archive: Some(name.repeat(1000).into_bytes()),
    }
}

pub(crate) fn writer() -> Generated {
    generate().unwrap()
}

/// Opens a store with the config vars, given without `MIXPACK_STORE` at their beginning.
pub(crate) fn open(place: &str, vars: &[(&str, &str)]) -> SharedStore {
    open_with_cancel(place, vars, Arc::default())
}

pub(crate) fn open_with_cancel(
    place: &str,
    vars: &[(&str, &str)],
    cancel: Arc<AtomicBool>,
) -> SharedStore {
    let get = |name: &str| match name.strip_prefix("MIXPACK_STORE")? {
        "" => Some(place.to_owned()),
        "_SECRET" => Some(SECRET.to_owned()),
        name => vars
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned()),
    };
    SharedStore::open(Settings::read(&get).unwrap().unwrap(), cancel)
}

/// Opens a store as a build that writes, and trusts only itself.
pub(crate) fn open_as(place: &str, writer: &Generated) -> SharedStore {
    open(place, &[("_SIGNING_KEY", &writer.signing_key)])
}

/// Opens a store as a build that only reads what this writer has written.
pub(crate) fn open_trusting(place: &str, writer: &Generated) -> SharedStore {
    open(place, &[("_TRUST", &writer.public_key)])
}

/// A request, and the answer to it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) type Files = HashMap<String, Vec<u8>>;
/// Status, further header lines (each ends with a line break), body.
pub(crate) type Answer = (u16, String, Vec<u8>);
type Respond = Box<dyn Fn(&Request, &mut Files) -> Answer + Send + Sync>;

/// The stand-in. It keeps connections alive; no other fault than a silent close is its own.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    files: Mutex<Files>,
    requests: Mutex<Vec<Request>>,
    delay: Duration,
    respond: Respond,
    closes_silently: AtomicBool,
    connections: AtomicUsize,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        Self::answering(store)
    }

    pub(crate) fn answering(
        respond: impl Fn(&Request, &mut Files) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::answering_after(Duration::ZERO, respond)
    }

    pub(crate) fn answering_after(
        delay: Duration,
        respond: impl Fn(&Request, &mut Files) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            files: Mutex::default(),
            requests: Mutex::default(),
            delay,
            respond: Box::new(respond),
            closes_silently: AtomicBool::default(),
            connections: AtomicUsize::default(),
        });
        let serving = Arc::clone(&shared);
        // Ends with the process of the test.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&serving);
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Closes each connection after a response that announced to keep it.
    pub(crate) fn close_silently(&self) {
        self.shared.closes_silently.store(true, Ordering::SeqCst);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn files(&self) -> Files {
        self.shared.files.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

/// Answers as a server that stores files and honours `If-None-Match: *`.
pub(crate) fn store(request: &Request, files: &mut Files) -> Answer {
    let plain = |status| (status, String::new(), Vec::new());
    match (&*request.method, files.get(&request.path)) {
        ("GET", Some(file)) => (200, String::new(), file.clone()),
        ("GET", None) => plain(404),
        ("PUT", Some(_)) if request.headers.contains_key("if-none-match") => plain(412),
        ("PUT", _) => {
            files.insert(request.path.clone(), request.body.clone());
            plain(201)
        }
        _ => plain(405),
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader)? {
        shared.requests.lock().unwrap().push(request.clone());
        thread::sleep(shared.delay);
        let (status, headers, body) = (shared.respond)(&request, &mut shared.files.lock().unwrap());
        let head = format!(
            "HTTP/1.1 {status} Test\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        if shared.closes_silently.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers: HashMap<_, _> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request {
        method,
        path,
        headers,
        body,
    }))
}
