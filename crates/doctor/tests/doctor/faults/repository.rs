//! Faults of dependencies, processes and the files of platforms.

use super::{BUILDPACK, Fault, RELEASE, fault};

pub(super) const FAULTS: &[Fault] = &[
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
        "note migrations",
        ("elixir_buildpack.config", "post_compile"),
        &[
            ("Procfile", "release: POOL_SIZE=2 mix ecto.migrate\n", ""),
            (
                "elixir_buildpack.config",
                "",
                "post_compile=\"mix ecto.migrate\"\n",
            ),
        ],
        &[(
            "elixir_buildpack.config",
            "",
            "post_compile=\"mix phx.digest.clean\"\n",
        )],
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
        (BUILDPACK, "erlang_version"),
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
