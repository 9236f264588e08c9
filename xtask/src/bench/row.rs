//! What a benchmark reports.

use serde::Serialize;

/// One measured figure, with its reference from the same run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    /// What was measured: "proxy: small GET".
    pub(crate) name: String,
    /// Ours.
    pub(crate) value: f64,
    /// Of `value` and `reference`: "requests/s", "ms".
    pub(crate) unit: &'static str,
    /// The reference's figure.
    pub(crate) reference: Option<f64>,
    /// `value / reference`.
    pub(crate) ratio: Option<f64>,
    /// The budget, in the ratio when there is a reference, else in the unit.
    pub(crate) target: Option<f64>,
    /// Whether the budget is kept.
    pub(crate) met: Option<bool>,
}

/// Which side of the budget is the good one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Row {
    /// A figure by itself.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            reference: None,
            ratio: None,
            target: None,
            met: None,
        }
    }

    /// Beside the reference's figure, in the same unit.
    pub(crate) fn against(self, reference: f64) -> Self {
        Self {
            reference: Some(reference),
            ratio: Some(self.value / reference),
            ..self
        }
    }

    /// Held to a budget.
    pub(crate) fn held_to(self, target: Target) -> Self {
        let measured = self.ratio.unwrap_or(self.value);
        let (target, met) = match target {
            Target::AtLeast(least) => (least, measured >= least),
            Target::AtMost(most) => (most, measured <= most),
        };
        Self {
            target: Some(target),
            met: Some(met),
            ..self
        }
    }
}

/// The middle one of the measurements' figures.
pub(super) fn median<T>(of: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    let mut figures: Vec<f64> = of.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One JSON object a line.
pub(crate) fn lines(rows: &[Row]) -> serde_json::Result<String> {
    rows.iter()
        .map(|row| Ok(serde_json::to_string(row)? + "\n"))
        .collect()
}

/// For people: a line of headings, then one for each row.
pub(crate) fn table(rows: &[Row]) -> String {
    let headings = ["", "value", "unit", "reference", "ratio", "target", "met"].map(str::to_owned);
    let mut cells = vec![headings];
    cells.extend(rows.iter().map(|row| {
        let number = |value: Option<f64>| value.map(figure).unwrap_or_default();
        let met = row.met.map(|met| if met { "yes" } else { "NO" });
        [
            row.name.clone(),
            figure(row.value),
            row.unit.to_owned(),
            number(row.reference),
            number(row.ratio),
            number(row.target),
            met.unwrap_or_default().to_owned(),
        ]
    }));
    let width = |column: usize| {
        cells
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let padded =
            row.iter()
                .zip(widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    0 | 2 | 6 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    cells.iter().map(line).collect()
}

/// Three digits that matter, or whole numbers.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Row; 3] {
        [
            Row::new("proxy", 25_000.0, "requests/s")
                .against(46_000.0)
                .held_to(Target::AtLeast(0.5)),
            Row::new("proxy p99", 2.5, "ms").held_to(Target::AtMost(1.0)),
            Row::new("memory", 71.25, "MB"),
        ]
    }

    #[test]
    fn a_budget_is_kept_on_its_good_side() {
        assert_eq!(rows().map(|row| row.met), [Some(true), Some(false), None]);
    }

    #[test]
    fn the_median_is_the_middle_one_and_of_nothing_none() {
        assert_eq!(median(&[3.0, 1.0, 100.0], |figure| *figure), 3.0);
        assert!(median(&[], |figure: &f64| *figure).is_nan());
    }

    #[test]
    fn each_line_is_an_object_with_every_field() {
        let text = lines(&rows()).unwrap();
        let objects: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects.len(), 3);
        let keys = |object: &serde_json::Value| object.as_object().unwrap().len();
        assert_eq!(objects.iter().map(keys).collect::<Vec<_>>(), [7, 7, 7]);
        assert_eq!(objects[0]["met"], true);
        assert_eq!(objects[2]["reference"], serde_json::Value::Null);
    }

    #[test]
    fn the_table_lines_up() {
        let expected = [
            "           value  unit        reference  ratio  target  met",
            "proxy      25000  requests/s      46000  0.543   0.500  yes",
            "proxy p99   2.50  ms                              1.00  NO",
            "memory      71.2  MB",
        ];
        assert_eq!(table(&rows()).lines().collect::<Vec<_>>(), expected);
    }
}
