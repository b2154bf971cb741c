//! How the executable resolves and trusts hosts: a static program has only its own resolver and certificates, and the
//! files of the image.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::{AppDir, Sandbox, Upstream};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Output;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use whole_builds::{App, artifact_host};

const NO_HOSTS: &str = "127.0.0.1 localhost\n127.0.0.1 proxy.test\n";

fn upstream() -> Upstream {
    Upstream::start(artifact_host()).expect("upstream's hosts by HTTPS")
}

/// `mixpack plan` of an app that needs lists of the real host, with additional variables.
fn plan(arrange: impl FnOnce(Sandbox) -> Sandbox, env: &[(&str, &str)]) -> Output {
    let mut app = App::cold_fixture("no-deps").in_app_dir(AppDir::Missing);
    app.sandbox = arrange(app.sandbox);
    let mut command = app
        .sandbox
        .command("/tmp/buildpack/bin/mixpack", ["plan", "/tmp/source"])
        .env("STACK", "heroku-24")
        // Ignore the settings of the machine that runs the tests.
        .env("HTTPS_PROXY", "")
        .env("https_proxy", "")
        .env("ALL_PROXY", "")
        .env("all_proxy", "")
        .env("NO_PROXY", "")
        .env("no_proxy", "");
    for (name, value) in env {
        command = command.env(*name, *value);
    }
    command.output().unwrap()
}

#[track_caller]
fn planned(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("27.3.4.1"), "{said}");
}

#[test]
fn uses_etc_hosts_and_system_certificates() {
    let upstream = upstream();
    planned(&plan(|sandbox| upstream.shown_to(sandbox).unwrap(), &[]));
    assert!(!upstream.server.requests().is_empty());
    // The same hosts without their certificate authority.
    let hosts = upstream.hosts();
    let output = plan(|sandbox| sandbox.hosts(&hosts).unwrap(), &[]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.to_lowercase().contains("certificate"), "{said}");
}

#[test]
fn uses_resolv_conf_and_ssl_cert_file() {
    let upstream = upstream();
    let SocketAddr::V4(address) = upstream.address() else {
        panic!("an address of another kind");
    };
    let (server, asked) = name_server(*address.ip());
    let dir = tempfile::tempdir().unwrap();
    let (resolv, pem) = (dir.path().join("resolv.conf"), dir.path().join("ca.pem"));
    fs::write(&resolv, format!("nameserver {server}\n")).unwrap();
    fs::write(&pem, upstream.certificate().unwrap()).unwrap();
    let output = plan(
        |sandbox| {
            sandbox
                .hosts(NO_HOSTS)
                .unwrap()
                .bind_ro(&resolv, "/etc/resolv.conf")
                .bind_ro(&pem, "/usr/share/other-authority.pem")
        },
        &[("SSL_CERT_FILE", "/usr/share/other-authority.pem")],
    );
    planned(&output);
    assert!(asked.try_iter().any(|name| name == "builds.hex.pm"));
}

#[test]
fn uses_https_proxy_and_honors_no_proxy() {
    let upstream = upstream();
    let (port, asked) = proxy(upstream.address());
    let certificate = upstream.certificate().unwrap();
    let proxy = format!("http://proxy.test:{port}");
    // Here only the proxy's name can be resolved.
    let output = plan(
        |sandbox| {
            let sandbox = sandbox.hosts(NO_HOSTS).unwrap();
            sandbox.trust(&certificate).unwrap()
        },
        &[("HTTPS_PROXY", &proxy)],
    );
    planned(&output);
    let targets: Vec<String> = asked.try_iter().collect();
    assert!(
        targets.contains(&"builds.hex.pm:443".to_owned()),
        "{targets:?}"
    );

    let output = plan(
        |sandbox| upstream.shown_to(sandbox).unwrap(),
        &[
            ("HTTPS_PROXY", "http://proxy.test:1"),
            ("NO_PROXY", "builds.hex.pm"),
        ],
    );
    planned(&output);
    assert_eq!(asked.try_iter().next(), None);
}

/// A name server that resolves all names to the same address (RFC 1035). Returns its own address, on loopback since
/// the port is fixed, and the requested names.
fn name_server(answer: Ipv4Addr) -> (Ipv4Addr, Receiver<String>) {
    let (address, socket) = (2..=250)
        .map(|last| Ipv4Addr::new(127, 69, 0, last))
        .find_map(|address| Some((address, UdpSocket::bind((address, 53)).ok()?)))
        .expect("an address whose port of DNS is free");
    let (names, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut query = [0; 512];
        // Ends with the test's process.
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let (name, kind, end) = question(&query[..length]);
            let of_address = kind == 1;
            let mut reply = query[..2].to_vec();
            // A response without error, recursion available; one question, perhaps one answer.
            reply.extend([0x81, 0x80, 0, 1, 0, u8::from(of_address), 0, 0, 0, 0]);
            reply.extend(&query[12..end]);
            if of_address {
                // The name of the question; type A, class IN, a minute, four bytes.
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                reply.extend(answer.octets());
            }
            let _ = names.send(name);
            let _ = socket.send_to(&reply, client);
        }
    });
    (address, asked)
}

/// The name and the type of a query's question, and where it ends.
fn question(query: &[u8]) -> (String, u16, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    (labels.join("."), kind, at + 5)
}

/// A proxy (RFC 9110, CONNECT) that connects all requests to the same address. Returns its port and the requested
/// hosts.
fn proxy(to: SocketAddr) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (targets, asked) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let targets = targets.clone();
            thread::spawn(move || tunnel(client, to, |target| drop(targets.send(target))));
        }
    });
    (port, asked)
}

fn tunnel(mut client: TcpStream, to: SocketAddr, asked: impl FnOnce(String)) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    asked(request.split(' ').nth(1).unwrap_or_default().to_owned());
    let mut host = TcpStream::connect(to)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut back, mut forth) = (host.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut back, &mut forth);
        let _ = forth.shutdown(Shutdown::Write);
    });
    io::copy(&mut head, &mut host)?;
    host.shutdown(Shutdown::Write)
}
