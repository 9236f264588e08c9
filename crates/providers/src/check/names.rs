//! Names that are nearly right.

/// The key that a message of serde's says is unknown.
pub(super) fn unknown(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `")?;
    Some(rest.split_once('`')?.0)
}

/// What to say of an unknown key, by serde's message, which lists those there are.
pub(super) fn explain(message: &str, unknown: &str) -> String {
    let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let nearest = known
        .iter()
        .map(|name| (distance(unknown, name), name))
        .min();
    match nearest {
        Some((steps, name)) if steps <= (unknown.len() / 3).max(2) => {
            format!("unknown key; did you mean `{name}`?")
        }
        _ if known.len() <= 15 => format!("unknown key; there are {}", known.join(", ")),
        _ => "unknown key; docs/providers.md lists those there are".to_owned(),
    }
}

/// Letters to put in, take out or replace (Levenshtein's).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.bytes().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *above;
            left = replaced.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, steps) in [("", "abc", 3), ("kitten", "sitting", 3), ("abc", "abc", 0)] {
            assert_eq!(distance(a, b), steps);
            assert_eq!(distance(b, a), steps);
        }
    }

    #[test]
    fn the_nearest_name_is_proposed() {
        let message = "unknown field `tokn_url`, expected one of `token_url`, `proxy`";
        let name = unknown(message).unwrap();
        assert_eq!(
            explain(message, name),
            "unknown key; did you mean `token_url`?"
        );
        let message = "unknown field `colour`, expected `a` or `b`";
        assert_eq!(explain(message, "colour"), "unknown key; there are a, b");
    }
}
