//! The parts of the app's code that matter at run time: endpoints, repositories, and writes to the disk.

use crate::elixir::tree::{Node, call, items, parse, visit_blocks};
use crate::elixir::value::{Pair, Scope, Value, assignment, evaluate, keywords};
use app::facts::{Facts, join};
use app::text_file;
use std::path::Path;
use walkdir::WalkDir;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) app: String,
    pub(crate) module: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    /// Whether the module sets the port when it starts: in `init/2`, or in the `on_init` function of apps from
    /// Phoenix 1.3.
    pub(crate) reads_port: bool,
}

impl Endpoint {
    pub(crate) fn at(&self) -> (&str, u32) {
        (&self.file, self.line)
    }
}

#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) app: String,
    pub(crate) module: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) adapter: Option<String>,
    /// Whether there is an `init/2`, which may set anything when the app starts.
    pub(crate) has_init: bool,
}

/// A `socket` of an endpoint.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) path: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    /// The options of its websocket; `None` if it has none or they can't be read.
    pub(crate) websocket: Option<Vec<Pair>>,
    /// Whether this is a `transport :websocket` in the socket's module, as up to Phoenix 1.3. If so, `path` is the
    /// module.
    pub(crate) is_transport: bool,
}

/// A place in the code, with a name that the message quotes.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) what: String,
}

#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) repos: Vec<Repo>,
    pub(crate) sockets: Vec<Socket>,
    /// `plug Plug.SSL` with its options.
    pub(crate) ssl_plugs: Vec<(Use, Option<Vec<Pair>>)>,
    /// Module attributes that read an environment variable.
    pub(crate) compile_time: Vec<Use>,
    /// Files written below the app's directory.
    pub(crate) written: Vec<Use>,
    /// `:dets` and `:mnesia` on the disk.
    pub(crate) databases: Vec<Use>,
    /// Whether the app migrates its database when it starts.
    pub(crate) migrates: bool,
    /// Files that can't be read.
    pub(crate) unread: Vec<(String, u32)>,
}

/// The maximum size of a file, in bytes. Larger files are generated.
const MAX_SIZE: u64 = 1 << 20;

/// A file without any of these words is skipped.
const WORDS: [&str; 9] = [
    "Phoenix.Endpoint",
    "transport :websocket",
    "Ecto.Repo",
    "Plug.SSL",
    "System.get_env",
    "System.fetch_env",
    "File.",
    ":dets.",
    "disc_copies",
];

/// Returns the projects that the build deploys: the app itself, and the children of an umbrella.
pub(crate) fn deployed_dirs(facts: &Facts) -> Vec<String> {
    let app = &facts.app_dir.value;
    let children = facts.root().apps_path.as_ref().map(|apps| join(app, apps));
    let dirs = facts.projects.iter().map(|project| project.dir.clone());
    dirs.filter(|dir| {
        let parent = dir.rsplit_once('/').map_or(".", |(parent, _)| parent);
        dir == app || children.as_deref() == Some(parent)
    })
    .collect()
}

impl Sources {
    pub(crate) fn read(top: &Path, facts: &Facts) -> Self {
        let mut sources = Self::default();
        for dir in deployed_dirs(facts) {
            for code in ["lib", "web"] {
                let dir = join(&dir, code);
                let files = WalkDir::new(top.join(&dir)).sort_by_file_name();
                for entry in files.into_iter().filter_map(Result::ok) {
                    let is_code = entry.path().extension().is_some_and(|name| name == "ex");
                    let is_small = entry.metadata().is_ok_and(|found| found.len() < MAX_SIZE);
                    if let (true, true, Ok(path)) =
                        (is_code, is_small, entry.path().strip_prefix(top))
                    {
                        let path = path.to_string_lossy();
                        // Mix tasks only run in development or builds.
                        if entry.file_type().is_file() && !path.contains("/tasks/") {
                            sources.file(top, &path);
                        }
                    }
                }
            }
        }
        sources
    }

    fn file(&mut self, top: &Path, path: &str) {
        let Ok(text) = text_file::read(&top.join(path)) else {
            return;
        };
        self.migrates |= text.contains("{Ecto.Migrator");
        if !WORDS.iter().any(|word| text.contains(word)) {
            return;
        }
        let nodes = match parse(&text) {
            Ok(nodes) => nodes,
            Err(line) => {
                self.unread.push((path.to_owned(), line));
                return;
            }
        };
        let known_endpoints = self.endpoints.len();
        // The values of variables in the current function.
        let mut bindings: Bindings = Vec::new();
        visit_blocks(&nodes, &mut |block| {
            if block.is_body {
                bindings.clear();
            }
            let defines_init = |statement: &&[Node]| {
                let args = call(statement, "def").unwrap_or_default();
                args.first()
                    .is_some_and(|arg| arg[0].name() == Some("init"))
            };
            let has_init = block.statements.iter().any(defines_init);
            for statement in &block.statements {
                if let Some((name, value)) = assignment(statement) {
                    bindings.push((name.to_owned(), value.to_vec()));
                }
                self.statement(path, block.module, statement, has_init);
                self.writes(path, statement, &bindings);
            }
        });
        for endpoint in &mut self.endpoints[known_endpoints..] {
            endpoint.reads_port = text.contains("\"PORT\"");
        }
    }

    fn statement(&mut self, path: &str, module: &str, statement: &[Node], has_init: bool) {
        let line = statement[0].line();
        let file = || path.to_owned();
        if let Some(args) = call(statement, "use")
            && let Some(used) = args.first().and_then(|arg| arg.first()?.alias())
        {
            let options = keywords(&args[1..], &Scope::default()).unwrap_or_default();
            let option = |key: &str| options.iter().find(|pair| pair.key == key);
            let Some(Value::Atom(app)) = option("otp_app").map(|pair| &pair.value) else {
                return;
            };
            let (app, module) = (app.clone(), module.to_owned());
            match used {
                "Phoenix.Endpoint" => self.endpoints.push(Endpoint {
                    app,
                    module,
                    file: file(),
                    line,
                    reads_port: false,
                }),
                "Ecto.Repo" => self.repos.push(Repo {
                    app,
                    module,
                    file: file(),
                    line,
                    adapter: match option("adapter").map(|pair| &pair.value) {
                        Some(Value::Module(adapter)) => Some(adapter.clone()),
                        _ => None,
                    },
                    has_init,
                }),
                _ => {}
            }
        } else if let Some(args) = call(statement, "socket") {
            self.socket(path, line, &args);
        } else if let Some(args) = call(statement, "transport")
            && args
                .first()
                .is_some_and(|arg| arg[0].atom() == Some("websocket"))
        {
            self.sockets.push(Socket {
                path: module.to_owned(),
                file: file(),
                line,
                websocket: keywords(args.get(2..).unwrap_or_default(), &Scope::default()),
                is_transport: true,
            });
        } else if let Some(args) = call(statement, "plug")
            && args
                .first()
                .is_some_and(|arg| arg[0].alias() == Some("Plug.SSL"))
        {
            let what = Use {
                file: file(),
                line,
                what: "plug Plug.SSL".to_owned(),
            };
            self.ssl_plugs
                .push((what, keywords(&args[1..], &Scope::default())));
        } else if let [at, name, value @ ..] = statement
            && at.is_op("@")
            && let (Some(name), Value::Env(var)) = (name.name(), evaluate(value, &Scope::default()))
        {
            self.compile_time.push(Use {
                file: file(),
                line,
                what: format!("@{name} {}", var.name),
            });
        }
    }

    fn socket(&mut self, path: &str, line: u32, args: &[&[Node]]) {
        let Some(name) = args.first().and_then(|arg| arg.first()?.text()) else {
            return;
        };
        // The socket that reloads pages only exists in development.
        if name.contains("live_reload") {
            return;
        }
        let options = keywords(args.get(2..).unwrap_or_default(), &Scope::default());
        let websocket = options.and_then(|options| {
            let websocket = options.into_iter().find(|pair| pair.key == "websocket");
            match websocket.map(|pair| pair.value) {
                None => Some(Vec::new()),
                Some(Value::Keyword(options)) => Some(options),
                Some(value) if value.is_atom("true") => Some(Vec::new()),
                Some(Value::Items(items)) if items.is_empty() => Some(Vec::new()),
                _ => None,
            }
        });
        self.sockets.push(Socket {
            path: name.to_owned(),
            file: path.to_owned(),
            line,
            websocket,
            is_transport: false,
        });
    }

    /// Finds calls that write files below the app, and databases on the disk.
    fn writes(&mut self, path: &str, nodes: &[Node], bindings: &Bindings) {
        for (at, node) in nodes.iter().enumerate() {
            if let Node::Group(group) = node
                && !"df".contains(group.open)
            {
                self.writes(path, &group.nodes, bindings);
            }
            let [dot, function, args, ..] = nodes.get(at + 1..).unwrap_or_default() else {
                continue;
            };
            let (true, Some(function), Some(args)) =
                (dot.is_op("."), function.name(), args.group('('))
            else {
                continue;
            };
            let args: Vec<&[Node]> = items(args).collect();
            let target = match (node.alias(), function.trim_end_matches('!')) {
                (Some("File"), "cp" | "cp_r" | "rename" | "copy") => args.get(1),
                (Some("File"), "write" | "mkdir_p" | "stream") => args.first(),
                _ => None,
            };
            let what = || format!("File.{function}");
            let found = Use {
                file: path.to_owned(),
                line: node.line(),
                what: what(),
            };
            if target.is_some_and(|target| is_in_app(target, bindings, 3)) {
                // A stream may only be read.
                if !function.starts_with("stream") {
                    self.written.push(found);
                }
            } else if node.atom() == Some("dets") && function == "open_file" {
                self.databases.push(Use {
                    what: ":dets.open_file".to_owned(),
                    ..found
                });
            }
        }
        if nodes.iter().any(|node| node.key() == Some("disc_copies")) {
            self.databases.push(Use {
                file: path.to_owned(),
                line: nodes[0].line(),
                what: "disc_copies of Mnesia".to_owned(),
            });
        }
    }
}

/// Variables of a function, with the code of their values.
type Bindings = Vec<(String, Vec<Node>)>;

/// Whether a path is certainly in the app's directory.
fn is_in_app(path: &[Node], bindings: &Bindings, depth: u32) -> bool {
    let is_inside = |text: &str| {
        let text = text.trim_start_matches("./");
        text.starts_with("priv/") || text.starts_with("uploads/")
    };
    path.iter().any(|node| match (node, node.name()) {
        (Node::Group(group), _) => is_in_app(&group.nodes, bindings, depth),
        (_, Some("priv_dir" | "app_dir")) => true,
        (_, Some(name)) if depth > 0 => {
            let bound = bindings.iter().rev().find(|(known, _)| known == name);
            bound.is_some_and(|(_, bound)| is_in_app(bound, bindings, depth - 1))
        }
        (node, _) => node.text().is_some_and(is_inside),
    })
}
