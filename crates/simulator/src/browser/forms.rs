//! Forms out of simple HTML: `form`, `input` and `button` tags with attributes.

use url::form_urlencoded;

/// A form with the values that it would send.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) action: String,
    fields: Vec<(String, String)>,
    buttons: Vec<(String, String)>,
}

impl Form {
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        let field = self.fields.iter_mut().find(|(known, _)| known == name);
        if let Some((_, current)) = field {
            value.clone_into(current);
        }
    }

    /// Adds what a button sends; `false` when there is no such button.
    pub(super) fn press(&mut self, name: &str, value: &str) -> bool {
        let button = (name.to_owned(), value.to_owned());
        let there = self.buttons.contains(&button);
        if there {
            self.fields.push(button);
        }
        there
    }

    pub(super) fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.fields)
            .finish()
    }
}

/// The first form of a page.
pub(super) fn first(html: &str) -> Option<Form> {
    let start = html.find("<form")?;
    let inside = html.get(start..)?;
    let inside = inside.split("</form>").next().unwrap_or(inside);
    let mut form = Form::default();
    for tag in inside.split('<').skip(1) {
        let value = |name| attribute(tag, name).unwrap_or_default();
        match tag.split(|c: char| !c.is_ascii_alphanumeric()).next() {
            Some("form") => form.action = value("action"),
            Some("input") => form.fields.push((value("name"), value("value"))),
            Some("button") => form.buttons.push((value("name"), value("value"))),
            _ => {}
        }
    }
    Some(form)
}

/// The value of a double-quoted attribute. Our pages escape `<` and quotes
/// inside values, so that splitting on them is sound.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag.get(start..)?.split('"').next()?;
    Some(
        value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_its_fields_and_buttons() {
        let html = r#"<p>x</p><form method="post" action="/go?a=1&amp;b=2">
            <input type="hidden" name="ticket" value="t&quot;1"><input name="login" required>
            <button name="decision" value="deny">No</button>
            <button name="decision" value="allow">Yes</button></form><input name="outside">"#;
        let mut form = first(html).expect("a form");
        assert_eq!(form.action, "/go?a=1&b=2");
        assert!(form.has("login") && !form.has("outside"));
        form.set("login", "é");
        assert!(!form.press("decision", "maybe"));
        assert!(form.press("decision", "allow"));
        assert_eq!(form.encoded(), "ticket=t%221&login=%C3%A9&decision=allow");
    }
}
