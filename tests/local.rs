//! `mixpack build` and `mixpack run` on a developer's machine.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::AppDir;
use mirror::stack::Signal;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};
use whole_builds::pages::{Documented, filled};
use whole_builds::{App, listing, said};

const NO_PATHS: [std::path::PathBuf; 0] = [];

#[test]
fn local_build_and_run_leave_source_unchanged() {
    let app = App::fixture("phoenix-npm").in_app_dir(AppDir::Missing);
    app.write(
        "deps/leftover/mix.exs",
        "raise \"a laptop's own deps must not come along\"\n",
    );
    app.write("_build/prod/leftover", "");
    let source = app.source();
    app.sandbox.give(source).unwrap();
    std::fs::create_dir(app.sandbox.tmp().join("home")).unwrap();
    app.sandbox.give(app.sandbox.tmp().join("home")).unwrap();
    let before = listing(source);

    let built = app.mixpack(&["build", "/tmp/source"]).output().unwrap();
    let log = said(&built);
    assert!(built.status.success(), "{log}");
    assert!(log.contains("start it: mixpack run /tmp/source"), "{log}");
    assert_eq!(listing(source), before);
    assert_eq!(app.sandbox.written_outside().unwrap(), NO_PATHS);

    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut running = app
        .mixpack(&["run", "/tmp/source"])
        .env("PORT", port.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    let page = loop {
        let answer = ureq::get(format!("http://127.0.0.1:{port}/")).call();
        if let Ok(mut answer) = answer {
            break answer.body_mut().read_to_string().unwrap();
        }
        assert!(Instant::now() < until, "nothing answers on port {port}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    running.signal(Signal::TERM).unwrap();
    let mut said = String::new();
    running
        .take_stdout()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(said.starts_with("starting web on port"), "{said}");
    assert!(!said.contains("Compiling"), "{said}");

    let again = app.mixpack(&["build", "/tmp/source"]).output().unwrap();
    let log = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success(), "{log}");
    assert!(!log.contains("Compiling "), "{log}");
    let kept = "       from cache: erlang, elixir, node, hex, deps, node_modules, _build, assets\n";
    assert!(log.contains(kept), "{log}");
}

#[test]
fn run_reports_unbuilt_app_and_unknown_process() {
    let app = App::fixture("no-deps").in_app_dir(AppDir::Missing);
    std::fs::create_dir(app.sandbox.tmp().join("home")).unwrap();
    app.sandbox.give(app.sandbox.tmp().join("home")).unwrap();
    app.sandbox.give(app.source()).unwrap();
    let say = |args: &[&str]| {
        let output = app.mixpack(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        say(&["run", "/tmp/source"]),
        "mixpack: /tmp/source has not been built: mixpack build /tmp/source\n"
    );
    assert!(
        app.mixpack(&["build", "/tmp/source"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        say(&["run", "/tmp/source", "worker"]),
        "mixpack: there is no process type worker; there are: web\n"
    );
}

#[test]
fn process_gets_env_file_variables_and_signals() {
    let app = App::fixture("no-deps").in_app_dir(AppDir::Missing);
    app.write(
        "process.sh",
        "trap 'echo ended by TERM; exit 0' TERM\n\
         echo \"$GREETING $OF_FILE $OF_SHELL $PORT\"\n\
         while :; do sleep 0.1; done\n",
    );
    // `exec` can run neither of these commands directly.
    app.write(
        "Procfile",
        "web: GREETING=hello bash process.sh\nworker: export GREETING=bye && bash process.sh\n",
    );
    app.write(
        ".env",
        "# of the laptop\nOF_FILE=\"from file\"\nOF_SHELL=file\nPORT=4567\nhush-hush\n",
    );
    for dir in ["home", "source"] {
        let dir = app.sandbox.tmp().join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        app.sandbox.give(dir).unwrap();
    }
    let picture = app.sandbox.tmp().join("home/build.svg");
    let args = ["build", "--timeline", "/tmp/home/build.svg", "/tmp/source"];
    let built = app.mixpack(&args).output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(
        svg.contains(">compile</text>") && !svg.contains(", kept<"),
        "{svg}"
    );
    let slug = walkdir::WalkDir::new(app.sandbox.tmp().join("home/.cache"));
    let names = slug.into_iter().map(|entry| entry.unwrap().into_path());
    let copies: Vec<_> = names.filter(|path| path.ends_with(".env")).collect();
    assert_eq!(copies, NO_PATHS, "no slug has the values");

    for (kind, greeting) in [("web", "hello"), ("worker", "bye")] {
        let mut running = app
            .mixpack(&["run", "/tmp/source", kind])
            .env("OF_SHELL", "from shell")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(running.take_stdout().unwrap()).lines();
        let mut line = || lines.next().expect("another line").unwrap();
        let started = line();
        assert!(
            started.starts_with(&format!("starting {kind} on port 4567: ")),
            "{started}"
        );
        assert_eq!(line(), format!("{greeting} from file from shell 4567"));
        running.signal(Signal::TERM).unwrap();
        assert_eq!(line(), "ended by TERM");
        let mut said = String::new();
        running
            .take_stderr()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(
            said,
            "mixpack: /tmp/source/.env:5 is no KEY=VALUE, and is passed over\n"
        );
    }
}

/// Runs a shell script in a directory with an app, with the executable in `$MIXPACK`. Returns its output.
fn shell(program: &str, args: &[&str], script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("app")).unwrap();
    std::fs::write(dir.path().join("app/Procfile"), "web: a\nworker: b\n").unwrap();
    std::fs::write(dir.path().join("picture.svg"), "").unwrap();
    let exe = std::env::var_os("MIXPACK_EXE").expect("MIXPACK_EXE: run `cargo xtask test`");
    let output = std::process::Command::new(program)
        .args(args)
        .arg(script)
        .current_dir(dir.path())
        .env("MIXPACK", exe)
        .env("HOME", dir.path())
        .output()
        .expect("the shell runs: `cargo xtask test` installs it");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn fish_completes_commands_options_and_process_types() {
    let completed = |line: &str| -> Vec<String> {
        let script = format!("$MIXPACK completions fish | source; complete -C '{line}'");
        let offered = shell("fish", &["--no-config", "-c"], &script);
        let words = offered.lines().map(|line| line.split('\t').next().unwrap());
        words.map(str::to_owned).collect()
    };
    assert_eq!(
        completed("mixpack "),
        [
            "build",
            "completions",
            "doctor",
            "explain",
            "migrate",
            "plan",
            "run",
            "store-keys"
        ]
    );
    assert_eq!(completed("mixpack plan --"), ["--help", "--json"]);
    assert_eq!(
        completed("mixpack doctor --"),
        ["--base", "--env", "--github", "--help", "--json", "--sarif"]
    );
    assert_eq!(completed("mixpack build --timeline p"), ["picture.svg"]);
    assert_eq!(completed("mixpack run a"), ["app/"]);
    assert_eq!(completed("mixpack run app w"), ["web", "worker"]);
    assert_eq!(completed("mixpack completions "), ["bash", "fish", "zsh"]);
}

#[test]
fn zsh_completes_commands_options_and_process_types() {
    // The shell's own functions need a terminal. Here they only print the completions.
    let asked = |words: &str| {
        let script = format!(
            "compdef() {{ print compdef $@ }}; _arguments() {{ print -rl -- $@ }}\n\
             _describe() {{ print -rl -- ${{(P)2}} }}\n\
             eval \"$($MIXPACK completions zsh)\"\nwords=({words}); CURRENT=$#words; _mixpack"
        );
        shell("zsh", &["-f", "-u", "-c"], &script)
    };
    let commands = asked("mixpack ''");
    assert!(
        commands.starts_with("compdef _mixpack mixpack\nplan:"),
        "{commands}"
    );
    assert!(commands.contains("\ncompletions:"), "{commands}");
    assert!(asked("mixpack plan ''").contains("\n--json["));
    assert!(asked("mixpack doctor ''").contains("\n(--json --github)--sarif["));
    assert!(asked("mixpack build ''").contains("\n--timeline["));
    let types = asked("mixpack run app ''");
    assert!(
        types.ends_with("\n2:process type:(web worker)\n"),
        "{types}"
    );
    assert!(asked("mixpack completions ''").ends_with(":(bash zsh fish)\n"));
}

/// Runs a command of a page in the home directory.
fn typed<'a>(app: &'a App, command: &str) -> mirror::stack::Command<'a> {
    let url = app.host.url();
    app.sandbox
        .command("bash", ["-c", command])
        .current_dir("/tmp/home")
        .env("PATH", "/tmp/buildpack/bin:/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/tmp/home")
        .env("HEX_BUILDS_URL", &url)
        .env("HEX_MIRROR", format!("{url}/hex"))
        .env("HEX_UNSAFE_REGISTRY", "1")
        .env("NODEJS_ORG_MIRROR", format!("{url}/dist"))
}

#[test]
fn documented_local_commands_work() {
    let mut commands = Documented::of("whole-builds/local::documented_local_commands_work");
    let (readme, local) = ("README.md", "docs/local.md");
    let app = App::fixture("no-deps").in_app_dir(AppDir::Missing);
    app.write(
        "Procfile",
        "web: echo \"web on $PORT\"\nworker: echo working\n",
    );
    let home = app.sandbox.tmp().join("home");
    std::fs::create_dir(&home).unwrap();
    for dir in [&home, &app.sandbox.tmp().join("source")] {
        app.sandbox.give(dir).unwrap();
    }
    let said = |command: &str| {
        let output = typed(&app, command).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command}: {said}");
        said
    };
    let dir = [("DIR", "/tmp/source")];
    let plan = filled(&commands.command(readme, "mixpack plan DIR"), &dir);
    let plan = said(&plan);
    assert!(plan.contains("\nSTEP") && plan.contains("elixir_buildpack.config:"));
    let build = filled(&commands.command(readme, "mixpack build DIR"), &dir);
    let build = said(&build);
    assert!(build.contains("-----> Built"), "{build}");
    let run = commands.command(readme, "mixpack run DIR [TYPE]");
    let web = filled(&run, &[("DIR [TYPE]", "/tmp/source")]);
    let web = said(&format!("export PORT=4321; {web}"));
    assert!(web.ends_with("web on 4321\n"), "{web}");
    let worker = said(&filled(&run, &[("DIR [TYPE]", "/tmp/source worker")]));
    assert!(worker.ends_with("\nworking\n"), "{worker}");
    let help = said(&commands.command(readme, "mixpack build --help"));
    assert!(help.contains("--timeline"), "{help}");

    let timeline = commands.command(local, "mixpack build --timeline build.svg DIR");
    said(&filled(&timeline, &dir));
    let svg = std::fs::read_to_string(home.join("build.svg")).unwrap();
    assert!(svg.contains(">compile</text>"), "{svg}");
}

#[test]
fn documented_completion_setup_works() {
    let mut commands = Documented::of("whole-builds/local::documented_completion_setup_works");
    let page = "docs/local.md";
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    for folder in ["bin", "app", ".zfunc", ".config/fish/completions"] {
        std::fs::create_dir_all(home.path().join(folder)).unwrap();
    }
    let exe = std::env::var_os("MIXPACK_EXE").expect("MIXPACK_EXE: run `cargo xtask test`");
    std::os::unix::fs::symlink(exe, bin.join("mixpack")).unwrap();
    std::fs::write(home.path().join("app/Procfile"), "web: a\nworker: b\n").unwrap();
    let said = |program: &[&str], script: &str| {
        let output = std::process::Command::new(program[0])
            .args(&program[1..])
            .arg(script)
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env_remove("XDG_CONFIG_HOME")
            .output()
            .expect("the shell runs: `cargo xtask test` installs it");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
        assert!(output.status.success(), "{script}");
        String::from_utf8(output.stdout).unwrap()
    };

    let source = commands.command(page, "source <(mixpack completions bash)");
    let words = "COMP_WORDS=(mixpack run app w); COMP_CWORD=3; _mixpack; echo ${COMPREPLY[@]}";
    let offered = said(&["bash", "-c"], &format!("{source}\n{words}"));
    assert_eq!(offered, "web worker\n");

    let zsh = commands.command(page, "mixpack completions zsh > ~/.zfunc/_mixpack");
    said(&["zsh", "-f", "-c"], &zsh);
    let script = "fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit -D -u; \
                  echo ${_comps[mixpack]}; autoload +X _mixpack; which _mixpack";
    let known = said(&["zsh", "-f", "-c"], script);
    assert!(known.starts_with("_mixpack\n"), "{known}");
    assert!(known.contains("process type"), "{known}");

    let fish = "mixpack completions fish > ~/.config/fish/completions/mixpack.fish";
    let fish = commands.command(page, fish);
    said(&["fish", "-c"], &fish);
    let offered = said(&["fish", "-c"], "complete -C 'mixpack run app w'");
    let mut types = offered.lines().map(|line| line.split('\t').next().unwrap());
    assert!(types.by_ref().eq(["web", "worker"]), "{offered}");
}
