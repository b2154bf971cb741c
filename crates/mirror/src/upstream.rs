//! Upstream's hosts under their own names, for programs that have these hard-coded: an address of loopback that
//! serves all of them by HTTPS, a hosts file with this address, and an authority for a sandbox to trust.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::authority::{self, Authority};
use crate::server::{Route, Server};
use crate::stack::{self, Sandbox};

const HTTPS: u16 = 443;

/// The paths that the shell buildpacks, Mix, Hex and Mixpack request, and their places in the mirror. `/nodebin`
/// isn't part of a mirror: tests that need the old resolver of Node versions set its responses.
pub const ROUTES: [Route; 8] = [
    Route {
        host: "builds.hex.pm",
        path: "",
        below: "",
    },
    Route {
        host: "repo.hex.pm",
        path: "/packages",
        below: "/hex/packages",
    },
    Route {
        host: "repo.hex.pm",
        path: "/versions",
        below: "/hex/versions",
    },
    Route {
        host: "repo.hex.pm",
        path: "/tarballs",
        below: "/hex/tarballs",
    },
    Route {
        host: "repo.hex.pm",
        path: "",
        below: "",
    },
    Route {
        host: "nodejs.org",
        path: "",
        below: "",
    },
    Route {
        host: "github.com",
        path: "/erlef",
        below: "/erlef",
    },
    Route {
        host: "nodebin.herokai.com",
        path: "",
        below: "/nodebin",
    },
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Authority(#[from] authority::Error),
    #[error("no address of loopback has port {HTTPS} free: {0}")]
    Listen(io::Error),
    #[error(transparent)]
    Sandbox(#[from] stack::Error),
}

/// A server for upstream's hosts.
#[derive(Debug)]
pub struct Upstream {
    pub server: Server,
    address: SocketAddr,
    authority: Authority,
}

impl Upstream {
    /// Makes `server` also serve these names. Needs root for the HTTPS port.
    pub fn start(server: Server) -> Result<Self, Error> {
        Self::start_on(server, HTTPS)
    }

    fn start_on(server: Server, port: u16) -> Result<Self, Error> {
        let authority = Authority::issue(names())?;
        let listener = listen(port).map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let server = server
            .with_https(listener, authority.server_config()?, &ROUTES)
            .map_err(Error::Listen)?;
        Ok(Self {
            server,
            address,
            authority,
        })
    }

    /// Returns the address of all these hosts.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificate of their authority, in PEM.
    pub fn certificate(&self) -> Result<String, Error> {
        Ok(self.authority.certificate()?)
    }

    /// Returns the text of an `/etc/hosts` with their address.
    #[must_use]
    pub fn hosts(&self) -> String {
        let mut hosts = String::from("127.0.0.1 localhost\n");
        for name in names() {
            let _ = writeln!(hosts, "{} {name}", self.address.ip());
        }
        hosts
    }

    /// Redirects a sandbox to these hosts.
    pub fn shown_to(&self, sandbox: Sandbox) -> Result<Sandbox, Error> {
        Ok(sandbox.hosts(&self.hosts())?.trust(&self.certificate()?)?)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let mut last = None;
    ROUTES
        .iter()
        .map(|route| route.host)
        .filter(move |host| last.replace(*host) != Some(*host))
}

/// The HTTPS port is fixed, so each server has its own address.
fn listen(port: u16) -> io::Result<TcpListener> {
    let mut taken = io::Error::from(io::ErrorKind::AddrInUse);
    for last in 2..=250 {
        let address = Ipv4Addr::new(127, 68, 0, last);
        match TcpListener::bind(SocketAddr::from((address, port))) {
            Ok(listener) => return Ok(listener),
            Err(error) => taken = error,
        }
    }
    Err(taken)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
    use tempfile::TempDir;

    use super::*;

    fn get(upstream: &Upstream, host: &str, path: &str) -> Result<String, io::Error> {
        let mut roots = RootCertStore::empty();
        let pem = upstream.authority.certificate().unwrap();
        let authority = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        roots.add(authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(upstream.address)?;
        let mut stream = StreamOwned::new(connection, socket);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn each_host_serves_its_own_files() {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("hex/packages")).unwrap();
        fs::write(dir.path().join("hex/packages/a"), "registry").unwrap();
        fs::write(dir.path().join("list"), "builds").unwrap();
        let upstream = Upstream::start_on(Server::start(dir.path()).unwrap(), 0).unwrap();
        let ends = |host, path, end: &str| get(&upstream, host, path).unwrap().ends_with(end);
        assert!(ends("repo.hex.pm", "/packages/a", "\r\n\r\nregistry"));
        assert!(ends("builds.hex.pm", "/list", "\r\n\r\nbuilds"));
        assert!(ends("github.com", "/list", "<Code>404</Code></Error>\n"));
        assert!(get(&upstream, "elsewhere.example", "/list").is_err());
        assert_eq!(upstream.server.requests()[0].path, "/hex/packages/a");
    }
}
