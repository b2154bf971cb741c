//! `cargo xtask mirror [--port PORT]`: serves the test toolchains for manual use.

use std::ffi::OsString;
use std::thread;

use mirror::Server;

use crate::process::Result;
use crate::toolchains::Places;

pub(crate) fn serve(args: &[OsString]) -> Result {
    let port = port(args)?;
    let root = Places::of_this_workspace()?.mirror();
    if !root.is_dir() {
        return Err("there are no test toolchains yet: run cargo xtask toolchains".into());
    }
    let server = Server::start_on(root, port)?;
    let url = server.url();
    println!("HEX_BUILDS_URL={url}");
    println!("HEX_MIRROR={url}/hex");
    println!("NODEJS_ORG_MIRROR={url}/dist");
    loop {
        thread::park();
    }
}

/// Returns the requested port, or 0 for any free one.
fn port(args: &[OsString]) -> Result<u16> {
    match args {
        [] => Ok(0),
        [option, port] if option == "--port" => port
            .to_str()
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| format!("{} is not a port", port.display()).into()),
        _ => Err("usage: cargo xtask mirror [--port PORT]".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serve_accepts_port_option() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(port(&args(&[])).unwrap(), 0);
        assert_eq!(port(&args(&["--port", "8080"])).unwrap(), 8080);
        let error = port(&args(&["--port", "80800"])).unwrap_err();
        assert_eq!(error.to_string(), "80800 is not a port");
        assert!(port(&args(&["8080"])).is_err());
    }
}
