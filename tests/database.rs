//! Migrations and a web process on a real `PostgreSQL`, in a slug that was moved.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::fs;
use whole_builds::postgres::{Postgres, bring_driver};
use whole_builds::{App, compiling, said};

const NOTHING: [&str; 0] = [];
const TABLES: &str = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";

#[test]
fn migrations_run_once_in_the_slug_and_web_answers_from_the_database() {
    let app = App::fixture("postgres");
    bring_driver(&app);
    // What config/runtime.exs asks for is not there while the app is built.
    let deploy = app.deploy();
    deploy.expect_success();
    let procfile = fs::read_to_string(deploy.slug.join("Procfile")).unwrap();
    let command = |kind: &str| {
        let mut lines = procfile.lines().filter_map(|line| line.split_once(": "));
        let (_, command) = lines.find(|(name, _)| *name == kind).expect("a process");
        command.to_owned()
    };
    // The platform's own defaults do not hide those of the Procfile.
    assert!(!app.release(&deploy).contains("release:"));

    let postgres = Postgres::start();
    let mut dyno = app.ship(deploy);
    dyno.sandbox = dyno
        .sandbox
        .env("DATABASE_URL", postgres.database_url())
        .env("SECRET_KEY_BASE", "s".repeat(64));
    assert_eq!(postgres.ask(TABLES), "");

    // `heroku run "POOL_SIZE=2 mix ecto.migrate"`.
    let output = dyno.run("bash -c 'POOL_SIZE=2 mix ecto.migrate'");
    let first = said(&output);
    assert!(output.status.success(), "{first}");
    assert!(first.contains("== Migrated 20260101120000"), "{first}");
    assert_eq!(compiling(&first), NOTHING, "{first}");
    assert_eq!(postgres.ask(TABLES), "greetings\nschema_migrations");
    let greetings = "SELECT * FROM greetings";
    assert_eq!(postgres.ask(greetings), "hello from the database|2");
    let migrated = postgres.ask("SELECT * FROM schema_migrations");

    // The line `release:` of the Procfile, which Heroku runs before it starts the new dynos.
    let output = dyno.run(&command("release"));
    let second = said(&output);
    assert!(output.status.success(), "{second}");
    assert!(second.contains("Migrations already up"), "{second}");
    assert_eq!(compiling(&second), NOTHING, "{second}");
    assert_eq!(postgres.ask("SELECT * FROM schema_migrations"), migrated);
    assert_eq!(postgres.ask(greetings), "hello from the database|2");

    let web = dyno.start(&command("web"));
    assert_eq!(web.get("/"), "hello from the database (2)\n");
    let log = web.stop();
    assert_eq!(compiling(&log), NOTHING, "{log}");
}

#[test]
fn a_migration_that_the_database_refuses_fails_the_release_phase() {
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
    // What it began is undone.
    assert_eq!(postgres.ask(TABLES), "schema_migrations");
}
