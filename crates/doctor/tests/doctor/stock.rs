//! Apps that follow Phoenix's guide for Heroku, in the shape that each version of the generator gives them.

use crate::{Repository, assert_only_notes};

const ENDPOINT: (&str, &str) = (
    "lib/hello_web/endpoint.ex",
    "defmodule HelloWeb.Endpoint do\n  use Phoenix.Endpoint, otp_app: :hello\n\n  socket \"/socket\", HelloWeb.UserSocket,\n    \
     websocket: [timeout: 45_000],\n    longpoll: false\n\n  plug HelloWeb.Router\nend\n",
);
const REPO: (&str, &str) = (
    "lib/hello/repo.ex",
    "defmodule Hello.Repo do\n  use Ecto.Repo, otp_app: :hello, adapter: Ecto.Adapters.Postgres\nend\n",
);
const MIGRATION: (&str, &str) = ("priv/repo/migrations/1_a.exs", "");
const PROCFILE: (&str, &str) = ("Procfile", "web: mix phx.server\n");
const PINNED: (&str, &str) = (
    "elixir_buildpack.config",
    "elixir_version=1.18.4\nerlang_version=27.3.4\nhook_post_compile=\"eval mix assets.deploy && rm -f _build/esbuild*\"\n",
);

fn mix_exs(app: &str, phoenix: &str) -> String {
    format!(
        "defmodule Hello.MixProject do\n  use Mix.Project\n\n  def project do\n    [app: :{app}, version: \"0.1.0\", deps: deps()]\n  end\n\n  \
         defp deps do\n    [\n      {{:phoenix, \"~> {phoenix}\"}},\n      {{:postgrex, \">= 0.0.0\"}},\n      \
         {{:phoenix_live_reload, \"~> 1.2\", only: :dev}}\n    ]\n  end\nend\n"
    )
}

fn mix_lock(phoenix: &str) -> String {
    format!(
        "%{{\n  \"phoenix\": {{:hex, :phoenix, \"{phoenix}\", \"aa\", [:mix], [], \"hexpm\", \"bb\"}},\n  \
         \"postgrex\": {{:hex, :postgrex, \"0.19.3\", \"aa\", [:mix], [], \"hexpm\", \"bb\"}},\n}}\n"
    )
}

fn config_exs(import: &str, mix_env: &str) -> String {
    format!(
        "{import}\n\nconfig :hello, ecto_repos: [Hello.Repo]\n\nconfig :hello, HelloWeb.Endpoint,\n  url: [host: \"localhost\"],\n  \
         secret_key_base: \"of the generator, before 1.5\",\n  pubsub_server: Hello.PubSub\n\nimport_config \"#{{{mix_env}}}.exs\"\n"
    )
}

/// `config/runtime.exs` of 1.6 and 1.7, and in essence `prod.secret.exs` of 1.5.
const SECRETS: &str = r#"
  database_url =
    System.get_env("DATABASE_URL") ||
      raise """
      environment variable DATABASE_URL is missing.
      """

  config :hello, Hello.Repo,
    ssl: true,
    url: database_url,
    pool_size: String.to_integer(System.get_env("POOL_SIZE") || "10")

  secret_key_base =
    System.get_env("SECRET_KEY_BASE") ||
      raise """
      environment variable SECRET_KEY_BASE is missing.
      You can generate one by calling: mix phx.gen.secret
      """
"#;

const PROD: &str = "config :hello, HelloWeb.Endpoint,\n  url: [scheme: \"https\", host: \"hello.herokuapp.com\", port: 443],\n  \
                    force_ssl: [rewrite_on: [:x_forwarded_proto]],\n  cache_static_manifest: \"priv/static/cache_manifest.json\"\n\n\
                    config :logger, level: :info\n";

fn app(phoenix: &str, locked: &str, files: &[(&str, &str)]) -> Repository {
    let common = [ENDPOINT, REPO, MIGRATION, PROCFILE, PINNED];
    Repository::new(&common)
        .files(&[
            ("mix.exs", &mix_exs("hello", phoenix)),
            ("mix.lock", &mix_lock(locked)),
        ])
        .files(files)
}

#[test]
fn phoenix_1_3_reads_the_environment_in_prod_exs() {
    let prod = format!(
        "use Mix.Config\n\n{}\n\nconfig :hello, Hello.Repo,\n  adapter: Ecto.Adapters.Postgres,\n  url: System.get_env(\"DATABASE_URL\"),\n  \
         pool_size: String.to_integer(System.get_env(\"POOL_SIZE\") || \"10\"),\n  ssl: true\n",
        PROD.replace(
            "  force_ssl",
            "  load_from_system_env: true,\n  http: [port: {:system, \"PORT\"}],\n  secret_key_base: Map.fetch!(System.get_env(), \"SECRET_KEY_BASE\"),\n  force_ssl"
        )
    );
    let endpoint = "defmodule HelloWeb.Endpoint do\n  use Phoenix.Endpoint, otp_app: :hello\n  socket \"/socket\", HelloWeb.UserSocket\nend\n";
    let socket = "defmodule HelloWeb.UserSocket do\n  use Phoenix.Socket\n  transport :websocket, Phoenix.Transports.WebSocket,\n    timeout: 45_000\nend\n";
    let repo = "defmodule Hello.Repo do\n  use Ecto.Repo, otp_app: :hello\nend\n";
    let files = [
        (
            "config/config.exs",
            &*config_exs("use Mix.Config", "Mix.env"),
        ),
        ("config/prod.exs", &prod),
        ("lib/hello_web/endpoint.ex", endpoint),
        ("lib/hello_web/channels/user_socket.ex", socket),
        ("lib/hello/repo.ex", repo),
    ];
    let app = app("1.3.4", "1.3.4", &files);
    assert_only_notes(&app);
    let slow = app.edit("lib/hello_web/channels/user_socket.ex", "45_000", "60_000");
    let expected = "warning websocket-timeout lib/hello_web/channels/user_socket.ex:4";
    assert!(
        slow.codes().contains(&expected.to_owned()),
        "{:?}",
        slow.codes()
    );
}

/// The generator of 1.3 sets no port in the configuration: the endpoint reads it when it starts.
#[test]
fn endpoint_of_phoenix_1_3_reads_port_itself() {
    let endpoint = "defmodule HelloWeb.Endpoint do\n  use Phoenix.Endpoint, otp_app: :hello\n  socket \"/socket\", HelloWeb.UserSocket\n\n  \
                    def init(_key, config) do\n    if config[:load_from_system_env] do\n      port = System.get_env(\"PORT\") || raise \"expected PORT\"\n      \
                    {:ok, Keyword.put(config, :http, [:inet6, port: port])}\n    else\n      {:ok, config}\n    end\n  end\nend\n";
    let prod = PROD.replace("  force_ssl", "  load_from_system_env: true,\n  force_ssl");
    let socket = "defmodule HelloWeb.UserSocket do\n  use Phoenix.Socket\n  transport :websocket, Phoenix.Transports.WebSocket\nend\n";
    let files = [
        (
            "config/config.exs",
            &*config_exs("use Mix.Config", "Mix.env"),
        ),
        ("config/prod.exs", &format!("use Mix.Config\n\n{prod}")),
        ("lib/hello_web/endpoint.ex", endpoint),
        ("lib/hello_web/channels/user_socket.ex", socket),
    ];
    let app = app("1.3.4", "1.3.4", &files);
    let of_endpoint = |app: &Repository| {
        let codes = app.codes().into_iter();
        let is_of_endpoint =
            |code: &String| code.contains("websocket") || code.contains("port-not");
        codes.filter(is_of_endpoint).collect::<Vec<_>>()
    };
    let note = "note websocket-timeout lib/hello_web/channels/user_socket.ex:3";
    assert_eq!(of_endpoint(&app), [note]);
    let portless = app.edit("lib/hello_web/endpoint.ex", "\"PORT\"", "\"SOCKET\"");
    let error = "error port-not-from-environment lib/hello_web/endpoint.ex:2";
    assert_eq!(of_endpoint(&portless), [error, note]);
}

/// `Mix.Config` expands a `*` in an import, and ignores one that matches nothing.
#[test]
fn imports_with_wildcards_are_followed() {
    let config = config_exs("use Mix.Config", "Mix.env");
    let config = config.replace("}.exs", "}*.exs") + "import_config \"./*.secret.exs\"\n";
    let prod = format!("use Mix.Config\n\n{PROD}")
        .replace("  force_ssl", "  http: [port: 4000],\n  force_ssl");
    let files = [("config/config.exs", &*config), ("config/prod.exs", &prod)];
    let app = app("1.3.4", "1.3.4", &files);
    let codes = app.codes();
    assert!(
        !codes.iter().any(|code| code.contains("import-not")),
        "{codes:?}"
    );
    let port = app.line_of("config/prod.exs", "port: 4000");
    let expected = format!("error port-not-from-environment config/prod.exs:{port}");
    assert!(codes.contains(&expected), "{codes:?}");
}

#[test]
fn phoenix_1_5_has_a_committed_prod_secret_exs() {
    let secret = format!(
        "use Mix.Config\n{SECRETS}\nconfig :hello, HelloWeb.Endpoint,\n  http: [\n    port: String.to_integer(System.get_env(\"PORT\") || \"4000\"),\n    \
         transport_options: [socket_opts: [:inet6]]\n  ],\n  secret_key_base: secret_key_base\n"
    );
    let files = [
        (
            "config/config.exs",
            &*config_exs("use Mix.Config", "Mix.env()"),
        ),
        (
            "config/prod.exs",
            &format!("use Mix.Config\n\n{PROD}\nimport_config \"prod.secret.exs\"\n"),
        ),
        ("config/prod.secret.exs", &secret),
    ];
    let app = app("1.5.14", "1.5.14", &files);
    assert_only_notes(&app);
    // The generator once ignored the file.
    let ignored = app.files(&[(".gitignore", "/config/*.secret.exs\n")]);
    let expected = "error import-not-committed config/prod.exs:10";
    assert!(
        ignored.codes().contains(&expected.to_owned()),
        "{:?}",
        ignored.codes()
    );
}

fn runtime(http: &str) -> String {
    format!(
        "import Config\n\nif System.get_env(\"PHX_SERVER\") do\n  config :hello, HelloWeb.Endpoint, server: true\nend\n\n\
         if config_env() == :prod do{SECRETS}\n  host = System.get_env(\"PHX_HOST\") || \"example.com\"\n  \
         port = String.to_integer(System.get_env(\"PORT\") || \"4000\")\n\n  config :hello, HelloWeb.Endpoint,\n    \
         url: [host: host, port: 443, scheme: \"https\"],\n    http: [\n      {http}\n    ],\n    secret_key_base: secret_key_base\nend\n"
    )
}

#[test]
fn phoenix_1_6_and_1_7_have_a_runtime_exs() {
    let prod = "import Config\n\nconfig :hello, HelloWeb.Endpoint,\n  force_ssl: [rewrite_on: [:x_forwarded_proto]],\n  \
                cache_static_manifest: \"priv/static/cache_manifest.json\"\n";
    for version in ["1.6.16", "1.7.14"] {
        let files = [
            (
                "config/config.exs",
                &*config_exs("import Config", "config_env()"),
            ),
            ("config/prod.exs", prod),
            (
                "config/runtime.exs",
                &runtime("ip: {0, 0, 0, 0, 0, 0, 0, 0},\n      port: port"),
            ),
        ];
        let app = app(version, version, &files);
        assert_only_notes(&app);
        let release = app.edit(
            "elixir_buildpack.config",
            "elixir_version",
            "release=true\nelixir_version",
        );
        let release = release.remove("Procfile");
        assert_only_notes(&release);
    }
}

/// Of 1.8: the port is set for every environment, and the lists of patterns have sigils with quotes.
const RUNTIME_1_8: &str = r#"
config :hello, HelloWeb.Endpoint,
  http: [port: String.to_integer(System.get_env("PORT", "4000"))]

if config_env() == :dev do
  config :hello, HelloWeb.Endpoint,
    live_reload: [
      patterns: [
        # Static assets, except "user" uploads
        ~r"priv/static/(?!uploads/).*\.(js|css)$"E,
        ~r"lib/hello_web/router\.ex$"E
      ]
    ]
end
"#;

#[test]
fn phoenix_1_8_sets_its_port_separately() {
    let text = runtime("ip: {0, 0, 0, 0, 0, 0, 0, 0}");
    let text = text.replacen(
        "\nif config_env()",
        &format!("{RUNTIME_1_8}\nif config_env()"),
        1,
    );
    let dns =
        "  config :hello, :dns_cluster_query, System.get_env(\"DNS_CLUSTER_QUERY\")\n  host =";
    let text = text.replacen("  host =", dns, 1);
    let prod = "import Config\n\nconfig :hello, HelloWeb.Endpoint, cache_static_manifest: \"priv/static/cache_manifest.json\"\n\n\
                config :hello, HelloWeb.Endpoint,\n  force_ssl: [\n    rewrite_on: [:x_forwarded_proto],\n    exclude: [\n      \
                # paths: [\"/health\"],\n      hosts: [\"localhost\", \"127.0.0.1\"]\n    ]\n  ]\n";
    let files = [
        (
            "config/config.exs",
            &*config_exs("import Config", "config_env()"),
        ),
        ("config/prod.exs", prod),
        ("config/runtime.exs", &text),
    ];
    assert_only_notes(&app("1.8.0", "1.8.12", &files));
}

fn umbrella(prefix: &str) -> Vec<(String, String)> {
    let runtime = runtime("port: port").replace(":hello, HelloWeb", ":hello_web, HelloWeb");
    let config = config_exs("import Config", "config_env()")
        .replace(":hello, HelloWeb", ":hello_web, HelloWeb");
    let prod = format!(
        "import Config\n\n{}",
        PROD.replace(":hello, HelloWeb", ":hello_web, HelloWeb")
    );
    let root = "defmodule Hello.Umbrella.MixProject do\n  use Mix.Project\n\n  def project, do: [apps_path: \"apps\", version: \"0.1.0\", deps: []]\nend\n";
    let child = mix_exs("hello_web", "1.7.14").replace(
        "deps: deps()]",
        "build_path: \"../../_build\", config_path: \"../../config/config.exs\", lockfile: \"../../mix.lock\", deps: deps()]",
    );
    let child = child.replace(
        "      {:postgrex",
        "      {:hello, in_umbrella: true},\n      {:postgrex",
    );
    let endpoint = ENDPOINT.1.replace("otp_app: :hello", "otp_app: :hello_web");
    let files = [
        ("mix.exs", root.to_owned()),
        ("mix.lock", mix_lock("1.7.14")),
        ("config/config.exs", config),
        ("config/prod.exs", prod),
        ("config/runtime.exs", runtime),
        ("apps/hello/mix.exs", mix_exs("hello", "1.7.14")),
        ("apps/hello/lib/hello/repo.ex", REPO.1.to_owned()),
        ("apps/hello_web/mix.exs", child),
        ("apps/hello_web/lib/hello_web/endpoint.ex", endpoint),
        ("elixir_buildpack.config", PINNED.1.to_owned()),
    ];
    files
        .map(|(path, text)| (format!("{prefix}{path}"), text))
        .into()
}

fn written(files: &[(String, String)]) -> Repository {
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    Repository::new(&files)
}

#[test]
fn umbrella_is_read_as_a_whole() {
    let app = written(&umbrella(""));
    assert_only_notes(&app);
    let fixed = app.edit(
        "config/runtime.exs",
        "http: [\n      port: port",
        "http: [\n      port: 4000",
    );
    let fixed = fixed.edit(
        "apps/hello_web/mix.exs",
        "{:phoenix,",
        "{:jason, \"~> 1.2\"},\n      {:phoenix,",
    );
    let codes = fixed.codes();
    let port = fixed.line_of("config/runtime.exs", "port: 4000");
    let jason = fixed.line_of("apps/hello_web/mix.exs", ":jason");
    for expected in [
        format!("error port-not-from-environment config/runtime.exs:{port}"),
        format!("error lockfile-out-of-step apps/hello_web/mix.exs:{jason}"),
    ] {
        assert!(codes.contains(&expected), "{codes:#?}");
    }
}

#[test]
fn places_in_a_monorepo_are_relative_to_its_top() {
    let files = umbrella("backend/");
    let app = written(&files).files(&[("elixir_buildpack.config", "app_relative_path=backend\n")]);
    assert_only_notes(&app);
    let app = app.edit("backend/config/runtime.exs", "port: port", "port: 4000");
    let codes = app.codes();
    let line = app.line_of("backend/config/runtime.exs", "port: 4000");
    let expected = format!("error port-not-from-environment backend/config/runtime.exs:{line}");
    assert!(codes.contains(&expected), "{codes:#?}");
}

#[test]
fn plain_app_has_nothing_to_fix() {
    let mix_exs = "defmodule Plain.MixProject do\n  use Mix.Project\n\n  def project do\n    [app: :plain, version: \"0.1.0\", elixir: \"~> 1.18\", deps: deps()]\n  \
                   end\n\n  defp deps do\n    [\n      # {:dep_from_hexpm, \"~> 0.3.0\"},\n    ]\n  end\nend\n";
    let app = Repository::new(&[
        ("mix.exs", mix_exs),
        ("lib/plain.ex", "defmodule Plain do\nend\n"),
        (".tool-versions", "elixir 1.18.4-otp-27\nerlang 27.3.4\n"),
    ]);
    assert_eq!(app.codes(), Vec::<String>::new());
}
