//! One fault for each rule. The twin is the same app without it, or with what looks like it.

use crate::Repository;
use crate::shop::{VARS, shop};
use doctor::RULES;
use std::collections::BTreeSet;

/// A fault: the finding that is expected, and the changes that make it.
struct Fault {
    /// `error code`.
    finding: &'static str,
    /// The file, and a text of the line.
    at: (&'static str, &'static str),
    /// Replaces a text of a file, or writes the file if the text is empty.
    edits: &'static [(&'static str, &'static str, &'static str)],
    /// The changes of the twin.
    twin: &'static [(&'static str, &'static str, &'static str)],
}

const fn fault(
    finding: &'static str,
    at: (&'static str, &'static str),
    edits: &'static [(&'static str, &'static str, &'static str)],
    twin: &'static [(&'static str, &'static str, &'static str)],
) -> Fault {
    Fault {
        finding,
        at,
        edits,
        twin,
    }
}

const RUNTIME: &str = "config/runtime.exs";
const PROD: &str = "config/prod.exs";
const ENDPOINT: &str = "lib/shop_web/endpoint.ex";
const UPLOAD: &str = "lib/shop/upload.ex";
const BUILDPACK: &str = "elixir_buildpack.config";
const RELEASE: (&str, &str, &str) = (BUILDPACK, "elixir_version", "release=true\nelixir_version");

const ENDPOINTS: &[Fault] = &[
    fault(
        "error port-not-from-environment",
        (RUNTIME, "port: 4000"),
        &[(
            RUNTIME,
            "String.to_integer(System.get_env(\"PORT\", \"4000\"))",
            "4000",
        )],
        &[(
            RUNTIME,
            "String.to_integer(System.get_env(\"PORT\", \"4000\"))",
            "Shop.port(System.get_env(\"PORT\"))",
        )],
    ),
    fault(
        "error port-not-from-environment",
        (RUNTIME, "SHOP_PORT"),
        &[(RUNTIME, "\"PORT\"", "\"SHOP_PORT\"")],
        &[(
            RUNTIME,
            "System.get_env(\"PORT\", \"4000\")",
            "System.get_env(\"SHOP_PORT\") || System.get_env(\"PORT\")",
        )],
    ),
    fault(
        "error port-not-from-environment",
        (ENDPOINT, "use Phoenix.Endpoint"),
        &[
            (
                RUNTIME,
                "http: [port: String.to_integer(System.get_env(\"PORT\", \"4000\"))]",
                "debug_errors: false",
            ),
            (RUNTIME, "    http: [ip: {0, 0, 0, 0, 0, 0, 0, 0}],\n", ""),
        ],
        &[(
            RUNTIME,
            "http: [port: String.to_integer(System.get_env(\"PORT\", \"4000\"))]",
            "http: Shop.http()",
        )],
    ),
    fault(
        "error loopback-interface",
        (RUNTIME, "127, 0, 0, 1"),
        &[(RUNTIME, "{0, 0, 0, 0, 0, 0, 0, 0}", "{127, 0, 0, 1}")],
        &[(RUNTIME, "{0, 0, 0, 0, 0, 0, 0, 0}", "{0, 0, 0, 0}")],
    ),
    fault(
        "warning https-listener",
        (RUNTIME, "https: [port"),
        &[(
            RUNTIME,
            "    secret_key_base:",
            "    https: [port: 443, keyfile: \"k.pem\"],\n    secret_key_base:",
        )],
        &[(
            "config/dev.exs",
            "http: [ip",
            "https: [port: 4001], http: [ip",
        )],
    ),
    fault(
        "warning websocket-timeout",
        (ENDPOINT, "timeout: 60_000"),
        &[(ENDPOINT, "45_000", "60_000")],
        &[(ENDPOINT, "45_000", "50_000")],
    ),
    fault(
        "note websocket-timeout",
        (ENDPOINT, "socket \"/live\""),
        &[(ENDPOINT, "timeout: 45_000, ", "")],
        &[(
            ENDPOINT,
            "[timeout: 45_000, connect_info: [session: @session_options]]",
            "false",
        )],
    ),
    fault(
        "error server-not-started",
        (ENDPOINT, "use Phoenix.Endpoint"),
        &[
            RELEASE,
            (
                "Procfile",
                "mix phx.server",
                "_build/prod/rel/shop/bin/shop start",
            ),
            (
                RUNTIME,
                "if System.get_env(\"PHX_SERVER\") do\n  config :shop, ShopWeb.Endpoint, server: true\nend\n",
                "",
            ),
        ],
        &[
            RELEASE,
            (
                "Procfile",
                "mix phx.server",
                "_build/prod/rel/shop/bin/shop start",
            ),
        ],
    ),
    fault(
        "error server-not-started",
        (ENDPOINT, "use Phoenix.Endpoint"),
        &[
            ("Procfile", "mix phx.server", "mix run --no-halt"),
            (
                RUNTIME,
                "if System.get_env(\"PHX_SERVER\") do\n  config :shop, ShopWeb.Endpoint, server: true\nend\n",
                "",
            ),
        ],
        &[
            ("Procfile", "mix phx.server", "mix run --no-halt"),
            (RUNTIME, "http: [ip", "server: true, http: [ip"),
        ],
    ),
    fault(
        "warning url-host",
        (RUNTIME, "host: \"example.com\""),
        &[(RUNTIME, "host: host", "host: \"example.com\"")],
        &[(RUNTIME, "host: host", "host: \"shop.example.org\"")],
    ),
    fault(
        "warning url-scheme",
        (RUNTIME, "url: [host: host"),
        &[
            (RUNTIME, "|| \"example.com\"", "|| \"shop.org\""),
            (RUNTIME, ", scheme: \"https\"", ""),
        ],
        &[(RUNTIME, "scheme: \"https\"", "scheme: Shop.scheme()")],
    ),
    fault(
        "error force-ssl-redirect-loop",
        (PROD, "force_ssl:"),
        &[(PROD, "    rewrite_on: [:x_forwarded_proto],\n", "")],
        &[(
            PROD,
            "rewrite_on: [:x_forwarded_proto]",
            "rewrite_on: [:x_forwarded_host, :x_forwarded_proto]",
        )],
    ),
    fault(
        "error force-ssl-redirect-loop",
        (ENDPOINT, "Plug.SSL"),
        &[(
            ENDPOINT,
            "  plug Plug.Session",
            "  plug Plug.SSL, hsts: true\n  plug Plug.Session",
        )],
        &[(
            ENDPOINT,
            "  plug Plug.Session",
            "  plug Plug.SSL, rewrite_on: [:x_forwarded_proto]\n  plug Plug.Session",
        )],
    ),
    fault(
        "error force-ssl-at-run-time",
        (RUNTIME, "force_ssl"),
        &[
            (
                RUNTIME,
                "    secret_key_base:",
                "    force_ssl: [rewrite_on: [:x_forwarded_proto]],\n    secret_key_base:",
            ),
            (
                PROD,
                ",\n  force_ssl: [\n    rewrite_on: [:x_forwarded_proto],\n    exclude: [hosts: [\"localhost\"]]\n  ]",
                "",
            ),
        ],
        &[],
    ),
    fault(
        "note force-ssl-missing",
        (ENDPOINT, "use Phoenix.Endpoint"),
        &[(
            PROD,
            ",\n  force_ssl: [\n    rewrite_on: [:x_forwarded_proto],\n    exclude: [hosts: [\"localhost\"]]\n  ]",
            "",
        )],
        &[],
    ),
    fault(
        "note check-origin-off",
        (PROD, "check_origin"),
        &[(PROD, "  force_ssl", "  check_origin: false,\n  force_ssl")],
        &[],
    ),
    fault(
        "warning check-origin-host",
        (RUNTIME, "check_origin"),
        &[
            (RUNTIME, "host: host", "host: \"shop.org\""),
            (
                RUNTIME,
                "    secret_key_base:",
                "    check_origin: [\"https://www.other.org\"],\n    secret_key_base:",
            ),
        ],
        &[
            (RUNTIME, "host: host", "host: \"shop.org\""),
            (
                RUNTIME,
                "    secret_key_base:",
                "    check_origin: [\"//*.shop.org\", \"//shop.org\"],\n    secret_key_base:",
            ),
        ],
    ),
];

const DATA: &[Fault] = &[
    fault(
        "error secret-in-file",
        (RUNTIME, "secret_key_base: \"0123"),
        &[(
            RUNTIME,
            "secret_key_base: secret_key_base",
            "secret_key_base: \"01234567890123456789012345678901\"",
        )],
        &[(
            "config/config.exs",
            "pubsub_server: Shop.PubSub",
            "pubsub_server: Shop.PubSub, secret_key_base: \"01234567890123456789012345678901\"",
        )],
    ),
    fault(
        "error secret-in-file",
        ("app.json", "SECRET_KEY_BASE"),
        &[(
            "app.json",
            "",
            "{\n  \"env\": {\n    \"SECRET_KEY_BASE\": \"01234567890123456789012345678901\"\n  }\n}",
        )],
        &[(
            "app.json",
            "",
            "{\n  \"env\": {\n    \"SECRET_KEY_BASE\": {\"generator\": \"secret\"}\n  }\n}",
        )],
    ),
    fault(
        "warning secret-missing",
        (ENDPOINT, "use Phoenix.Endpoint"),
        &[(RUNTIME, ",\n    secret_key_base: secret_key_base", "")],
        &[(
            RUNTIME,
            ",\n    secret_key_base: secret_key_base",
            "\n  for {k, v} <- Shop.secrets(), do: config(:shop, k, v)",
        )],
    ),
    fault(
        "error import-not-committed",
        ("config/config.exs", "prod.secret.exs"),
        &[(
            "config/config.exs",
            "import_config \"extra.exs\"",
            "import_config \"prod.secret.exs\"",
        )],
        &[(
            "config/config.exs",
            "import_config \"extra.exs\"",
            "if File.exists?(\"x\"), do: import_config(\"prod.secret.exs\")",
        )],
    ),
    fault(
        "error import-not-committed",
        ("config/config.exs", "extra.exs"),
        &[(".gitignore", "", "/config/extra.*\n")],
        &[(".gitignore", "", "/config/*.secret.exs\n")],
    ),
    fault(
        "note config-vars",
        (RUNTIME, "System.get_env(\"DATABASE_URL\")"),
        &[],
        &[
            (
                RUNTIME,
                "||\n      raise \"\"\"\n      environment variable DATABASE_URL is missing.\n      For example: ecto://USER:PASS@HOST/DATABASE\n      \"\"\"",
                "",
            ),
            (RUNTIME, " || raise \"SECRET_KEY_BASE is missing\"", ""),
        ],
    ),
    fault(
        "note config-not-read",
        (RUNTIME, "Shop.Config.load()"),
        &[(
            RUNTIME,
            "import Config\n",
            "import Config\nShop.Config.load()\n",
        )],
        &[(
            RUNTIME,
            "import Config\n",
            "import Config\nLogger.configure(level: :info)\n",
        )],
    ),
    fault(
        "error database-not-from-environment",
        (PROD, "hostname"),
        &[
            (RUNTIME, "    url: database_url,\n", ""),
            (
                PROD,
                "import Config\n",
                "import Config\nconfig :shop, Shop.Repo, hostname: \"localhost\"\n",
            ),
        ],
        &[(
            PROD,
            "import Config\n",
            "import Config\nconfig :shop, Shop.Repo, hostname: \"localhost\"\n",
        )],
    ),
    fault(
        "error database-not-from-environment",
        ("lib/shop/repo.ex", "use Ecto.Repo"),
        &[(RUNTIME, "    url: database_url,\n", "")],
        &[
            (RUNTIME, "    url: database_url,\n", ""),
            (
                "lib/shop/repo.ex",
                "\nend",
                "\n  def init(_, config), do: {:ok, Keyword.put(config, :url, url())}\nend",
            ),
        ],
    ),
    fault(
        "warning database-without-tls",
        (RUNTIME, "url: database_url"),
        &[(RUNTIME, "    ssl: [verify: :verify_none],\n", "")],
        &[(
            RUNTIME,
            "ssl: [verify: :verify_none]",
            "ssl: System.get_env(\"DB_SSL\") == \"true\"",
        )],
    ),
    fault(
        "note database-certificate",
        (RUNTIME, "ssl: true"),
        &[(RUNTIME, "ssl: [verify: :verify_none]", "ssl: true")],
        &[
            (RUNTIME, "ssl: [verify: :verify_none]", "ssl: true"),
            ("mix.lock", "0.21.1", "0.19.3"),
        ],
    ),
    fault(
        "note pool-size",
        (RUNTIME, "pool_size"),
        &[(RUNTIME, "\"10\"", "\"19\"")],
        &[(RUNTIME, "\"10\"", "\"18\"")],
    ),
    fault(
        "warning pool-size",
        (RUNTIME, "pool_size"),
        &[
            (
                RUNTIME,
                "String.to_integer(System.get_env(\"POOL_SIZE\") || \"10\")",
                "120",
            ),
            (
                "app.json",
                "",
                "{\"addons\": [\"heroku-postgresql:standard-0\"]}",
            ),
        ],
        &[
            (
                RUNTIME,
                "String.to_integer(System.get_env(\"POOL_SIZE\") || \"10\")",
                "118",
            ),
            (
                "app.json",
                "",
                "{\"addons\": [\"heroku-postgresql:standard-0\"]}",
            ),
        ],
    ),
    fault(
        "warning database-on-disk",
        ("lib/shop/repo.ex", "use Ecto.Repo"),
        &[(
            "lib/shop/repo.ex",
            "Ecto.Adapters.Postgres",
            "Ecto.Adapters.SQLite3",
        )],
        &[(
            "lib/shop/repo.ex",
            "Ecto.Adapters.Postgres",
            "Ecto.Adapters.MyXQL",
        )],
    ),
    fault(
        "note database-on-disk",
        (UPLOAD, ":dets"),
        &[(
            UPLOAD,
            "    File.cp!(path, dest)",
            "    :dets.open_file(:cache, type: :set)",
        )],
        &[(
            UPLOAD,
            "    File.cp!(path, dest)",
            "    # :dets.open_file(:cache, type: :set)",
        )],
    ),
    fault(
        "warning files-on-disk",
        (UPLOAD, "File.cp!"),
        &[(
            UPLOAD,
            "Path.join(System.tmp_dir!(), ",
            "Path.join([:code.priv_dir(:shop), \"static\", \"uploads\"], ",
        )],
        &[(
            UPLOAD,
            "def list, do:",
            "def data(dest), do: File.write!(dest, \"\")\n\n  def list, do:",
        )],
    ),
    fault(
        "warning files-on-disk",
        ("config/config.exs", "Waffle"),
        &[(
            "config/config.exs",
            "Waffle.Storage.S3",
            "Waffle.Storage.Local",
        )],
        &[(
            "config/dev.exs",
            "import Config\n",
            "import Config\nconfig :waffle, storage: Waffle.Storage.Local\n",
        )],
    ),
    fault(
        "warning compile-time-value",
        (UPLOAD, "@limit"),
        &[(
            UPLOAD,
            "@limit 10_000",
            "@limit System.get_env(\"UPLOAD_LIMIT\", \"1\") |> String.to_integer()",
        )],
        &[(
            UPLOAD,
            "@limit 10_000",
            "@limit System.get_env(\"SOURCE_VERSION\")",
        )],
    ),
    fault(
        "warning compile-time-value",
        (PROD, "API_KEY"),
        &[
            RELEASE,
            (
                PROD,
                "import Config\n",
                "import Config\nconfig :shop, api_key: System.get_env(\"API_KEY\")\n",
            ),
        ],
        &[(
            PROD,
            "import Config\n",
            "import Config\nconfig :shop, api_key: System.get_env(\"API_KEY\")\n",
        )],
    ),
    fault(
        "warning cluster",
        (PROD, "topologies"),
        &[(
            PROD,
            "import Config\n",
            "import Config\nconfig :libcluster, topologies: [k8s: [strategy: Cluster.Strategy.Gossip]]\n",
        )],
        &[(
            "config/dev.exs",
            "import Config\n",
            "import Config\nconfig :libcluster, topologies: [k8s: [strategy: Cluster.Strategy.Gossip]]\n",
        )],
    ),
];

const REPOSITORY: &[Fault] = &[
    fault(
        "warning lockfile-missing",
        ("mix.lock", "%{"),
        &[(".gitignore", "", "mix.lock\n")],
        &[(".gitignore", "", "/_build/\n*.ez\n")],
    ),
    fault(
        "error lockfile-out-of-step",
        ("mix.exs", "{:jason"),
        &[(
            "mix.exs",
            "      {:phoenix,",
            "      {:jason, \"~> 1.2\"},\n      {:phoenix,",
        )],
        &[(
            "mix.exs",
            "      {:phoenix,",
            "      {:jason, \"~> 1.2\", only: [:dev, :test]},\n      {:phoenix,",
        )],
    ),
    fault(
        "error lockfile-out-of-step",
        ("mix.exs", "{:phoenix,"),
        &[("mix.exs", "~> 1.8.1", "~> 1.7.0")],
        &[("mix.exs", "~> 1.8.1", "~> 1.7 or ~> 1.8.0-rc.0")],
    ),
    fault(
        "error lockfile-out-of-step",
        ("mix.lock", "<<<<<<<"),
        &[("mix.lock", "%{\n", "%{\n<<<<<<< HEAD\n")],
        &[],
    ),
    fault(
        "error path-dependency",
        ("mix.exs", "{:core"),
        &[(
            "mix.exs",
            "      {:phoenix,",
            "      {:core, path: \"../core\"},\n      {:phoenix,",
        )],
        &[
            (
                "mix.exs",
                "      {:phoenix,",
                "      {:core, path: \"core\"},\n      {:phoenix,",
            ),
            ("core/mix.exs", "", "[app: :core]"),
        ],
    ),
    fault(
        "error git-dependency",
        ("mix.lock", "heroicons"),
        &[("mix.lock", "https://example.com", "git://example.com")],
        &[],
    ),
    fault(
        "note git-dependency",
        ("mix.lock", "heroicons"),
        &[("mix.lock", "https://example.com/", "git@example.com:")],
        &[
            ("mix.lock", "https://example.com/", "git@example.com:"),
            ("mix.exs", "app: false, compile", "only: :dev, compile"),
        ],
    ),
    fault(
        "note private-package",
        ("mix.lock", "postgrex"),
        &[(
            "mix.lock",
            "\"0.21.1\", \"aa\", [:mix], [], \"hexpm\"",
            "\"0.21.1\", \"aa\", [:mix], [], \"hexpm:acme\"",
        )],
        &[],
    ),
    fault(
        "note git-submodule",
        (".gitmodules", "url"),
        &[(
            ".gitmodules",
            "",
            "[submodule \"x\"]\n  path = x\n  url = https://example.com/x\n",
        )],
        &[],
    ),
    fault(
        "note native-program",
        ("mix.lock", "chromic_pdf"),
        &[(
            "mix.lock",
            "%{\n",
            "%{\n  \"chromic_pdf\": {:hex, :chromic_pdf, \"1.17.0\", \"aa\", [:mix], [], \"hexpm\", \"bb\"},\n",
        )],
        &[
            (
                "mix.lock",
                "%{\n",
                "%{\n  \"chromic_pdf\": {:hex, :chromic_pdf, \"1.17.0\", \"aa\", [:mix], [], \"hexpm\", \"bb\"},\n",
            ),
            (
                ".buildpacks",
                "",
                "https://github.com/heroku/heroku-buildpack-chrome-for-testing\n",
            ),
        ],
    ),
    fault(
        "warning native-program",
        ("native/fast/Cargo.toml", "[package]"),
        &[
            (
                "mix.lock",
                "%{\n",
                "%{\n  \"rustler\": {:hex, :rustler, \"0.36.2\", \"aa\", [:mix], [], \"hexpm\", \"bb\"},\n",
            ),
            ("native/fast/Cargo.toml", "", "[package]\n"),
        ],
        &[("native/fast/Cargo.toml", "", "[package]\n")],
    ),
    fault(
        "warning native-compiler",
        ("mix.exs", "elixir_make"),
        &[(
            "mix.exs",
            "deps: deps()",
            "deps: deps(), compilers: [:elixir_make] ++ Mix.compilers()",
        )],
        &[
            (
                "mix.exs",
                "deps: deps()",
                "deps: deps(), compilers: [:elixir_make] ++ Mix.compilers()",
            ),
            RELEASE,
        ],
    ),
    fault(
        "warning procfile-name",
        ("procfile", "web"),
        &[
            ("Procfile", "", ""),
            ("procfile", "", "web: mix phx.server\n"),
        ],
        &[("procfile", "", "web: mix phx.server\n")],
    ),
    fault(
        "warning procfile-line",
        ("Procfile", "worker mix"),
        &[("Procfile", "web:", "worker mix run\nweb:")],
        &[("Procfile", "web:", "# worker mix run\n\nweb:")],
    ),
    fault(
        "note procfile-without-web",
        ("Procfile", "release"),
        &[("Procfile", "web: mix phx.server\n", "")],
        &[],
    ),
    fault(
        "error procfile-command",
        ("Procfile", "bin/start"),
        &[("Procfile", "mix phx.server", "bin/start --port $PORT")],
        &[
            ("Procfile", "mix phx.server", "bin/start --port $PORT"),
            ("bin/start", "", "#!/bin/sh\n"),
        ],
    ),
    fault(
        "error procfile-command",
        ("Procfile", "/rel/shop"),
        &[(
            "Procfile",
            "mix phx.server",
            "_build/prod/rel/shop/bin/shop start",
        )],
        &[
            (
                "Procfile",
                "mix phx.server",
                "_build/prod/rel/shop/bin/shop start",
            ),
            RELEASE,
        ],
    ),
    fault(
        "error procfile-command",
        ("Procfile", "bin/migrate"),
        &[
            RELEASE,
            (
                "Procfile",
                "POOL_SIZE=2 mix ecto.migrate",
                "_build/prod/rel/shop/bin/migrate",
            ),
        ],
        &[
            RELEASE,
            (
                "Procfile",
                "POOL_SIZE=2 mix ecto.migrate",
                "_build/prod/rel/shop/bin/migrate",
            ),
            ("rel/overlays/bin/migrate", "", "#!/bin/sh\n"),
        ],
    ),
    fault(
        "error procfile-command",
        ("Procfile", "phoenix.server"),
        &[("Procfile", "phx.server", "phoenix.server")],
        &[
            ("Procfile", "phx.server", "phoenix.server"),
            ("mix.lock", "\"1.8.1\"", "\"1.3.4\""),
        ],
    ),
    fault(
        "note migrations",
        ("Procfile", "web"),
        &[("Procfile", "release: POOL_SIZE=2 mix ecto.migrate\n", "")],
        &[
            ("Procfile", "POOL_SIZE=2 mix ecto.migrate", "bin/rails"),
            ("bin/rails", "", "#!/bin/sh\n"),
        ],
    ),
    fault(
        "warning migrations",
        ("Procfile", "ecto.create"),
        &[(
            "Procfile",
            "mix ecto.migrate",
            "mix do ecto.create, ecto.migrate",
        )],
        &[],
    ),
    fault(
        "error app-json",
        ("app.json", "oops"),
        &[("app.json", "", "{\n  \"name\": \"shop\",\n  oops\n}")],
        &[("app.json", "", "{\n  \"name\": \"shop\"\n}")],
    ),
    fault(
        "error dead-stack",
        ("app.json", "stack"),
        &[("app.json", "", "{\n  \"stack\": \"heroku-20\"\n}")],
        &[("app.json", "", "{\n  \"stack\": \"heroku-24\"\n}")],
    ),
    fault(
        "warning dead-plan",
        ("app.json", "hobby-dev"),
        &[(
            "app.json",
            "",
            "{\n  \"addons\": [\n    {\"plan\": \"heroku-postgresql:hobby-dev\"}\n  ]\n}",
        )],
        &[(
            "app.json",
            "",
            "{\n  \"addons\": [\n    {\"plan\": \"heroku-postgresql\"}\n  ]\n}",
        )],
    ),
    fault(
        "warning dead-plan",
        ("app.json", "size"),
        &[(
            "app.json",
            "",
            "{\n  \"formation\": {\n    \"web\": {\"size\": \"free\"}\n  }\n}",
        )],
        &[(
            "app.json",
            "",
            "{\n  \"formation\": {\n    \"web\": {\"size\": \"standard-1x\"}\n  }\n}",
        )],
    ),
    fault(
        "warning old-buildpack",
        (".buildpacks", "phoenix-static"),
        &[(
            ".buildpacks",
            "",
            "https://github.com/heroku/heroku-buildpack-nodejs\nhttps://github.com/gjaldon/heroku-buildpack-phoenix-static.git\n",
        )],
        &[(
            ".buildpacks",
            "",
            "https://github.com/heroku/heroku-buildpack-nodejs\nhttps://example.com/owner/mixpack.git\n",
        )],
    ),
    fault(
        "warning old-buildpack",
        ("app.json", "hashnuke"),
        &[(
            "app.json",
            "",
            "{\n  \"buildpacks\": [\n    {\"url\": \"hashnuke/elixir\"}\n  ]\n}",
        )],
        &[(
            "app.json",
            "",
            "{\n  \"buildpacks\": [\n    {\"url\": \"heroku/nodejs\"}\n  ]\n}",
        )],
    ),
    fault(
        "note config-needs-bash",
        (BUILDPACK, "$(cat"),
        &[(
            BUILDPACK,
            "elixir_version=1.18.4",
            "elixir_version=$(cat .elixir)",
        )],
        &[],
    ),
    fault(
        "note version-not-pinned",
        (BUILDPACK, "elixir_version"),
        &[(BUILDPACK, "27.3.4", "27")],
        &[],
    ),
    fault(
        "warning plan-warning",
        ("mix.exs", "defmodule"),
        &[(
            "phoenix_static_buildpack.config",
            "",
            "compile=no_such_script\n",
        )],
        &[],
    ),
];

fn changed(edits: &[(&str, &str, &str)]) -> Repository {
    let mut repository = shop();
    for (path, from, to) in edits {
        repository = match (*from, *to) {
            ("", "") => repository.remove(path),
            ("", text) => repository.files(&[(path, text)]),
            (from, to) => repository.edit(path, from, to),
        };
    }
    repository
}

fn all() -> impl Iterator<Item = &'static Fault> {
    ENDPOINTS.iter().chain(DATA).chain(REPOSITORY)
}

#[test]
fn each_fault_is_found_in_its_line_and_its_twin_has_none() {
    let mut wrong = Vec::new();
    for fault in all() {
        let repository = changed(fault.edits);
        let (file, text) = fault.at;
        let expected = format!(
            "{} {file}:{}",
            fault.finding,
            repository.line_of(file, text)
        );
        let found = repository.codes();
        if !found.contains(&expected) {
            wrong.push(format!("expected {expected}, found {found:#?}"));
        }
        if fault.finding == "note config-vars" && fault.twin.is_empty() {
            continue;
        }
        let (_, code) = fault.finding.split_once(' ').unwrap();
        let of_twin = changed(fault.twin).codes();
        let is_same =
            |line: &&String| line.starts_with(fault.finding) && line.contains(&format!("{code} "));
        if let Some(found) = of_twin.iter().find(is_same) {
            wrong.push(format!("the twin of {expected} has {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Findings that need more than files.
const ELSEWHERE: [&str; 3] = ["config-var-missing", "end-of-life", "env-file-committed"];

#[test]
fn every_rule_has_a_fault() {
    let faults = all().map(|fault| fault.finding.split_once(' ').unwrap().1);
    let covered: BTreeSet<&str> = faults.chain(ELSEWHERE).collect();
    let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(covered, codes);
}

#[test]
fn config_vars_turn_notes_into_facts() {
    let of = |repository: Repository, vars: &[(&str, &str)]| {
        let found = repository.config_vars(vars).codes();
        found.join("\n")
    };
    let without = |name: &str| -> Vec<(&str, &str)> {
        VARS.into_iter()
            .filter(|(known, _)| *known != name)
            .collect()
    };
    assert_eq!(
        of(shop(), &without("SECRET_KEY_BASE")),
        "error config-var-missing config/runtime.exs:26"
    );
    assert_eq!(
        of(shop(), &without("PHX_HOST")),
        "warning url-host config/runtime.exs:30"
    );
    let ssl = |text: &str| shop().edit(RUNTIME, "    ssl: [verify: :verify_none],\n", text);
    assert_eq!(
        of(ssl(""), &VARS),
        "error database-without-tls config/runtime.exs:21"
    );
    assert_eq!(
        of(ssl("    ssl: true,\n"), &VARS),
        "error database-certificate config/runtime.exs:21"
    );
    let elsewhere = [
        VARS[1],
        VARS[2],
        ("DATABASE_URL", "postgres://u:p@db.internal/d"),
    ];
    assert_eq!(of(ssl(""), &elsewhere), "");
    let small = [&VARS[..], &[("POOL_SIZE", "40")]].concat();
    assert_eq!(of(shop(), &small), "note pool-size config/runtime.exs:23");
    let private = || shop().edit("mix.lock", "https://example.com/", "git@example.com:");
    assert_eq!(of(private(), &VARS), "error git-dependency mix.lock:3");
    let key = [&VARS[..], &[("GIT_SSH_KEY", "k")]].concat();
    assert_eq!(of(private(), &key), "");
    let cluster = [&VARS[..], &[("DNS_CLUSTER_QUERY", "shop.internal")]].concat();
    let clustered = || {
        shop().edit(PROD, "import Config\n", "import Config\nconfig :shop, :dns_cluster_query, System.get_env(\"DNS_CLUSTER_QUERY\")\n")
    };
    assert_eq!(
        of(clustered(), &cluster),
        "warning cluster config/prod.exs:2"
    );
    assert_eq!(of(clustered(), &VARS), "");
}
