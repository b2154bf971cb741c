//! The configuration of the environment to build: the settings in `config/*.exs`, read without running them.

use crate::elixir::tokens::Kind;
use crate::elixir::tree::{Node, block, call, parse, statements};
use crate::elixir::value::{
    Pair, Scope, Value, assignment, clauses, contains, evaluate, keywords, truth,
};
use crate::paths::{expanded, normalized};
use app::facts::join;
use app::text_file;
use std::path::Path;

/// When a file is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the app is compiled; also when mix starts the app, but not when a release starts.
    Compile,
    /// When the app starts.
    Runtime,
}

/// One `config` statement.
#[derive(Debug)]
struct Entry {
    app: String,
    settings: Vec<Pair>,
    file: usize,
    phase: Phase,
    /// Whether it has no enclosing condition that can't be evaluated.
    is_certain: bool,
}

/// An `import_config` of a file that doesn't exist.
#[derive(Debug)]
pub(crate) struct MissingImport {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) path: String,
}

/// A setting that a compile-time file reads from the environment.
#[derive(Debug)]
pub(crate) struct CompileTime {
    app: String,
    path: Vec<String>,
    pub(crate) variable: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The files that were read.
    pub(crate) files: Vec<String>,
    entries: Vec<Entry>,
    pub(crate) missing: Vec<MissingImport>,
    /// Each import that was followed: the place, and the file.
    pub(crate) imports: Vec<(String, u32, String)>,
    /// Places with settings that can't be read.
    pub(crate) unread: Vec<(String, u32)>,
    /// Whether a file can't be read, or calls other code, which may change anything.
    pub(crate) is_opaque: bool,
    /// Required environment variables, with the place of their first use.
    pub(crate) required: Vec<(String, String, u32)>,
    /// The settings that compile-time files read from the environment.
    compile_time: Vec<CompileTime>,
    /// Whether any file mentions `PHX_SERVER`.
    pub(crate) mentions_phx_server: bool,
}

/// A setting in effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set<'a> {
    pub(crate) value: &'a Value,
    pub(crate) file: &'a str,
    pub(crate) line: u32,
    pub(crate) phase: Phase,
}

impl<'a> Set<'a> {
    pub(crate) fn at(&self) -> (&'a str, u32) {
        (self.file, self.line)
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Lookup<'a> {
    Missing,
    Set(Set<'a>),
    /// Code that can't be read may set it.
    Uncertain,
}

impl<'a> Lookup<'a> {
    pub(crate) fn set(self) -> Option<Set<'a>> {
        match self {
            Self::Set(set) => Some(set),
            _ => None,
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }
}

/// The maximum depth of imports. Only a file that imports itself exceeds it.
const MAX_DEPTH: u32 = 8;

impl Config {
    /// Reads the configuration of the app in a directory of the repository.
    pub(crate) fn read(top: &Path, app_dir: &str, mix_env: &str, release: bool) -> Self {
        let mut config = Self::default();
        let scope = Scope::of(mix_env);
        let mut file = |name: &str, phase, is_certain| {
            let path = join(app_dir, name);
            if top.join(&path).is_file() {
                let mut reader = Reader {
                    top,
                    phase,
                    config: &mut config,
                };
                reader.file(&path, &scope, is_certain, 0);
            }
        };
        file("config/config.exs", Phase::Compile, true);
        // Only a release reads this file, and the processes may not start the release.
        file("config/releases.exs", Phase::Runtime, release);
        file("config/runtime.exs", Phase::Runtime, true);
        config
    }

    /// Looks up a setting by its path: `["HelloWeb.Endpoint", "http", "port"]`.
    pub(crate) fn get(&self, app: &str, path: &[&str]) -> Lookup<'_> {
        if self.is_opaque {
            return Lookup::Uncertain;
        }
        let mut found = Lookup::Missing;
        for entry in self.entries.iter().filter(|entry| entry.app == app) {
            match descend(&entry.settings, path) {
                Descent::Absent => {}
                Descent::Found(_) | Descent::Opaque if !entry.is_certain => {
                    found = Lookup::Uncertain;
                }
                Descent::Opaque => found = Lookup::Uncertain,
                Descent::Replaced => found = Lookup::Missing,
                Descent::Found(pair) => {
                    found = Lookup::Set(Set {
                        value: &pair.value,
                        file: &self.files[entry.file],
                        line: pair.line,
                        phase: entry.phase,
                    });
                }
            }
        }
        if found.is_missing() && !self.unread.is_empty() {
            return Lookup::Uncertain;
        }
        found
    }

    /// The settings in effect that compile-time files read from the environment.
    pub(crate) fn compiled(&self) -> impl Iterator<Item = &CompileTime> {
        self.compile_time.iter().filter(|setting| {
            let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
            let set = self.get(&setting.app, &path).set();
            set.is_some_and(|set| set.line == setting.line && set.file == setting.file)
        })
    }

    /// Returns all settings of a path, including overridden and conditional ones.
    pub(crate) fn all(&self, app: &str, path: &[&str]) -> Vec<Set<'_>> {
        let of_app = self.entries.iter().filter(|entry| entry.app == app);
        let found = of_app.filter_map(|entry| match descend(&entry.settings, path) {
            Descent::Found(pair) => Some(Set {
                value: &pair.value,
                file: &self.files[entry.file],
                line: pair.line,
                phase: entry.phase,
            }),
            _ => None,
        });
        found.collect()
    }

    /// Returns the first certain setting of each application.
    pub(crate) fn apps(&self) -> impl Iterator<Item = (&str, &[Pair], &str, bool)> {
        self.entries.iter().map(|entry| {
            let file = self.files[entry.file].as_str();
            (&*entry.app, &*entry.settings, file, entry.is_certain)
        })
    }
}

enum Descent<'a> {
    Absent,
    /// The path leads through a value that can't be read.
    Opaque,
    /// The path leads through a value that isn't a keyword list.
    Replaced,
    Found(&'a Pair),
}

fn descend<'a>(settings: &'a [Pair], path: &[&str]) -> Descent<'a> {
    let Some((key, rest)) = path.split_first() else {
        return Descent::Absent;
    };
    let Some(pair) = settings.iter().rev().find(|pair| pair.key == *key) else {
        return Descent::Absent;
    };
    match (&pair.value, rest) {
        (_, []) => Descent::Found(pair),
        (Value::Keyword(pairs), rest) => descend(pairs, rest),
        (Value::Items(items), _) if items.is_empty() => Descent::Absent,
        (Value::Unknown(_) | Value::Env(_) | Value::Items(_), _) => Descent::Opaque,
        _ => Descent::Replaced,
    }
}

struct Reader<'a> {
    top: &'a Path,
    phase: Phase,
    config: &'a mut Config,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, scope: &Scope, is_certain: bool, depth: u32) {
        let Ok(text) = text_file::read(&self.top.join(path)) else {
            self.config.unread.push((path.to_owned(), 1));
            self.config.is_opaque = true;
            return;
        };
        self.config.mentions_phx_server |= text.contains("PHX_SERVER");
        let nodes = match parse(&text) {
            Ok(nodes) => nodes,
            Err(line) => {
                self.config.unread.push((path.to_owned(), line));
                self.config.is_opaque = true;
                return;
            }
        };
        self.config.files.push(path.to_owned());
        let file = self.config.files.len() - 1;
        let all: Vec<&[Node]> = statements(&nodes).collect();
        self.run(
            &all,
            &mut scope.clone(),
            &Place {
                file,
                is_certain,
                depth,
            },
        );
    }

    fn run(&mut self, all: &[&[Node]], scope: &mut Scope, place: &Place) {
        for statement in all {
            self.statement(statement, scope, place);
        }
    }

    fn statement(&mut self, statement: &[Node], scope: &mut Scope, place: &Place) {
        if let Some((name, value)) = assignment(statement) {
            let evaluated = evaluate(value, scope);
            self.note_required(&evaluated, place);
            scope.set(name, evaluated);
        } else if let Some(args) = call(statement, "config") {
            self.config_statement(&args, scope, place);
        } else if let Some(args) = call(statement, "import_config") {
            self.import(args.first().copied().unwrap_or_default(), scope, place);
        } else if let Some(args) = call(statement, "if") {
            self.conditional(&args, statement, true, scope, place);
        } else if let Some(args) = call(statement, "unless") {
            self.conditional(&args, statement, false, scope, place);
        } else if let Some(args) = call(statement, "case") {
            self.case(
                args.first().copied().unwrap_or_default(),
                statement,
                scope,
                place,
            );
        } else if contains(statement, "config") || contains(statement, "import_config") {
            let inner = Place {
                is_certain: false,
                ..*place
            };
            if !self.nested(statement, scope, &inner) {
                self.unread(statement, place);
            }
        } else if calls_other_code(statement) {
            self.config.is_opaque = true;
            self.unread(statement, place);
        }
    }

    /// Reads blocks that may or may not run, such as those of a loop. Returns whether there are any.
    fn nested(&mut self, nodes: &[Node], scope: &Scope, place: &Place) -> bool {
        let mut found = false;
        for node in nodes {
            let Node::Group(group) = node else {
                continue;
            };
            if "df".contains(group.open) {
                found = true;
                let body = statements(&group.nodes).map(|statement| {
                    let arrow = statement.iter().position(|node| node.is_op("->"));
                    &statement[arrow.map_or(0, |at| at + 1)..]
                });
                let body: Vec<&[Node]> = body.filter(|statement| !statement.is_empty()).collect();
                self.run(&body, &mut scope.clone(), place);
            } else {
                found |= self.nested(&group.nodes, scope, place);
            }
        }
        found
    }

    fn unread(&mut self, nodes: &[Node], place: &Place) {
        let file = self.config.files[place.file].clone();
        let line = nodes.first().map_or(1, Node::line);
        self.config.unread.push((file, line));
    }

    /// Remembers the variables that the code fails without.
    fn note_required(&mut self, value: &Value, place: &Place) {
        match value {
            Value::Env(var) if var.required && place.is_certain => {
                let file = self.config.files[place.file].clone();
                self.config
                    .required
                    .push((var.name.clone(), file, var.line));
            }
            Value::Keyword(pairs) => {
                for pair in pairs {
                    self.note_required(&pair.value, place);
                }
            }
            Value::Items(items) => {
                for item in items {
                    self.note_required(item, place);
                }
            }
            _ => {}
        }
    }

    /// Remembers the settings of a compile-time file that read the environment.
    fn note_compile_time(&mut self, app: &str, path: &mut Vec<String>, pair: &Pair, place: &Place) {
        path.push(pair.key.clone());
        match &pair.value {
            Value::Env(var) => self.config.compile_time.push(CompileTime {
                app: app.to_owned(),
                path: path.clone(),
                variable: var.name.clone(),
                file: self.config.files[place.file].clone(),
                line: pair.line,
            }),
            Value::Keyword(pairs) => {
                for pair in pairs {
                    self.note_compile_time(app, path, pair, place);
                }
            }
            _ => {}
        }
        path.pop();
    }

    fn config_statement(&mut self, args: &[&[Node]], scope: &Scope, place: &Place) {
        let Some(([app], rest)) = args.split_first().map(|(app, rest)| (*app, rest)) else {
            return self.unread(args.first().copied().unwrap_or_default(), place);
        };
        let Some(app) = app.atom() else {
            return self.unread(std::slice::from_ref(app), place);
        };
        let settings = match rest {
            [[key], values @ ..]
                if key.atom().or_else(|| key.alias()).is_some() && !values.is_empty() =>
            {
                let name = key.atom().or_else(|| key.alias()).unwrap_or_default();
                let value = match (keywords(values, scope), values) {
                    (Some(pairs), [value, ..]) if value[0].key().is_some() => Value::Keyword(pairs),
                    (_, [value]) => evaluate(value, scope),
                    _ => Value::Unknown(Vec::new()),
                };
                vec![Pair {
                    key: name.to_owned(),
                    line: key.line(),
                    value,
                }]
            }
            pairs => match keywords(pairs, scope) {
                Some(pairs) => pairs,
                None => match pairs {
                    [list] => match evaluate(list, scope) {
                        Value::Keyword(pairs) => pairs,
                        _ => return self.unread(list, place),
                    },
                    _ => return self.unread(args[0], place),
                },
            },
        };
        for pair in &settings {
            self.note_required(&pair.value, place);
            if self.phase == Phase::Compile {
                self.note_compile_time(app, &mut Vec::new(), pair, place);
            }
        }
        self.config.entries.push(Entry {
            app: app.to_owned(),
            settings,
            file: place.file,
            phase: self.phase,
            is_certain: place.is_certain,
        });
    }

    fn import(&mut self, path: &[Node], scope: &Scope, place: &Place) {
        let raw = match path {
            [Node::Token(token)] => match &token.kind {
                Kind::Text { raw, .. } => raw.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let mut path_text = raw;
        for code in [
            "#{config_env()}",
            "#{Mix.env()}",
            "#{Mix.env}",
            "#{config_env}",
        ] {
            path_text = path_text.replace(code, &scope.mix_env);
        }
        if path_text.is_empty() || path_text.contains("#{") || place.depth >= MAX_DEPTH {
            return self.unread(path, place);
        }
        let file = self.config.files[place.file].clone();
        let line = path[0].line();
        let base = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        let Some(target) = normalized(base, &path_text) else {
            return self.unread(path, place);
        };
        for target in expanded(self.top, &target) {
            if self.top.join(&target).is_file() {
                self.config
                    .imports
                    .push((file.clone(), line, target.clone()));
                let fresh = Scope::of(&scope.mix_env);
                self.file(&target, &fresh, place.is_certain, place.depth + 1);
            } else if place.is_certain {
                // If the file exists on another machine, it may set anything.
                self.config.is_opaque = true;
                self.config.missing.push(MissingImport {
                    file: file.clone(),
                    line,
                    path: target,
                });
            }
        }
    }

    fn conditional(
        &mut self,
        args: &[&[Node]],
        statement: &[Node],
        is_if: bool,
        scope: &Scope,
        place: &Place,
    ) {
        let condition = args.first().copied().unwrap_or_default();
        let truth = truth(condition, scope).map(|truth| truth == is_if);
        let mut branches: Vec<(bool, Vec<&[Node]>)> = Vec::new();
        if let Some(block) = block(statement) {
            branches.push((true, Vec::new()));
            for statement in statements(block) {
                if let [first] = statement
                    && first.name() == Some("else")
                {
                    branches.push((false, Vec::new()));
                } else if let Some((_, all)) = branches.last_mut() {
                    all.push(statement);
                }
            }
        }
        for arg in args {
            if let Some((key, value)) = arg.split_first() {
                match key.key() {
                    Some("do") => branches.push((true, vec![value])),
                    Some("else") => branches.push((false, vec![value])),
                    _ => {}
                }
            }
        }
        for (when, all) in branches {
            if truth != Some(!when) {
                let is_certain = place.is_certain && truth.is_some();
                self.run(
                    &all,
                    &mut scope.clone(),
                    &Place {
                        is_certain,
                        ..*place
                    },
                );
            }
        }
    }

    fn case(&mut self, subject: &[Node], statement: &[Node], scope: &Scope, place: &Place) {
        let subject = evaluate(subject, scope);
        let is_literal = subject.is_certain() && subject.env_vars().is_empty();
        let mut is_decided = false;
        for (pattern, body) in clauses(block(statement).unwrap_or_default()) {
            let is_any = pattern.len() == 1 && pattern[0].name() == Some("_");
            let matches = match evaluate(pattern, scope) {
                _ if is_any => Some(true),
                Value::Unknown(_) => None,
                value => Some(value == subject),
            };
            if is_literal && (is_decided || matches == Some(false)) {
                continue;
            }
            let is_certain = place.is_certain && is_literal && matches.is_some();
            is_decided |= matches == Some(true);
            self.run(
                &body,
                &mut scope.clone(),
                &Place {
                    is_certain,
                    ..*place
                },
            );
        }
    }
}

/// Modules whose functions set nothing.
const HARMLESS: [&str; 12] = [
    "IO",
    "Logger",
    "System",
    "Code",
    "File",
    "Mix",
    "Enum",
    "Path",
    "Dotenvy",
    "DotenvParser",
    "Envy",
    "Process",
];

/// Whether a statement calls a function of the app or of a library, such as `Hello.Config.load()`.
fn calls_other_code(statement: &[Node]) -> bool {
    match statement {
        [module, dot, function, ..] if dot.is_op(".") => match module.alias() {
            Some("Application") => function.name().is_some_and(|name| name.starts_with("put_")),
            Some(module) => {
                let root = module.split('.').next().unwrap_or_default();
                !HARMLESS.contains(&root)
            }
            None => false,
        },
        _ => false,
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    file: usize,
    is_certain: bool,
    depth: u32,
}
