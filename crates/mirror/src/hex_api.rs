//! A stand-in for hex.pm: the two API requests with which Hex looks up the owner of a key and exchanges it for a
//! token, and the repository of one organisation, which requires one of the two.
//!
//! Like the real API, it uses Erlang's external term format (`application/vnd.hex+erlang`). It has one organisation,
//! one key and one token, and no users, permissions or expiry.

use eetf::{Binary, FixInteger, Map, Term};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};

/// The owner of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Organization,
    User,
}

/// The data of the API.
#[derive(Debug, Clone)]
pub struct Account {
    pub organization: &'static str,
    pub key: String,
    pub owner: Owner,
    /// The token that the key is exchanged for.
    pub token: String,
}

/// The credential of a request, in its head, or in its body when requesting a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Key,
    Token,
    /// No credential, or another one.
    Neither,
}

/// Serves until the test ends.
#[derive(Debug)]
pub struct HexApi {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, Shown)>>>,
}

impl HexApi {
    /// `packages` is a directory with the layout of `repo.hex.pm`. The organisation's repository has the same
    /// packages.
    ///
    /// # Errors
    ///
    /// When loopback has no free port.
    pub fn start(account: Account, packages: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (account, packages, seen) =
                    (account.clone(), packages.clone(), Arc::clone(&seen));
                // Errors of clients that disconnect are ignored.
                thread::spawn(move || {
                    let _ = answer(stream, &account, &packages, &seen);
                });
            }
        });
        Ok(Self { address, requests })
    }

    /// The value for `HEX_API_URL`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The URL in place of `https://repo.hex.pm`.
    #[must_use]
    pub fn repo_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requested paths so far, without their queries.
    #[must_use]
    pub fn take_requests(&self) -> Vec<(String, Shown)> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(
    mut stream: TcpStream,
    account: &Account,
    packages: &Path,
    seen: &Mutex<Vec<(String, Shown)>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next(), words.next());
    let path = target.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let (mut credential, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut credential),
            "content-length" => length = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let in_body = body
        .windows(account.key.len())
        .any(|window| window == account.key.as_bytes());
    let shown = if credential == account.key || in_body {
        Shown::Key
    } else if credential.strip_prefix("Bearer ") == Some(&account.token) {
        Shown::Token
    } else {
        Shown::Neither
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((path.clone(), shown));

    let below = format!("/repos/{}/", account.organization);
    let file = || fs::read(packages.join(path.strip_prefix(&below)?)).ok();
    let (status, body) = match (method.as_deref(), path.as_str(), shown) {
        (Some("GET"), "/api/auth", Shown::Key) => ("200 OK", encoded(&whose(account.owner))),
        (Some("POST"), "/api/oauth/token", Shown::Key) => ("200 OK", encoded(&token(account))),
        (Some("GET" | "POST"), "/api/auth" | "/api/oauth/token", _) => (
            "401 Unauthorized",
            encoded(&map([("message", text("invalid API key"))])),
        ),
        (_, _, Shown::Neither) => ("403 Forbidden", Vec::new()),
        _ => file().map_or(("404 Not Found", Vec::new()), |file| ("200 OK", file)),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/vnd.hex+erlang; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn whose(owner: Owner) -> Term {
    let kind = match owner {
        Owner::Organization => "organization",
        Owner::User => "user",
    };
    map([("key", map([("owner", map([("type", text(kind))]))]))])
}

fn token(account: &Account) -> Term {
    map([
        ("access_token", text(&account.token)),
        ("token_type", text("bearer")),
        ("expires_in", FixInteger::from(1800).into()),
        (
            "scope",
            text(&format!("repository:{}", account.organization)),
        ),
    ])
}

fn map<const N: usize>(pairs: [(&str, Term); N]) -> Term {
    let pairs = pairs.map(|(name, value)| (text(name), value));
    Map { map: pairs.into() }.into()
}

fn text(text: &str) -> Term {
    Binary::from(text.as_bytes()).into()
}

fn encoded(term: &Term) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Can't fail: the terms are short, and written to memory.
    let _ = term.encode(&mut bytes);
    bytes
}
