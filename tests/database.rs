//! Migrations and a web process on a real `PostgreSQL`, in a slug that was moved.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use whole_builds::heroku_standin::{ADDRESS, HerokuStandIn};
use whole_builds::pages::Documented;
use whole_builds::postgres::{Postgres, bring_driver};
use whole_builds::{App, compiling, said};

const NOTHING: [&str; 0] = [];
const TABLES: &str = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";

#[test]
fn migrations_run_once_and_web_reads_database() {
    let mut commands =
        Documented::of("whole-builds/database::migrations_run_once_and_web_reads_database");
    let app = App::fixture("postgres");
    bring_driver(&app);
    let procfile = fs::read_to_string(app.sandbox.tmp().join("source/Procfile")).unwrap();
    app.edit("Procfile", "release: ", "migrate: ");
    let postgres = Postgres::start();
    let heroku = HerokuStandIn::with_database(app, postgres.database_url());
    heroku.sh("heroku create an-app");
    heroku.sh(&format!("heroku buildpacks:set {}", ADDRESS.1));
    // The variables that config/runtime.exs requires are not set during the build.
    heroku.sh("git push heroku main");
    heroku.sh("heroku addons:create heroku-postgresql:essential-0");
    let secret = "s".repeat(64);
    heroku.sh(&format!("heroku config:set SECRET_KEY_BASE={secret}"));
    assert_eq!(postgres.ask(TABLES), "");

    let migrate = "heroku run \"POOL_SIZE=2 mix ecto.migrate\"";
    let first = heroku.sh(&commands.command("docs/slug.md", migrate));
    assert!(first.contains("== Migrated 20260101120000"), "{first}");
    assert_eq!(compiling(&first), NOTHING, "{first}");
    assert_eq!(postgres.ask(TABLES), "greetings\nschema_migrations");
    let greetings = "SELECT * FROM greetings";
    assert_eq!(postgres.ask(greetings), "hello from the database|2");
    let migrated = postgres.ask("SELECT * FROM schema_migrations");

    // The line `release:` of the Procfile, which Heroku runs before it starts the new dynos. The
    // platform's own defaults do not hide it.
    heroku.write("Procfile", &procfile);
    heroku.commit();
    let pushed = heroku.sh("git push heroku main");
    assert_eq!(heroku.process("release"), "mix ecto.migrate");
    let (_, second) = pushed.split_once("-----> Built").expect("a build");
    assert!(second.contains("Migrations already up"), "{second}");
    assert_eq!(compiling(second), NOTHING, "{second}");
    assert_eq!(postgres.ask("SELECT * FROM schema_migrations"), migrated);
    assert_eq!(postgres.ask(greetings), "hello from the database|2");

    let web = heroku.web();
    assert_eq!(web.get("/"), "hello from the database (2)\n");
    let log = web.stop();
    assert_eq!(compiling(&log), NOTHING, "{log}");
}

#[test]
fn failing_migration_fails_release_phase() {
    let app = App::fixture("postgres");
    bring_driver(&app);
    app.edit(
        "priv/repo/migrations/20260101120000_create_greetings.exs",
        "INSERT INTO greetings",
        "INSERT INTO no_such_table",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let postgres = Postgres::start();
    let mut dyno = app.ship(deploy);
    dyno.sandbox = dyno
        .sandbox
        .env("DATABASE_URL", postgres.database_url())
        .env("SECRET_KEY_BASE", "s".repeat(64));
    let output = dyno.run("mix ecto.migrate");
    assert!(!output.status.success(), "{}", said(&output));
    // The failed migration is rolled back.
    assert_eq!(postgres.ask(TABLES), "schema_migrations");
}
