//! The values of expressions, as far as they are certain.

#[cfg(test)]
mod tests;

use super::tokens::{Kind, Token};
use super::tree::{Node, block, call, items, statements};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    /// Also `true`, `false` and `nil`.
    Atom(String),
    Module(String),
    /// A keyword list or a map.
    Keyword(Vec<Pair>),
    /// A list or a tuple.
    Items(Vec<Value>),
    /// An environment variable.
    Env(EnvVar),
    /// Anything else, with the environment variables that it mentions.
    Unknown(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) line: u32,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) default: Option<Box<Value>>,
    /// Whether the code fails if it is not set.
    pub(crate) required: bool,
}

pub(crate) const NIL: &str = "nil";

/// The names that an expression may refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) mix_env: String,
    variables: Vec<(String, Value)>,
}

impl Scope {
    pub(crate) fn of(mix_env: &str) -> Self {
        Self {
            mix_env: mix_env.to_owned(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.variables.push((name.to_owned(), value));
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let mut variables = self.variables.iter().rev();
        let (_, value) = variables.find(|(known, _)| known == name)?;
        Some(value)
    }
}

/// Functions that only convert their argument.
const CONVERSIONS: [(&str, &str); 7] = [
    ("String", "to_integer"),
    ("String", "trim"),
    ("String", "to_charlist"),
    ("String", "to_atom"),
    ("String", "to_existing_atom"),
    ("String", "downcase"),
    ("Kernel", "to_string"),
];

impl Value {
    pub(crate) fn atom(name: &str) -> Self {
        Self::Atom(name.to_owned())
    }

    pub(crate) fn is_atom(&self, name: &str) -> bool {
        matches!(self, Self::Atom(atom) if atom == name)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Pair> {
        match self {
            Self::Keyword(pairs) => pairs.iter().rev().find(|pair| pair.key == key),
            _ => None,
        }
    }

    /// Whether the value counts as true, if that is certain.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            Self::Atom(atom) => Some(atom != NIL && atom != "false"),
            Self::Unknown(_) | Self::Env(_) => None,
            _ => Some(true),
        }
    }

    /// The environment variables that it mentions.
    pub(crate) fn env_vars(&self) -> Vec<&str> {
        match self {
            Self::Env(var) => {
                let default = var.default.iter().flat_map(|default| default.env_vars());
                [&*var.name].into_iter().chain(default).collect()
            }
            Self::Unknown(names) => names.iter().map(String::as_str).collect(),
            Self::Keyword(pairs) => pairs
                .iter()
                .flat_map(|pair| pair.value.env_vars())
                .collect(),
            Self::Items(items) => items.iter().flat_map(Self::env_vars).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether any part of it is unknown.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::Keyword(pairs) => pairs.iter().all(|pair| pair.value.is_certain()),
            Self::Items(items) => items.iter().all(Self::is_certain),
            _ => true,
        }
    }

    fn unknown(nodes: &[Node], scope: &Scope) -> Self {
        let mut names = Vec::new();
        mentions(nodes, scope, &mut names);
        Self::Unknown(names)
    }
}

/// Collects the environment variables that code mentions, directly or through the scope.
fn mentions(nodes: &[Node], scope: &Scope, names: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Group(group) => mentions(&group.nodes, scope, names),
            Node::Token(Token { kind, .. }) => match kind {
                Kind::Name(name) => {
                    if let Some(value) = scope.get(name) {
                        names.extend(value.env_vars().into_iter().map(str::to_owned));
                    }
                }
                Kind::Text { raw, .. } if is_env_name(raw) => names.push(raw.clone()),
                Kind::Text {
                    raw,
                    interpolated: true,
                } => {
                    for part in raw.split("env").skip(1) {
                        let name = part.trim_start_matches(['!', '(', ' ']).strip_prefix('"');
                        let name = name.and_then(|name| name.split('"').next());
                        names.extend(name.map(str::to_owned));
                    }
                    let words = raw.split(|c: char| !c.is_alphanumeric() && c != '_');
                    let values = words.filter_map(|word| scope.get(word));
                    names.extend(values.flat_map(Value::env_vars).map(str::to_owned));
                }
                _ => {}
            },
        }
    }
}

fn is_env_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(allowed)
}

/// Splits at the first occurrence of an operator.
fn split<'a>(nodes: &'a [Node], op: &str) -> Option<(&'a [Node], &'a [Node])> {
    let at = nodes.iter().position(|node| node.is_op(op))?;
    Some((&nodes[..at], &nodes[at + 1..]))
}

fn split_word<'a>(nodes: &'a [Node], word: &str) -> Option<(&'a [Node], &'a [Node])> {
    let at = nodes.iter().position(|node| node.name() == Some(word))?;
    Some((&nodes[..at], &nodes[at + 1..]))
}

/// Evaluates an expression.
pub(crate) fn evaluate(nodes: &[Node], scope: &Scope) -> Value {
    match nodes {
        [] => Value::Unknown(Vec::new()),
        [only] => single(only, scope),
        [first, ..] if first.name() == Some("if") || first.name() == Some("unless") => {
            conditional(nodes, scope)
        }
        [first, ..] if first.name() == Some("case") => Value::unknown(nodes, scope),
        [percent, map] if percent.is_op("%") && map.group('{').is_some() => single(map, scope),
        _ => {
            if let Some((left, right)) = split(nodes, "||") {
                return either(evaluate(left, scope), right, scope);
            }
            if let Some((left, right)) = split_word(nodes, "or") {
                return either(evaluate(left, scope), right, scope);
            }
            if ["&&", "==", "!=", "<>", "++", "=~", ">", "<"]
                .iter()
                .any(|op| split(nodes, op).is_some())
                || ["and", "in", "not"]
                    .iter()
                    .any(|word| split_word(nodes, word).is_some())
                || nodes[0].is_op("!")
            {
                return match truth(nodes, scope) {
                    Some(truth) => Value::atom(if truth { "true" } else { "false" }),
                    None => Value::unknown(nodes, scope),
                };
            }
            if let Some(at) = nodes.iter().rposition(|node| node.is_op("|>")) {
                if conversion(&nodes[at + 1..]).is_some_and(<[Node]>::is_empty) {
                    return evaluate(&nodes[..at], scope);
                }
                return Value::unknown(nodes, scope);
            }
            call_of(nodes, scope)
        }
    }
}

fn either(left: Value, right: &[Node], scope: &Scope) -> Value {
    let raises = right.first().and_then(Node::name) == Some("raise");
    match left {
        Value::Env(var) if var.default.is_none() && raises => Value::Env(EnvVar {
            required: true,
            ..var
        }),
        Value::Env(var) if var.default.is_none() => Value::Env(EnvVar {
            default: Some(Box::new(evaluate(right, scope))),
            ..var
        }),
        Value::Env(var) => Value::Env(var),
        left => match left.truth() {
            Some(true) => left,
            Some(false) => evaluate(right, scope),
            None => {
                let mut names: Vec<String> =
                    left.env_vars().into_iter().map(str::to_owned).collect();
                mentions(right, scope, &mut names);
                Value::Unknown(names)
            }
        },
    }
}

fn single(node: &Node, scope: &Scope) -> Value {
    let slice = std::slice::from_ref(node);
    match node {
        Node::Group(group) => match group.open {
            '(' => evaluate(&group.nodes, scope),
            '[' => list(&group.nodes, scope),
            '{' => match list(&group.nodes, scope) {
                Value::Items(items) => tuple(items, group.line),
                map => map,
            },
            _ => Value::unknown(slice, scope),
        },
        Node::Token(Token { kind, .. }) => match kind {
            Kind::Text {
                raw,
                interpolated: false,
            } => text_value(raw, slice[0].line()),
            Kind::Number(number) => {
                let digits = number.replace('_', "");
                digits
                    .parse()
                    .map_or(Value::Unknown(Vec::new()), Value::Integer)
            }
            Kind::Atom(name) => Value::Atom(name.clone()),
            Kind::Alias(name) => Value::Module(name.clone()),
            Kind::Name(name) => match name.as_str() {
                "true" | "false" | NIL => Value::Atom(name.clone()),
                "config_env" => Value::Atom(scope.mix_env.clone()),
                name => match scope.get(name) {
                    Some(value) => value.clone(),
                    None => Value::Unknown(Vec::new()),
                },
            },
            Kind::Sigil {
                name,
                raw,
                modifiers,
            } if name == "w" && !raw.contains("#{") => {
                let word = |word: &str| match modifiers.as_str() {
                    "a" => Value::atom(word),
                    _ => Value::Text(word.to_owned()),
                };
                Value::Items(raw.split_whitespace().map(word).collect())
            }
            _ => Value::unknown(slice, scope),
        },
    }
}

/// Distillery replaces `"${PORT}"` when a release starts.
fn text_value(raw: &str, line: u32) -> Value {
    let Some((before, rest)) = raw.split_once("${") else {
        return Value::Text(raw.to_owned());
    };
    match rest.split_once('}') {
        Some((name, "")) if before.is_empty() && is_env_name(name) => Value::Env(EnvVar {
            name: name.to_owned(),
            line,
            default: None,
            required: false,
        }),
        Some((name, _)) => Value::Unknown(vec![name.to_owned()]),
        None => Value::Text(raw.to_owned()),
    }
}

/// Older libraries use `{:system, "PORT"}` to read an environment variable at start.
fn tuple(items: Vec<Value>, line: u32) -> Value {
    match items.as_slice() {
        [system, Value::Text(name), default @ ..] if system.is_atom("system") => {
            Value::Env(EnvVar {
                name: name.clone(),
                line,
                default: default.first().map(|value| Box::new(value.clone())),
                required: false,
            })
        }
        _ => Value::Items(items),
    }
}

/// A list, a tuple or a map: of pairs, if all its items are pairs.
fn list(nodes: &[Node], scope: &Scope) -> Value {
    let all: Vec<&[Node]> = items(nodes).collect();
    if let Some(pairs) = all.iter().map(|item| pair(item, scope)).collect() {
        let pairs: Vec<Pair> = pairs;
        if !pairs.is_empty() {
            return Value::Keyword(pairs);
        }
    }
    if nodes.iter().any(|node| node.is_op("|")) {
        return Value::unknown(nodes, scope);
    }
    Value::Items(all.iter().map(|item| evaluate(item, scope)).collect())
}

/// `key: value`, `"key" => value`, or `{:key, value}`.
fn pair(item: &[Node], scope: &Scope) -> Option<Pair> {
    let (first, rest) = item.split_first()?;
    let line = first.line();
    let made = |key: &str, value: &[Node]| Pair {
        key: key.to_owned(),
        line,
        value: evaluate(value, scope),
    };
    if let Some(key) = first.key() {
        return Some(made(key, rest));
    }
    let name = |node: &Node| node.atom().or_else(|| node.alias()).map(str::to_owned);
    match (rest.split_first(), first.group('{')) {
        (Some((arrow, value)), _) if arrow.is_op("=>") => {
            let key = name(first).or_else(|| first.text().map(str::to_owned))?;
            Some(made(&key, value))
        }
        (None, Some(tuple)) => {
            let parts: Vec<&[Node]> = items(tuple).collect();
            let [[key], value] = parts[..] else {
                return None;
            };
            let key = key.atom().or_else(|| key.alias())?;
            (key != "system").then(|| made(key, value))
        }
        _ => None,
    }
}

/// The keyword arguments of a call, which come last.
pub(crate) fn keywords(args: &[&[Node]], scope: &Scope) -> Option<Vec<Pair>> {
    args.iter().map(|arg| pair(arg, scope)).collect()
}

fn conditional(nodes: &[Node], scope: &Scope) -> Value {
    let is_if = nodes[0].name() == Some("if");
    let args = call(nodes, if is_if { "if" } else { "unless" }).unwrap_or_default();
    let Some(taken) = args.first().and_then(|condition| truth(condition, scope)) else {
        return Value::unknown(nodes, scope);
    };
    let taken = taken == is_if;
    let mut of_key = args.iter().filter_map(|arg| {
        let (key, value) = arg.split_first()?;
        Some((key.key()?, value))
    });
    if block(nodes).is_some() {
        return Value::unknown(nodes, scope);
    }
    let branch = of_key.find(|(key, _)| *key == if taken { "do" } else { "else" });
    branch.map_or_else(|| Value::atom(NIL), |(_, value)| evaluate(value, scope))
}

/// The arguments of a call that only converts its argument.
fn conversion(nodes: &[Node]) -> Option<&[Node]> {
    let [module, dot, function, args] = nodes else {
        return None;
    };
    let called = (module.alias()?, function.name()?);
    (dot.is_op(".") && CONVERSIONS.contains(&called)).then(|| args.group('('))?
}

fn call_of(nodes: &[Node], scope: &Scope) -> Value {
    let unknown = || Value::unknown(nodes, scope);
    let line = nodes[0].line();
    if let [function, args] = nodes
        && args.group('(').is_some_and(<[Node]>::is_empty)
        && function.name() == Some("config_env")
    {
        return Value::Atom(scope.mix_env.clone());
    }
    if let [
        minus,
        Node::Token(Token {
            kind: Kind::Number(_),
            ..
        }),
    ] = nodes
        && minus.is_op("-")
    {
        return match evaluate(&nodes[1..], scope) {
            Value::Integer(number) => Value::Integer(-number),
            _ => unknown(),
        };
    }
    let [module, dot, function, rest @ ..] = nodes else {
        return unknown();
    };
    let (Some(module), true, Some(function)) = (module.alias(), dot.is_op("."), function.name())
    else {
        return unknown();
    };
    let args: Vec<&[Node]> = match rest {
        [args] if args.group('(').is_some() => items(args.group('(').unwrap_or_default()).collect(),
        rest => items(rest).collect(),
    };
    let text = |at: usize| match args.get(at) {
        Some([only]) => only.text().map(str::to_owned),
        _ => None,
    };
    let env = |name: String, default: Option<Box<Value>>, required| {
        Value::Env(EnvVar {
            name,
            line,
            default,
            required,
        })
    };
    match (module, function, text(0)) {
        ("Mix", "env", _) => Value::Atom(scope.mix_env.clone()),
        ("System", "get_env", Some(name)) => {
            let default = args
                .get(1)
                .map(|default| Box::new(evaluate(default, scope)));
            env(name, default, false)
        }
        ("System", "fetch_env!", Some(name)) => env(name, None, true),
        ("Map", "fetch!", _)
            if args.len() == 2 && args[0].iter().any(|n| n.name() == Some("get_env")) =>
        {
            text(1).map_or_else(unknown, |name| env(name, None, true))
        }
        (module, function, _) if args.len() == 1 && CONVERSIONS.contains(&(module, function)) => {
            evaluate(args[0], scope)
        }
        _ => unknown(),
    }
}

/// Whether a condition holds, if that is certain.
pub(crate) fn truth(nodes: &[Node], scope: &Scope) -> Option<bool> {
    if let [only] = nodes
        && let Some(inner) = only.group('(')
    {
        return truth(inner, scope);
    }
    let both = |(left, right): (&[Node], &[Node]), absorbing: bool| match (
        truth(left, scope),
        truth(right, scope),
    ) {
        (Some(left), _) if left == absorbing => Some(absorbing),
        (_, Some(right)) if right == absorbing => Some(absorbing),
        (Some(_), Some(_)) => Some(!absorbing),
        _ => None,
    };
    if let Some(sides) = split(nodes, "||").or_else(|| split_word(nodes, "or")) {
        return both(sides, true);
    }
    if let Some(sides) = split(nodes, "&&").or_else(|| split_word(nodes, "and")) {
        return both(sides, false);
    }
    let (first, rest) = nodes.split_first()?;
    if first.is_op("!") || first.name() == Some("not") {
        return truth(rest, scope).map(|truth| !truth);
    }
    let compared = |(left, right): (&[Node], &[Node])| {
        let (left, right) = (evaluate(left, scope), evaluate(right, scope));
        let is_literal = |value: &Value| value.is_certain() && value.env_vars().is_empty();
        (is_literal(&left) && is_literal(&right)).then_some((left, right))
    };
    if let Some(sides) = split(nodes, "==") {
        return compared(sides).map(|(left, right)| left == right);
    }
    if let Some(sides) = split(nodes, "!=") {
        return compared(sides).map(|(left, right)| left != right);
    }
    if let Some((left, right)) = split_word(nodes, "in") {
        let (negated, left) = match left.split_last() {
            Some((not, left)) if not.name() == Some("not") => (true, left),
            _ => (false, left),
        };
        let (left, right) = compared((left, right))?;
        return match right {
            Value::Items(items) => Some(items.contains(&left) != negated),
            _ => None,
        };
    }
    if ["<>", "++", "=~", ">", "<", "|>"]
        .iter()
        .any(|op| split(nodes, op).is_some())
    {
        return None;
    }
    evaluate(nodes, scope).truth()
}

/// The variable and the value of an assignment.
pub(crate) fn assignment(statement: &[Node]) -> Option<(&str, &[Node])> {
    let (name, rest) = statement.split_first()?;
    let (equals, value) = rest.split_first()?;
    (equals.is_op("=") && !value.is_empty()).then_some((name.name()?, value))
}

/// Whether code contains a call with this name.
pub(crate) fn contains(nodes: &[Node], name: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Group(group) => contains(&group.nodes, name),
        node @ Node::Token(_) => node.name() == Some(name),
    })
}

/// The clauses of a `case`: the patterns and the bodies.
pub(crate) fn clauses(block: &[Node]) -> Vec<(&[Node], Vec<&[Node]>)> {
    let mut clauses: Vec<(&[Node], Vec<&[Node]>)> = Vec::new();
    for statement in statements(block) {
        match (split(statement, "->"), clauses.last_mut()) {
            (Some((pattern, body)), _) => {
                clauses.push((
                    pattern,
                    Some(body).filter(|b| !b.is_empty()).into_iter().collect(),
                ));
            }
            (None, Some((_, body))) => body.push(statement),
            (None, None) => {}
        }
    }
    clauses
}
