//! Laying one object over another.

use std::collections::HashMap;

use crate::json::{self, Unreadable};

/// `over` laid over `under`: members that both have as objects are merged,
/// others are replaced, new ones come last. What is not replaced stays as it was
/// written.
pub(crate) fn merged(under: &str, over: &str) -> Result<String, Unreadable> {
    merge(under, over, 0)
}

fn merge(under: &str, over: &str, depth: usize) -> Result<String, Unreadable> {
    if depth > json::MOST_DEEP {
        return Err(Unreadable::TooDeep);
    }
    let (Some(below), Some(above)) = (json::members(under)?, json::members(over)?) else {
        return Ok(over.to_owned());
    };
    // Of a key that is there twice, the last holds.
    let mut new: HashMap<&[u8], &str> = above.iter().map(|m| (&*m.key, m.value)).collect();
    let mut out = String::with_capacity(under.len() + over.len());
    let mut push = |key: &str, value: &str| {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(key);
        out.push(':');
        out.push_str(value);
    };
    let last: HashMap<&[u8], usize> = below
        .iter()
        .enumerate()
        .map(|(i, m)| (&*m.key, i))
        .collect();
    for (index, member) in below.iter().enumerate() {
        if last.get(&*member.key) != Some(&index) {
            continue;
        }
        match new.remove(&*member.key) {
            Some(value) => push(member.written_key, &merge(member.value, value, depth + 1)?),
            None => push(member.written_key, member.value),
        }
    }
    for member in &above {
        if let Some(value) = new.remove(&*member.key) {
            push(member.written_key, value);
        }
    }
    match out.is_empty() {
        true => Ok("{}".to_owned()),
        false => {
            out.push('}');
            Ok(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_merge_and_everything_else_replaces() {
        for (under, over, expected) in [
            (
                r#"{"id":1,"a":1}"#,
                r#"{"id":1,"b":2}"#,
                r#"{"id":1,"a":1,"b":2}"#,
            ),
            (
                r#"{"a":{"x":1,"y":[1]}}"#,
                r#"{"a":{"y":[2],"z":null}}"#,
                r#"{"a":{"x":1,"y":[2],"z":null}}"#,
            ),
            (r#"{"a":{"x":1}}"#, r#"{"a":null}"#, r#"{"a":null}"#),
            (r#"{"a":[{"x":1}]}"#, r#"{"a":{"x":2}}"#, r#"{"a":{"x":2}}"#),
            (
                r#"{"n":1.50,"b":12345678901234567890123}"#,
                r#"{"c":1}"#,
                r#"{"n":1.50,"b":12345678901234567890123,"c":1}"#,
            ),
            (r#"{"\u0061":1}"#, r#"{"a":2}"#, r#"{"\u0061":2}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":3,"a":4}"#, r#"{"a":4}"#),
            ("{}", "{}", "{}"),
        ] {
            assert_eq!(merged(under, over).unwrap(), expected);
        }
    }

    #[test]
    fn a_key_is_not_merged_into_what_it_only_looks_like() {
        assert_eq!(
            merged(r#"{"a.b":1}"#, r#"{"a":{"b":2}}"#).unwrap(),
            r#"{"a.b":1,"a":{"b":2}}"#
        );
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}1{}", "{\"a\":".repeat(2_000), "}".repeat(2_000));
        assert_eq!(merged(&deep, &deep), Err(Unreadable::TooDeep));
    }
}
