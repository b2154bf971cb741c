//! Faults of secrets, the database and the code.

use super::{ENDPOINT, Fault, PROD, RELEASE, RUNTIME, UPLOAD, fault};

pub(super) const FAULTS: &[Fault] = &[
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
