use super::*;

const CONFIG: &str = ":web :json\t11\t\tJason\n:web :key\t22\tSECRET_KEY\t\n:web :fun\t\t\t\n:jason :pretty\t33\t\t\n";

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn mac(name: &str, value: &[u8]) -> String {
    format!("{name}={}", String::from_utf8_lossy(value))
}

fn inputs(env: &Env) -> Inputs<'_> {
    let owners = [
        ("Web", "web"),
        ("Jason", "jason"),
        (":ranch", "ranch"),
        (":telemetry", "telemetry"),
    ];
    let packages = ["web", "jason", "ranch", "telemetry"];
    let folder = |package: &&str| {
        let folders = [
            format!("/app/deps/{package}"),
            format!("/app/_build/prod/lib/{package}"),
        ];
        folders.map(|folder| (folder.into(), (*package).to_owned()))
    };
    Inputs {
        env,
        config_vars: set(&["API_URL"]),
        config: parse_config(CONFIG).unwrap(),
        owners: owners
            .map(|(module, package)| (module.to_owned(), package.to_owned()))
            .into(),
        packages: set(&packages),
        folders: packages.iter().flat_map(folder).collect(),
        roots: ["/app/deps", "/app/_build/prod/lib"]
            .map(PathBuf::from)
            .into(),
        tools: vec!["/app/.platform_tools/erlang".into()],
        mac: &mac,
    }
}

/// The reads of compiling `web`, which finds `jason`, with the values of this build. The error is the reason for
/// which they can't be compared.
fn values(line: &str) -> Result<Vec<String>, String> {
    let env = [("LANG".into(), "C".into()), ("API_URL".into(), "x".into())].into();
    let inputs = inputs(&env);
    let reader = Reader {
        name: "web",
        is_rebar: false,
        depends_on: &set(&["jason"]),
        finds: &[("telemetry".to_owned(), "key of telemetry".to_owned())].into(),
        absent: &BTreeSet::new(),
    };
    let reads = inputs.parse(line, reader)?;
    reads
        .iter()
        .map(|read| inputs.value(read, reader))
        .collect()
}

#[test]
fn values_of_reads_are_distinguished() {
    for (line, value) in [
        ("variable\tLANG", "variable LANG=C"),
        ("variable\tOTHER", "absent"),
        ("config\t:web :json", "config :web :json=11"),
        ("config\t:web :other", "absent"),
        ("configs\t:jason", "configs :jason=:jason :pretty\t33\n"),
        ("application\t:castore", "no package"),
        ("module\tHackney", "no package"),
        ("status\t/app/deps/hackney/mix.exs", "no package"),
        ("status\t/app/_build/prod/lib/hackney", "no package"),
        ("status\t/app/_build/prod/lib/telemetry", "key of telemetry"),
        // Compiled earlier, because one of them mentions a module of the other.
        ("module\t:telemetry", "key of telemetry"),
        ("application\t:telemetry", "key of telemetry"),
        ("config\t:telemetry :x", "key of telemetry"),
        ("similar\tTelemetry", ""),
        ("similar\t:Telemetry", "key of telemetry"),
        ("similar\tHackney", ""),
        ("similar\tJASON", ""),
        (
            "file\t/app/_build/prod/lib/jason/ebin/Elixir.Hackney.beam",
            "no package",
        ),
    ] {
        assert_eq!(values(line), Ok(vec![value.to_owned()]), "{line}");
    }
    // A value that Phoenix.Template has computed stands for its inputs.
    let engines = values("config\t:phoenix_template :compiled_template_engines");
    assert_eq!(engines.map(|values| values.len()), Ok(3));
}

#[test]
fn package_that_is_compiled_later_is_absent() {
    let env = Env::new();
    let inputs = inputs(&env);
    let reader = Reader {
        name: "web",
        is_rebar: false,
        depends_on: &BTreeSet::new(),
        finds: &BTreeMap::new(),
        absent: &set(&["ranch"]),
    };
    let reads = "module\t:ranch\nmodule\tHackney\napplication\t:ranch\nconfig\t:ranch :x\n";
    let reads = inputs.parse(reads, reader).unwrap();
    let values: Vec<_> = reads
        .iter()
        .map(|read| inputs.value(read, reader).unwrap())
        .collect();
    assert_eq!(values, ["absent", "no package", "no package", "no package"]);
    let why = "uses Jason of jason, which it doesn't depend on";
    assert_eq!(inputs.parse("module\tJason", reader), Err(why.to_owned()));
    // A build with this package compiles other code.
    let reader = Reader {
        absent: &BTreeSet::new(),
        ..reader
    };
    assert!(reads.iter().any(|read| inputs.value(read, reader).is_err()));
}

#[test]
fn key_covers_own_files_and_those_of_dependencies() {
    for line in [
        "variable\tMIX_ENV",
        "module\tWeb",
        "module\tElixir.Jason",
        "module\t:elixir_compiler_12",
        "application\t:jason",
        "file\t/app/deps/jason/lib/jason.ex",
        "folder\t/app/_build/prod/lib/jason/ebin",
        "status\t/app/_build/prod/lib/jason.ez",
        "status\t/app/_build/prod/lib",
        "status\t/app",
        "file\t/app/.platform_tools/erlang/lib/stdlib/ebin/stdlib.app",
        "status\t/tmp",
        // In an umbrella, mix marks the lockfile of each child. `ranch` stands for one here.
        "folder\t/app/_build/prod/.mix",
        "file\t/app/_build/prod/lib/ranch/.mix/compile.lock",
        // From 1.19 on, mix finds out who it runs as.
        "file\t/tmp/mix_user_check_1764400000_q1w2",
        "config\t:logger :compile_time_application",
        "set\t:logger :compile_time_application",
    ] {
        assert_eq!(values(line), Ok(Vec::new()), "{line}");
    }
}

#[test]
fn values_that_other_builds_cannot_compare_are_not_shared() {
    for (line, why) in [
        ("variable\tAPI_URL", "reads the config var API_URL"),
        ("variables\tall", "reads all environment variables"),
        (
            "config\t:web :key",
            "reads the config :web :key, which has the value of SECRET_KEY",
        ),
        (
            "configs\t:web",
            "reads the config :web :fun, which has a function or process",
        ),
        (
            "config\t:ranch :x",
            "uses :ranch :x of ranch, which it doesn't depend on",
        ),
        (
            "application\t:ranch",
            "uses ranch, which it doesn't depend on",
        ),
        ("module\t:ranch", "uses ranch, which it doesn't depend on"),
        (
            "file\t/app/deps/ranch/src/ranch.erl",
            "reads /app/deps/ranch/src/ranch.erl of ranch, which it doesn't depend on",
        ),
        ("file\t/app/mix.lock", "reads /app/mix.lock"),
        ("folder\t/app/deps", "reads /app/deps"),
        ("folder\t/app/_build/prod/lib", "reads /app/_build/prod/lib"),
        (
            "folder\t/app/_build/prod/lib/ranch/ebin",
            "reads /app/_build/prod/lib/ranch/ebin of ranch, which it doesn't depend on",
        ),
        (
            "folder\t/app/deps/ranch",
            "reads /app/deps/ranch of ranch, which it doesn't depend on",
        ),
        (
            "status\t/app/deps/ranch",
            "uses ranch, which it doesn't depend on",
        ),
        // Its sources are there, whether or not it is compiled.
        (
            "status\t/app/deps/telemetry",
            "uses telemetry, which it doesn't depend on",
        ),
        (
            "status\t/app/_build/prod/lib/ranch",
            "uses ranch, which it doesn't depend on",
        ),
        (
            "status\t/app/config/config.exs",
            "reads /app/config/config.exs",
        ),
        ("file\t/etc/hostname", "reads /etc/hostname"),
        (
            "program\t{:spawn_executable, ~c\"/usr/bin/cc\"}",
            "runs a program: {:spawn_executable, ~c\"/usr/bin/cc\"}",
        ),
        (
            "program\t{:spawn_executable, ~c\"/app/.mix/rebar3\"}",
            "runs a program: {:spawn_executable, ~c\"/app/.mix/rebar3\"}",
        ),
        (
            "network\t:prim_inet.open",
            "uses the network (:prim_inet.open)",
        ),
        (
            "nif\t/app/_build/prod/lib/jason/priv/x",
            "loads native code: /app/_build/prod/lib/jason/priv/x",
        ),
        (
            "similar\tch",
            "uses ch of ranch, which it doesn't depend on",
        ),
        ("project\tWeb", "Web reads the app's project"),
        ("set\t:jason :pretty", "sets the config :jason :pretty"),
        ("set\tcompiler options", "sets compiler options"),
        (
            "vm\twhich applications are started",
            "asks which applications are started",
        ),
        ("unknown\ta file", "reads a file"),
    ] {
        assert_eq!(values(line), Err(why.to_owned()), "{line}");
    }
}

#[test]
fn config_that_names_a_module_of_another_package_is_not_shared() {
    let env = Env::new();
    let inputs = inputs(&env);
    let reader = Reader {
        name: "web",
        is_rebar: true,
        depends_on: &BTreeSet::new(),
        finds: &BTreeMap::new(),
        absent: &BTreeSet::new(),
    };
    let why = inputs.parse("config\t:web :json\n", reader);
    let expected = "reads the config :web :json, which names a module of jason";
    assert_eq!(why, Err(expected.to_owned()));
    let rebar3 = "program\t{:spawn_executable, ~c\"/app/.mix/elixir/1-18/rebar3\"}\n";
    assert_eq!(inputs.parse(rebar3, reader), Ok(BTreeSet::new()));
}

#[test]
fn config_of_another_form_is_no_config() {
    assert_eq!(parse_config("a b\n"), None);
    assert_eq!(parse_config(""), Some(BTreeMap::new()));
}
