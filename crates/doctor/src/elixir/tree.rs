//! Tokens as a tree of brackets and blocks.

use super::tokens::{Kind, Token, tokens};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Token(Token),
    Group(Group),
}

/// The code between two brackets, between `do` and `end`, or between `fn` and `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The opening bracket; `<` of a binary, `d` for `do`, `f` for `fn`.
    pub(crate) open: char,
    pub(crate) line: u32,
    /// Only blocks contain line ends, and only those that end a statement.
    pub(crate) nodes: Vec<Node>,
}

/// The maximum depth. Real code is less deep, and a hostile file must not exhaust the stack.
const MAX_DEPTH: usize = 200;

/// Words that continue a statement on the next line.
const INFIX_WORDS: [&str; 4] = ["or", "and", "in", "when"];
/// Operators that may also begin a statement.
const PREFIX: [&str; 7] = ["@", "%", "!", "&", "^", "-", "..."];

/// Parses a file. The error is an invalid line.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, u32> {
    let mut stack: Vec<Group> = Vec::new();
    let mut nodes: Vec<Node> = Vec::new();
    for token in tokens(text)? {
        let line = token.line;
        let after_dot = matches!(nodes.last(), Some(node) if node.is_op("."));
        let open = match &token.kind {
            Kind::Open(open) => Some(*open),
            Kind::Name(word) if word == "do" && !after_dot => Some('d'),
            Kind::Name(word) if word == "fn" && !after_dot => Some('f'),
            _ => None,
        };
        let close = match &token.kind {
            Kind::Close(')') => Some("("),
            Kind::Close(']') => Some("["),
            Kind::Close('}') => Some("{"),
            Kind::Close('>') => Some("<"),
            Kind::Name(word) if word == "end" && !after_dot => Some("df"),
            _ => None,
        };
        if let Some(open) = open {
            if stack.len() > MAX_DEPTH {
                return Err(line);
            }
            let nodes = std::mem::take(&mut nodes);
            stack.push(Group { open, line, nodes });
        } else if let Some(opens) = close {
            let Some(outer) = stack.pop().filter(|group| opens.contains(group.open)) else {
                return Err(line);
            };
            let inner = std::mem::replace(&mut nodes, outer.nodes);
            let is_block = "df".contains(outer.open);
            nodes.push(Node::Group(Group {
                open: outer.open,
                line: outer.line,
                nodes: without_newlines(inner, is_block),
            }));
        } else {
            nodes.push(Node::Token(token));
        }
    }
    match stack.last() {
        Some(open) => Err(open.line),
        None => Ok(without_newlines(nodes, true)),
    }
}

/// Removes the line ends that end no statement.
fn without_newlines(nodes: Vec<Node>, is_block: bool) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut rest = nodes.into_iter().peekable();
    while let Some(node) = rest.next() {
        if !node.is_newline() {
            kept.push(node);
            continue;
        }
        while rest.next_if(Node::is_newline).is_some() {}
        let continues = match rest.peek() {
            Some(Node::Token(next)) => match &next.kind {
                Kind::Op(op) => !PREFIX.contains(op),
                Kind::Name(word) => INFIX_WORDS.contains(&&**word),
                _ => false,
            },
            _ => false,
        };
        let is_continued = match kept.last() {
            Some(Node::Token(last)) => match &last.kind {
                Kind::Op(op) => *op != "...",
                Kind::Name(word) => INFIX_WORDS.contains(&&**word) || word == "not",
                Kind::Key(_) => true,
                _ => false,
            },
            _ => false,
        };
        if is_block && !continues && !is_continued {
            kept.push(node);
        }
    }
    kept
}

impl Node {
    pub(crate) fn line(&self) -> u32 {
        match self {
            Self::Token(token) => token.line,
            Self::Group(group) => group.line,
        }
    }

    fn is_newline(&self) -> bool {
        matches!(self, Self::Token(token) if token.kind == Kind::Newline)
    }

    pub(crate) fn is_op(&self, op: &str) -> bool {
        matches!(self, Self::Token(Token { kind: Kind::Op(found), .. }) if *found == op)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Token(Token {
                kind: Kind::Name(name),
                ..
            }) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn alias(&self) -> Option<&str> {
        match self {
            Self::Token(Token {
                kind: Kind::Alias(name),
                ..
            }) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn atom(&self) -> Option<&str> {
        match self {
            Self::Token(Token {
                kind: Kind::Atom(name),
                ..
            }) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Token(Token {
                kind: Kind::Key(name),
                ..
            }) => Some(name),
            _ => None,
        }
    }

    /// A string without interpolation.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Token(Token {
                kind:
                    Kind::Text {
                        raw,
                        interpolated: false,
                    },
                ..
            }) => Some(raw),
            _ => None,
        }
    }

    pub(crate) fn group(&self, open: char) -> Option<&[Node]> {
        match self {
            Self::Group(group) if group.open == open => Some(&group.nodes),
            _ => None,
        }
    }
}

/// The statements of a block.
pub(crate) fn statements(block: &[Node]) -> impl Iterator<Item = &[Node]> {
    let statements = block.split(Node::is_newline);
    statements.filter(|statement| !statement.is_empty())
}

/// The items of a list, or the arguments of a call.
pub(crate) fn items(nodes: &[Node]) -> impl Iterator<Item = &[Node]> {
    let items = nodes.split(|node| node.is_op(","));
    items.filter(|item| !item.is_empty())
}

/// The arguments of a statement that calls a function of that name, with or without brackets, and without the block
/// that may follow them.
pub(crate) fn call<'a>(statement: &'a [Node], function: &str) -> Option<Vec<&'a [Node]>> {
    let (first, rest) = statement.split_first()?;
    if first.name() != Some(function) || rest.first().is_none_or(|node| node.is_op("=")) {
        return None;
    }
    let args = rest.first()?.group('(').unwrap_or_else(|| {
        let end = rest.iter().position(|node| node.group('d').is_some());
        &rest[..end.unwrap_or(rest.len())]
    });
    Some(items(args).collect())
}

/// The block of a statement, between its `do` and `end`.
pub(crate) fn block(statement: &[Node]) -> Option<&[Node]> {
    statement.iter().find_map(|node| node.group('d'))
}

/// A block of statements.
pub(crate) struct Block<'a> {
    /// The name of the enclosing module.
    pub(crate) module: &'a str,
    /// Whether it is the body of a function.
    pub(crate) is_body: bool,
    pub(crate) statements: Vec<&'a [Node]>,
}

/// Calls `visit` with every block of a file, the outer ones first.
pub(crate) fn visit_blocks(nodes: &[Node], visit: &mut dyn FnMut(&Block<'_>)) {
    visit_block(nodes, "", false, visit);
}

fn visit_block(nodes: &[Node], module: &str, is_body: bool, visit: &mut dyn FnMut(&Block<'_>)) {
    let block = Block {
        module,
        is_body,
        statements: statements(nodes).collect(),
    };
    visit(&block);
    for statement in block.statements {
        let name = call(statement, "defmodule").and_then(|args| args.first()?.first()?.alias());
        let is_body = matches!(statement[0].name(), Some("def" | "defp"));
        let inner = match (name, module) {
            (Some(name), "") => name.to_owned(),
            (Some(name), module) => format!("{module}.{name}"),
            (None, module) => module.to_owned(),
        };
        visit_groups(statement, &inner, is_body, visit);
    }
}

fn visit_groups(nodes: &[Node], module: &str, is_body: bool, visit: &mut dyn FnMut(&Block<'_>)) {
    for node in nodes {
        match node {
            Node::Group(group) if "df".contains(group.open) => {
                visit_block(&group.nodes, module, is_body, visit);
            }
            Node::Group(group) => visit_groups(&group.nodes, module, false, visit),
            Node::Token(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_continue_over_lines() {
        let tree = parse("a = b ||\n  c\nconfig :x,\n  y: 1\nx\n|> f()\n-1\n@a 1").unwrap();
        let lines: Vec<u32> = statements(&tree).map(|nodes| nodes[0].line()).collect();
        assert_eq!(lines, [1, 3, 5, 7, 8]);
    }

    #[test]
    fn blocks_nest_and_keywords_are_no_blocks() {
        let tree =
            parse("if a, do: b, else: c\nf fn -> 1 end\nif x do\n  y.end\nelse\n  z\nend").unwrap();
        let all: Vec<&[Node]> = statements(&tree).collect();
        assert_eq!(all.len(), 3);
        assert!(block(all[0]).is_none());
        assert_eq!(statements(block(all[2]).unwrap()).count(), 3);
        assert_eq!(call(all[0], "if").unwrap().len(), 3);
    }

    #[test]
    fn unbalanced_code_is_an_error() {
        assert_eq!(parse("a\nif x do\n"), Err(2));
        assert_eq!(parse("[1, 2)"), Err(1));
        assert_eq!(parse("end"), Err(1));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
