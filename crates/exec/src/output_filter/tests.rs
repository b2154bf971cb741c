use super::*;
use crate::log::Style;
use crate::log::captured;

/// Returns the log of a command that prints this output and succeeds.
fn read(action: &Action, fetched: &[&str], output: &str) -> String {
    let fetched = fetched.iter().map(|&name| name.to_owned()).collect();
    let mut filter = OutputFilter::of(action, || fetched).expect("a command that Mixpack runs");
    for line in output.lines() {
        filter.take(line);
    }
    let (log, out, _) = captured::log(false, false, Style::Bullets);
    let step = log.step("-");
    filter.finish(&step);
    drop(step);
    let text = out.text();
    text.strip_prefix("- -\n").expect("its header").to_owned()
}

fn install(output: &str) -> String {
    let action = Action::JsInstall {
        dir: "assets".to_owned(),
        manager: Manager::Npm,
        lockfile: None,
    };
    read(&action, &[], output)
}

#[test]
fn compile_summary_lists_compiled_apps() {
    let output = "\
===> Analyzing applications...
===> Compiling telemetry
==> jason
Compiling 10 files (.ex)
Generated jason app
==> shop
Compiling 2 files (.erl)
Compiling 18 files (.ex)
Generated shop app
";
    assert_eq!(
        read(&Action::Compile, &["jason", "telemetry"], output),
        "  compiled 2 dependencies: telemetry, jason\n  compiled shop: 20 files\n"
    );
}

#[test]
fn app_without_header_gets_name_from_generated_line() {
    let output = "Compiling 1 file (.ex)\nGenerated shop app\n";
    assert_eq!(
        read(&Action::Compile, &[], output),
        "  compiled shop: 1 file\n"
    );
    let by_rebar = format!("===> Compiling cowlib\nlib/a.erl:1: what\n{output}");
    assert_eq!(
        read(&Action::Compile, &["cowlib"], &by_rebar),
        "  compiled 1 dependency: cowlib\n  compiled shop: 1 file\n"
    );
    // A file was removed.
    assert_eq!(
        read(&Action::Compile, &[], "Generated shop app\n"),
        "  compiled shop\n"
    );
    // Only a file without a module of the app itself.
    assert_eq!(
        read(&Action::Compile, &[], "Compiling 1 file (.ex)\n"),
        "  compiled the app: 1 file\n"
    );
    assert_eq!(read(&Action::Compile, &[], ""), "");
}

#[test]
fn app_warnings_are_printed_and_dependency_warnings_counted() {
    let output = "\
==> knobs
Compiling 1 file (.ex)
    warning: variable \"a\" is unused
    │
  3 │   a = 1
    │   ~
    │
    └─ lib/knobs.ex:3:3: Knobs.turn/0

Generated knobs app
==> cowlib
src/cow.erl:12:3: Warning: variable 'A' is unused
==> web
Compiling 2 files (.ex)
Generated web app
==> shop
Compiling 2 files (.ex)
    warning: variable \"b\" is unused
    │
    └─ lib/shop.ex:3:3: Shop.open/0

Generated shop app
";
    assert_eq!(
        read(&Action::Compile, &["knobs", "cowlib"], output),
        "  ==> shop
      warning: variable \"b\" is unused
      │
      └─ lib/shop.ex:3:3: Shop.open/0
  compiled 1 dependency: knobs
  2 warnings in dependencies omitted. Set MIXPACK_VERBOSE=true to print them
  compiled web: 2 files
  compiled shop: 2 files
"
    );
}

#[test]
fn failures_that_dependencies_report_are_printed() {
    let output = "\
1> ==> appsignal
1> Downloading agent release
2> ==> plug
1> AppSignal installation failed: Could not download archive from any of our mirrors.
1> Please make sure your network allows access to any of these mirrors.
2>     warning: unused
2>     \"could not turn\"
1> Generated appsignal app
2> Generated plug app
";
    assert_eq!(
        read(&Action::Compile, &["appsignal", "plug"], output),
        "  ==> appsignal
  AppSignal installation failed: Could not download archive from any of our mirrors.
  compiled 2 dependencies: appsignal, plug
  1 warning in dependencies omitted. Set MIXPACK_VERBOSE=true to print them
  A dependency reported a failure, see above. Later builds don't compile it again. To compile everything again, set \
MIXPACK_CLEAN_BUILD to a new value
"
    );
}

#[test]
fn output_of_parallel_dependency_builds_is_separated() {
    let output = "\
1> ==> a
2> ==> b
1> Compiling 1 file (.ex)
2> Compiling 2 files (.ex)
1>     warning: unused
2> Generated b app
1> Generated a app
==> shop
Compiling 3 files (.ex)
1 > 0 is always true
";
    assert_eq!(
        read(&Action::Compile, &["a", "b"], output),
        "  ==> shop
  1 > 0 is always true
  compiled 2 dependencies: a, b
  1 warning in dependencies omitted. Set MIXPACK_VERBOSE=true to print them
  compiled shop: 3 files
"
    );
}

#[test]
fn long_dependency_list_is_abbreviated() {
    let names: Vec<String> = (1..=8).map(|n| format!("d{n}")).collect();
    assert_eq!(
        dependencies(&names),
        "8 dependencies: d1, d2, d3, d4, d5, d6 and 2 more"
    );
    assert_eq!(
        dependencies(&names[..7]),
        "7 dependencies: d1, d2, d3, d4, d5, d6, d7"
    );
    assert_eq!(dependencies(&names[..1]), "1 dependency: d1");
}

#[test]
fn progress_names_current_dependency() {
    let mut filter =
        OutputFilter::of(&Action::Compile, BTreeSet::new).expect("a command that Mixpack runs");
    assert_eq!(filter.at(), None);
    filter.take("==> phoenix");
    filter.take("Compiling 71 files (.ex)");
    assert_eq!(filter.at(), Some("phoenix"));
    let mut filter =
        OutputFilter::of(&Action::Deps, BTreeSet::new).expect("a command that Mixpack runs");
    filter.take("* Getting phoenix (Hex package)");
    filter.take("");
    assert_eq!(filter.at(), Some("Getting phoenix (Hex package)"));
}

#[test]
fn fetch_summary_lists_only_retired_and_vulnerable_dependencies() {
    let output = "\
Resolving Hex dependencies...
Resolution completed in 0.034s
Unchanged:
  jason 1.4.4
  plug 1.0.0 RETIRED!
    (security) do not use
  bandit 1.0.0 VULNERABLE!
    GHSA-0000-test (HIGH)
    A request is read twice

    CVE-2026-0000 (LOW)
    Another one
Upgraded:
  phoenix 1.8.0 => 1.8.1
* Getting phoenix (Hex package)
* Updating heroicons (https://example.com/heroicons.git - 0435d4c)
remote: Counting objects: 100% (3/3), done.
";
    assert_eq!(
        read(&Action::Deps, &[], output),
        "    plug 1.0.0 RETIRED!
      (security) do not use
    bandit 1.0.0 VULNERABLE!
      GHSA-0000-test (HIGH)
      A request is read twice
      CVE-2026-0000 (LOW)
      Another one
  fetched 2 dependencies: phoenix, heroicons
"
    );
    assert_eq!(
        read(&Action::Deps, &[], "All dependencies are up to date\n"),
        "  dependencies are up to date\n"
    );
    assert_eq!(read(&Action::Deps, &[], ""), "");
}

#[test]
fn release_summary_omits_start_instructions() {
    let output = "\
* assembling hello-0.1.0 on MIX_ENV=prod
* using config/runtime.exs to configure the release at runtime
* skipping elixir.bat for windows (bin/elixir.bat not found in the Elixir installation)
what a step of the app says

Release created at _build/prod/rel/hello

    # To start your system
    _build/prod/rel/hello/bin/hello start
";
    assert_eq!(
        read(&Action::Release, &[], output),
        "  what a step of the app says\n  Release created at _build/prod/rel/hello\n"
    );
}

#[test]
fn digest_is_silent_unless_something_is_wrong() {
    let output = "==> web\nCheck your digested files at \"priv/static\"\n\
                Clean complete for \"priv/static\"\n";
    assert_eq!(read(&Action::Digest, &[], output), "");
    let wrong = "The input path \"priv/static\" does not exist\n";
    assert_eq!(read(&Action::Digest, &[], wrong), format!("  {wrong}"));
}

#[test]
fn install_summary_counts_packages() {
    let npm = "\
npm warn deprecated glob@7.2.3: no longer supported
npm warn EBADENGINE Unsupported engine {
npm warn EBADENGINE   package: 'shop@1.0.0',
npm warn EBADENGINE }

added 3 packages in 1s
";
    assert_eq!(
        install(npm),
        "  npm warn EBADENGINE Unsupported engine {
  npm warn EBADENGINE   package: 'shop@1.0.0',
  npm warn EBADENGINE }
  added 3 packages in 1s
  warnings omitted. Set MIXPACK_VERBOSE=true to print them
"
    );
    let pnpm = "\
 WARN  Unsupported engine: wanted: {\"node\":\">=99\"} (current: {\"node\":\"v20.20.2\"})
Lockfile is up to date, resolution step is skipped
Progress: resolved 1, reused 0, downloaded 0, added 0
Packages: +19
+++++++++++++++++++
Progress: resolved 19, reused 0, downloaded 19, added 19, done

dependencies:
+ glob 7.2.3

Done in 974ms using pnpm v10.34.9
";
    assert_eq!(
        install(pnpm),
        "  WARN  Unsupported engine: wanted: {\"node\":\">=99\"} (current: {\"node\":\"v20.20.2\"})
  Packages: +19
"
    );
    let bun =
        "bun install v1.4.5 (a7733435c)\n\n+ glob@7.2.3\n\n19 packages installed [492.00ms]\n";
    assert_eq!(install(bun), "  19 packages installed [492.00ms]\n");
    let berry = "\
➤ YN0000: · Yarn 4.18.1
➤ YN0002: │ x@workspace:. doesn't provide react (pc85046), requested by react-dom.
➤ YN0000: · Done with warnings in 0s 307ms
";
    assert_eq!(
        install(berry),
        "  warnings omitted. Set MIXPACK_VERBOSE=true to print them\n"
    );
    assert_eq!(
        install("added 1 package in 205ms\n"),
        "  added 1 package in 205ms\n"
    );
}

#[test]
fn assets_deploy_output_is_not_summarized() {
    assert!(OutputFilter::of(&Action::AssetsDeploy, BTreeSet::new).is_none());
}
