//! `cargo xtask demo`: builds a Phoenix app the way Heroku does, and boots it.

use std::time::Instant;

use whole_builds::App;

use crate::process::Result;
use crate::toolchains;

const FIXTURE: &str = "phoenix-npm";

pub(crate) fn demo() -> Result {
    toolchains::make()?;
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
