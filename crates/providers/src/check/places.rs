//! Where in a YAML file its keys are.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, Span};

/// Line and column, from 1.
type Position = (usize, usize);

/// The places of a file's keys and values, by dotted key (`proxy.headers.accept`,
/// `additional_steps[0].token_url`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    keys: BTreeMap<String, Position>,
    values: BTreeMap<String, Position>,
    twice: Vec<(String, Position)>,
}

impl Places {
    /// Those of a text that is YAML; of what is not, as far as it is.
    pub(crate) fn of(text: &str) -> Self {
        let mut reader = Reader::default();
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => reader.take(&event, &span),
                Err(_) => break,
            }
        }
        reader.places
    }

    /// Where a key is.
    pub(crate) fn key(&self, key: &str) -> Option<Position> {
        self.keys.get(key).or_else(|| self.values.get(key)).copied()
    }

    /// Where a key's value is; for one that is not in the file, where that above
    /// it is, and at last where the file begins.
    pub(crate) fn value(&self, key: &str) -> Option<Position> {
        let mut key = key;
        loop {
            if let Some(position) = self.values.get(key) {
                return Some(*position);
            }
            let above = key.rfind(['.', '[']);
            key = &key[..above.unwrap_or(0)];
            if above.is_none() {
                return self.values.get(key).copied();
            }
        }
    }

    /// Keys that a map has already.
    pub(crate) fn twice(&self) -> impl Iterator<Item = (&str, Position)> {
        self.twice.iter().map(|(key, at)| (key.as_str(), *at))
    }
}

#[derive(Default)]
struct Reader {
    places: Places,
    /// What is open, outermost first.
    open: Vec<Open>,
}

enum Open {
    /// A map, and the key whose value comes next.
    Map { path: String, key: Option<String> },
    /// A list, and how many items it has had.
    List { path: String, count: usize },
    /// A key that is no text, which no template has: what is in it has no place.
    Ignored,
}

impl Reader {
    fn take(&mut self, event: &Event<'_>, span: &Span) {
        match event {
            Event::Scalar(text, ..) if self.wants_key() => self.key(text, span),
            Event::Scalar(..) | Event::Alias(_) => {
                self.value(span);
            }
            Event::MappingStart(..) => {
                let map = |path| Open::Map { path, key: None };
                let open = self.value(span).map_or(Open::Ignored, map);
                self.open.push(open);
            }
            Event::SequenceStart(..) => {
                let list = |path| Open::List { path, count: 0 };
                let open = self.value(span).map_or(Open::Ignored, list);
                self.open.push(open);
            }
            Event::MappingEnd | Event::SequenceEnd => drop(self.open.pop()),
            _ => {}
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn key(&mut self, text: &str, span: &Span) {
        if let Some(Open::Map { path, key }) = self.open.last_mut() {
            let full = join(path, text);
            *key = Some(full.clone());
            let position = position(span);
            let is_known = self.places.keys.insert(full.clone(), position).is_some();
            // What is below a key that is given twice is not told, too.
            let is_below = |(above, _): &(String, Position)| full.starts_with(above.as_str());
            if is_known && !self.places.twice.iter().any(is_below) {
                self.places.twice.push((full, position));
            }
        }
    }

    /// Notes a value, and returns its path.
    fn value(&mut self, span: &Span) -> Option<String> {
        let path = match self.open.last_mut() {
            None => String::new(),
            Some(Open::Map { key, .. }) => key.take()?,
            Some(Open::List { path, count }) => {
                *count += 1;
                format!("{path}[{}]", *count - 1)
            }
            Some(Open::Ignored) => return None,
        };
        self.places.values.insert(path.clone(), position(span));
        Some(path)
    }
}

fn position(span: &Span) -> Position {
    (span.start.line(), span.start.col() + 1)
}

/// A key below another.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_places() {
        let places = Places::of(
            "a: 1\nb:\n  c.d: [x, {e: y}]\n  'q': |\n    text\nf: &f\n  g: 2\nh: *f\na: 3\n",
        );
        for (key, at, value) in [
            ("b", (2, 1), (3, 3)),
            ("b.c.d", (3, 3), (3, 8)),
            ("b.c.d[0]", (3, 9), (3, 9)),
            ("b.c.d[1].e", (3, 13), (3, 16)),
            ("b.q", (4, 3), (5, 5)),
            ("f.g", (7, 3), (7, 6)),
            ("h", (8, 1), (8, 4)),
        ] {
            assert_eq!(places.key(key), Some(at), "{key}");
            assert_eq!(places.value(key), Some(value), "{key}");
        }
        assert_eq!(
            places.value("b.none.x[3]"),
            Some((3, 3)),
            "the nearest above"
        );
        assert_eq!(places.value("none"), Some((1, 1)));
        let twice: Vec<_> = places.twice().collect();
        assert_eq!(twice, [("a", (9, 1))]);
    }
}
