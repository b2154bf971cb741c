//! A small app without faults, with everything that the rules check.

use crate::Repository;

const FILES: [(&str, &str); 13] = [
    (
        "mix.exs",
        r#"defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [app: :shop, version: "0.1.0", elixir: "~> 1.18", deps: deps(), aliases: ["assets.deploy": ["phx.digest"]]]
  end

  defp deps do
    [
      {:phoenix, "~> 1.8.1"},
      {:ecto_sql, "~> 3.13"},
      {:postgrex, ">= 0.0.0"},
      {:phoenix_live_reload, "~> 1.2", only: :dev},
      {:heroicons, github: "icons/heroicons", tag: "v2.2.0", app: false, compile: false}
    ]
  end
end
"#,
    ),
    (
        "mix.lock",
        r#"%{
  "ecto_sql": {:hex, :ecto_sql, "3.13.2", "aa", [:mix], [], "hexpm", "bb"},
  "heroicons": {:git, "https://example.com/icons/heroicons.git", "0435d4ca364a608cc75e2f8683d374e55abbae26", [tag: "v2.2.0"]},
  "phoenix": {:hex, :phoenix, "1.8.1", "aa", [:mix], [], "hexpm", "bb"},
  "postgrex": {:hex, :postgrex, "0.21.1", "aa", [:mix], [], "hexpm", "bb"},
}
"#,
    ),
    (
        "config/config.exs",
        r##"import Config

config :shop, ecto_repos: [Shop.Repo]

config :shop, ShopWeb.Endpoint,
  url: [host: "localhost"],
  pubsub_server: Shop.PubSub

config :waffle, storage: Waffle.Storage.S3

import_config "extra.exs"
import_config "#{config_env()}.exs"
"##,
    ),
    ("config/extra.exs", "import Config\n"),
    (
        "config/dev.exs",
        "import Config\nconfig :shop, ShopWeb.Endpoint, http: [ip: {127, 0, 0, 1}, port: 4000], check_origin: false\n",
    ),
    (
        "config/prod.exs",
        r#"import Config

config :shop, ShopWeb.Endpoint,
  cache_static_manifest: "priv/static/cache_manifest.json",
  force_ssl: [
    rewrite_on: [:x_forwarded_proto],
    exclude: [hosts: ["localhost"]]
  ]
"#,
    ),
    (
        "config/runtime.exs",
        r#"import Config

if System.get_env("PHX_SERVER") do
  config :shop, ShopWeb.Endpoint, server: true
end

config :shop, ShopWeb.Endpoint,
  http: [port: String.to_integer(System.get_env("PORT", "4000"))]

if config_env() == :prod do
  database_url =
    System.get_env("DATABASE_URL") ||
      raise """
      environment variable DATABASE_URL is missing.
      For example: ecto://USER:PASS@HOST/DATABASE
      """

  maybe_ipv6 = if System.get_env("ECTO_IPV6") in ~w(true 1), do: [:inet6], else: []

  config :shop, Shop.Repo,
    ssl: [verify: :verify_none],
    url: database_url,
    pool_size: String.to_integer(System.get_env("POOL_SIZE") || "10"),
    socket_options: maybe_ipv6

  secret_key_base = System.get_env("SECRET_KEY_BASE") || raise "SECRET_KEY_BASE is missing"
  host = System.get_env("PHX_HOST") || "example.com"

  config :shop, ShopWeb.Endpoint,
    url: [host: host, port: 443, scheme: "https"],
    http: [ip: {0, 0, 0, 0, 0, 0, 0, 0}],
    secret_key_base: secret_key_base
end
"#,
    ),
    (
        "lib/shop/repo.ex",
        "defmodule Shop.Repo do\n  use Ecto.Repo,\n    otp_app: :shop,\n    adapter: Ecto.Adapters.Postgres\nend\n",
    ),
    (
        "lib/shop/upload.ex",
        r#"defmodule Shop.Upload do
  @limit 10_000

  def store(path) do
    dest = Path.join(System.tmp_dir!(), Path.basename(path))
    File.cp!(path, dest)
  end

  def list, do: File.ls!(Application.app_dir(:shop, "priv/data"))
end
"#,
    ),
    (
        "lib/shop_web/endpoint.ex",
        r#"defmodule ShopWeb.Endpoint do
  use Phoenix.Endpoint, otp_app: :shop

  @session_options [store: :cookie, key: "_shop_key", signing_salt: "abc"]

  socket "/live", Phoenix.LiveView.Socket,
    websocket: [timeout: 45_000, connect_info: [session: @session_options]],
    longpoll: [connect_info: [session: @session_options]]

  if code_reloading? do
    socket "/phoenix/live_reload/socket", Phoenix.LiveReloader.Socket
  end

  plug Plug.Session, @session_options
  plug ShopWeb.Router
end
"#,
    ),
    ("priv/repo/migrations/1_create.exs", ""),
    (
        "Procfile",
        "release: POOL_SIZE=2 mix ecto.migrate\nweb: mix phx.server\n",
    ),
    (
        "elixir_buildpack.config",
        "elixir_version=1.18.4\nerlang_version=27.3.4\n",
    ),
];

/// The config vars that it needs.
pub(crate) const VARS: [(&str, &str); 3] = [
    (
        "DATABASE_URL",
        "postgres://u:p@ec2-1.compute-1.amazonaws.com:5432/d",
    ),
    (
        "SECRET_KEY_BASE",
        "0123456789012345678901234567890123456789012345678901234567890123",
    ),
    ("PHX_HOST", "shop.example.org"),
];

pub(crate) fn shop() -> Repository {
    Repository::new(&FILES)
}

#[test]
fn app_as_it_should_be_has_no_finding_once_its_config_vars_are_known() {
    assert_eq!(shop().config_vars(&VARS).codes(), Vec::<String>::new());
    assert_eq!(
        shop().codes(),
        [
            "note config-vars config/runtime.exs:12",
            "note url-host config/runtime.exs:30"
        ]
    );
}
