//! Recursive descent over a text.

use super::Function;
use super::node::{Node, Path};
use super::time::Time;

const FALLBACK: &str = " || ";

/// Deeper nesting than this is a mistake, and would recurse without bound.
const MAX_DEPTH: usize = 8;

/// A longer text is a mistake. Known ones have 600 bytes at most.
const MAX_LENGTH: usize = 8 * 1024;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {problem}", .position + 1)]
pub struct ParseError {
    /// Offset in bytes.
    pub position: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// The kinds of mistakes in a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// `${` without its `}`.
    #[error("`${{` is never closed")]
    Unclosed,
    /// Not a known root or name.
    #[error("unknown placeholder `${{{0}}}`")]
    UnknownPath(String),
    /// Not a known function.
    #[error("unknown function `{0}`")]
    UnknownFunction(String),
    /// A function with too few or too many arguments.
    #[error("function `{0}` has too few or too many arguments")]
    Arguments(&'static str),
    /// A time whose offset or format is malformed.
    #[error("malformed time `${{{0}}}`")]
    Time(String),
    /// Nothing before or after `||`.
    #[error("an alternative of `||` is empty")]
    EmptyAlternative,
    /// Functions within functions within …
    #[error("functions are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A text with placeholders that no template needs.
    #[error("it is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// A placeholder inside a URL's scheme.
    #[error("a placeholder cannot be part of a URL's scheme")]
    InScheme,
}

pub(super) fn alternatives(source: &str) -> Result<Box<[Box<[Node]>]>, ParseError> {
    if !source.contains("${") {
        let literal = Node::Literal(source.into());
        return Ok(Box::new([Box::new([literal])]));
    }
    if source.len() > MAX_LENGTH {
        return Err(error(MAX_LENGTH, Problem::TooLong));
    }
    let mut parser = Parser {
        source,
        position: 0,
        depth: 0,
    };
    let mut alternatives = Vec::new();
    loop {
        let start = parser.position;
        let nodes = parser.sequence(FALLBACK)?;
        if nodes.is_empty() {
            return Err(error(start, Problem::EmptyAlternative));
        }
        alternatives.push(nodes.into_boxed_slice());
        if !parser.take(FALLBACK) {
            return Ok(alternatives.into_boxed_slice());
        }
    }
}

struct Parser<'a> {
    source: &'a str,
    position: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Literals and placeholders up to `end`, which is not consumed, or up to
    /// the end of the text.
    fn sequence(&mut self, end: &str) -> Result<Vec<Node>, ParseError> {
        let mut nodes = Vec::new();
        loop {
            let rest = &self.source[self.position..];
            let stop = [rest.find("${"), rest.find(end)]
                .into_iter()
                .flatten()
                .min();
            let literal = &rest[..stop.unwrap_or(rest.len())];
            if !literal.is_empty() {
                nodes.push(Node::Literal(literal.into()));
            }
            self.position += literal.len();
            if !self.take("${") {
                return Ok(nodes);
            }
            nodes.push(self.placeholder()?);
        }
    }

    /// What follows `${`, with its `}`.
    fn placeholder(&mut self) -> Result<Node, ParseError> {
        let start = self.position;
        let rest = &self.source[start..];
        let name = &rest[..rest.find(['(', '}', '$']).unwrap_or(rest.len())];
        self.position += name.len();
        if self.take("}") {
            if let Some(time) = Time::parse(name) {
                let time = time.map_err(|()| error(start, Problem::Time(name.to_owned())))?;
                return Ok(Node::Time(time));
            }
            let unknown = || Problem::UnknownPath(name.to_owned());
            let path = Path::parse(name).ok_or_else(|| error(start, unknown()))?;
            return Ok(Node::Path(path));
        }
        if !self.take("(") {
            return Err(error(start - 2, Problem::Unclosed));
        }
        let unknown = || Problem::UnknownFunction(name.to_owned());
        let function = Function::named(name).ok_or_else(|| error(start, unknown()))?;
        self.call(function, start)
    }

    /// What follows `${function(`, with its `)}`.
    fn call(&mut self, function: Function, start: usize) -> Result<Node, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(start, Problem::TooDeep));
        }
        let arguments = self.sequence(")}")?;
        if !self.take(")}") {
            return Err(error(start - 2, Problem::Unclosed));
        }
        self.depth -= 1;
        let wrong = || error(start, Problem::Arguments(function.as_str()));
        Ok(Node::Call(
            function,
            function.arguments(arguments).ok_or_else(wrong)?,
        ))
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.source[self.position..].starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }
}

fn error(position: usize, problem: Problem) -> ParseError {
    ParseError { position, problem }
}
