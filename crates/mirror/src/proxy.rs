//! An HTTP proxy for tests: it supports `CONNECT`, and forwards every connection to one address, regardless of the
//! requested name.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The response to `CONNECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Connects them.
    Connects,
    /// Answers with this status.
    Refuses(u16),
}

/// The proxy, which runs on a free port of loopback from [`Proxy::start`] until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    manner: Manner,
    requested: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl Proxy {
    /// # Errors
    ///
    /// If loopback has no free port.
    pub fn start(to: SocketAddr, manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to,
            manner,
            requested: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let shared = Arc::clone(&serving);
                    // Errors of clients that disconnect are ignored.
                    thread::spawn(move || drop(shared.serve(&stream)));
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// The value for `HTTPS_PROXY`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The hosts that clients connected to, as `NAME:PORT`.
    #[must_use]
    pub fn requested(&self) -> Vec<String> {
        self.shared
            .requested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, mut client: &TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut words = text.split_whitespace();
        let (Some("CONNECT"), Some(name)) = (words.next(), words.next()) else {
            return client.write_all(b"HTTP/1.1 405 Not a tunnel\r\nContent-Length: 0\r\n\r\n");
        };
        self.requested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name.to_owned());
        if let Manner::Refuses(status) = self.manner {
            return write!(client, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        }
        let host = TcpStream::connect(self.to)?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        thread::scope(|scope| {
            scope.spawn(|| relay(client, &host));
            relay(&host, client)
        })
    }
}

/// Forwards the bytes of one side, and its end.
fn relay(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
