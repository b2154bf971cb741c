//! Heroku's classic API.

use whole_builds::{App, compiling, links_that_leave};

#[test]
fn phoenix_npm_builds_boots_and_rebuilds_only_what_changed() {
    let app = App::fixture("phoenix-npm");
    let detected = app.detect();
    assert!(detected.status.success());
    assert_eq!(detected.stdout, b"Phoenix\n");

    let cold = app.deploy();
    println!("{}", cold.log());
    cold.expect_success();
    assert_eq!(app.web(&cold), "mix phx.server");
    assert_eq!(links_that_leave(&cold.slug), [""; 0].map(std::path::PathBuf::from));
    let web = app.web(&cold);
    let dyno = app.ship(cold);
    let server = dyno.start(&web);
    let page = server.get("/");
    println!("{page}");
    let said = server.stop();
    assert_eq!(compiling(&said), [""; 0], "{said}");

    let warm = app.deploy();
    println!("{}", warm.log());
    warm.expect_success();
    assert_eq!(warm.compiled(), [""; 0]);
}
