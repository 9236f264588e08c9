//! The collection behind `/api/items`.

use chrono::{DateTime, Days, SecondsFormat};
use serde_json::{Map, Value, json};

/// How many items there are before anybody adds one.
pub(crate) const INITIAL: usize = 95;
const MOST: usize = 10_000;

/// Items with ids from 1 without gaps, oldest first.
#[derive(Debug)]
pub(crate) struct Items(Vec<Value>);

impl Items {
    /// The same items on every start, so that tests can name them.
    pub(crate) fn initial() -> Self {
        Self((1..=INITIAL).map(initial).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, id: usize) -> Option<&Value> {
        self.0.get(id.checked_sub(1)?)
    }

    /// One page; `page` counts from 1, and past the end it is empty.
    pub(crate) fn page(&self, page: usize, per_page: usize) -> Vec<Value> {
        let skipped = page.saturating_sub(1).saturating_mul(per_page);
        let rest = self.0.iter().skip(skipped);
        rest.take(per_page).cloned().collect()
    }

    /// Stores an item and returns it with its id; `None` when the store is full.
    pub(crate) fn add(&mut self, mut fields: Map<String, Value>) -> Option<(usize, Value)> {
        if self.0.len() >= MOST {
            return None;
        }
        let id = self.0.len() + 1;
        fields.insert("id".into(), json!(id));
        let item = Value::Object(fields);
        self.0.push(item.clone());
        Some((id, item))
    }
}

fn initial(id: usize) -> Value {
    let days = Days::new(u64::try_from(id).unwrap_or_default());
    let updated_at = DateTime::UNIX_EPOCH
        .checked_add_days(Days::new(20_454))
        .and_then(|new_year_2026| new_year_2026.checked_add_days(days))
        .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({ "id": id, "name": format!("Item {id}"), "updated_at": updated_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_last_initial_items_are_known() {
        let items = Items::initial();
        assert_eq!(
            items.get(1),
            Some(&json!({ "id": 1, "name": "Item 1", "updated_at": "2026-01-02T00:00:00Z" }))
        );
        assert_eq!(
            items.get(95).map(|item| &item["name"]),
            Some(&json!("Item 95"))
        );
        assert_eq!((items.get(0), items.get(96)), (None, None));
    }
}
