//! `cargo xtask demo`: builds a Phoenix app like Heroku, and boots it.

use std::ffi::OsString;
use std::fs;
use std::time::Instant;

use whole_builds::App;

use crate::process::Result;
use crate::toolchains::{self, Places};

const FIXTURE: &str = "phoenix-npm";

/// The files for the timelines of a first build, and of another one of the same commit.
const TIMELINES: [&str; 2] = ["docs/timeline-first.svg", "docs/timeline-unchanged.svg"];

pub(crate) fn demo(args: &[OsString]) -> Result {
    let write = match args {
        [] => false,
        [option] if option == "--write" => true,
        _ => return Err("usage: cargo xtask demo [--write]".into()),
    };
    toolchains::make()?;
    if write {
        return draw();
    }
    println!(
        "\nfixtures/{FIXTURE}, built by bin/compile in the stack image, as an unprivileged user:\n"
    );
    let app = App::fixture(FIXTURE);
    let begun = Instant::now();
    let deploy = app.deploy_in_view();
    if !deploy.succeeded {
        return Err("the build failed".into());
    }
    println!("\nbuilt in {:.1} s", begun.elapsed().as_secs_f64());
    let web = app.web(&deploy);
    println!("bin/release says that web is: {web}");
    let dyno = app.ship(deploy);
    let server = dyno.start(&web);
    println!("\n$ curl http://127.0.0.1:{}/", server.port);
    println!("{}", server.get("/"));
    drop(server.stop());
    Ok(())
}

fn draw() -> Result {
    let root = Places::of_this_workspace()?.root().to_owned();
    let mut app = App::fixture(FIXTURE);
    app.sandbox = app.sandbox.env("MIXPACK_TIMELINE", "/tmp/timeline.svg");
    let drawn = app.sandbox.tmp().join("timeline.svg");
    fs::write(&drawn, "")?;
    app.sandbox.give(&drawn)?;
    for timeline in TIMELINES {
        if !app.deploy_in_view().succeeded {
            return Err("the build failed".into());
        }
        fs::copy(&drawn, root.join(timeline))?;
        println!("\nwritten: {timeline}\n");
    }
    Ok(())
}
