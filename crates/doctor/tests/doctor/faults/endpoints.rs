//! Faults of endpoints.

use super::{ENDPOINT, Fault, PROD, RELEASE, RUNTIME, fault};

pub(super) const FAULTS: &[Fault] = &[
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
            (RUNTIME, "host: host", "host: \"shop.org/\""),
            (
                RUNTIME,
                "    secret_key_base:",
                "    check_origin: [\"//*.shop.org\", \"//shop.org\"],\n    secret_key_base:",
            ),
        ],
    ),
];
