//! What no single key shows.

use fancy_regex::Regex;
use serde_json::Value;

use super::{Finding, Keys, Subject};
use crate::{AuthMode, ClientRegistration, Fields, Paginate, Proxy, Template, TokenUrl};

/// Checks a template whose keys are those of the format.
pub(super) fn check(subject: &Subject<'_>, template: &Template, findings: &mut Vec<Finding>) {
    for key in template.missing_keys() {
        let message = format!("is required by auth_mode {}", template.auth_mode);
        findings.push(subject.fault(key, message));
    }
    let is_dynamic = template.client_registration == Some(ClientRegistration::Dynamic);
    if is_dynamic && template.registration_url.is_none() {
        let message = "is required by client_registration dynamic";
        findings.push(subject.fault("registration_url", message));
    }
    if let Some(quirk) = template
        .quirk
        .as_deref()
        .filter(|_| subject.is_own("quirk"))
        && !subject.quirks.contains(&quirk)
    {
        let known = subject.quirks.join(", ");
        let message = format!("there is no quirk `{quirk}`; there are: {known}");
        findings.push(subject.error("quirk", message));
    }
    let is_split = matches!(template.token_url, Some(TokenUrl::PerMode(_)));
    if is_split != (template.auth_mode == AuthMode::Custom) && template.token_url.is_some() {
        let message =
            "is a map of OAUTH2 and APP with auth_mode CUSTOM, and one address with others";
        findings.push(subject.fault("token_url", message));
    }
    for (group, fields) in template.groups() {
        if subject.is_own(group) {
            check_fields(subject, group, fields, findings);
        }
    }
    if let Some(proxy) = template.proxy.as_ref().filter(|_| subject.is_own("proxy")) {
        check_proxy(subject, proxy, findings);
        findings.extend(dropped(subject));
    }
}

fn check_fields(subject: &Subject<'_>, group: &str, fields: &Fields, findings: &mut Vec<Finding>) {
    for (name, field) in &fields.0 {
        let key = |attribute: &str| format!("{group}.{name}.{attribute}");
        if let Some(Err(problem)) = field.pattern.as_ref().map(crate::Pattern::check) {
            let message = format!("is not a regular expression: {problem}");
            findings.push(subject.fault(&key("pattern"), message));
        }
        let default = field.default_value.as_ref();
        if let Some(default) = default.filter(|value| !value.is_empty())
            && let Err(problem) = field.check(default)
        {
            findings.push(subject.fault(&key("default_value"), problem));
        }
        let Some(condition) = &field.visible_when else {
            continue;
        };
        let other = fields.0.get(&condition.field);
        let problem = match other {
            None => format!("{group} has no field `{}`", condition.field),
            Some(other) => match other.check(&condition.equals) {
                Ok(()) => continue,
                Err(problem) => format!("`{}` never has that value: it {problem}", condition.field),
            },
        };
        findings.push(subject.fault(&key("visible_when"), problem));
    }
}

fn check_proxy(subject: &Subject<'_>, proxy: &Proxy, findings: &mut Vec<Finding>) {
    if let Some(retry) = &proxy.retry {
        for (index, status) in retry.error_code.iter().enumerate() {
            if !is_status(status) {
                let message =
                    format!("`{status}` is neither a status nor a range (403, 5xx, 500-502)");
                let key = format!("proxy.retry.error_code[{index}]");
                findings.push(subject.error(&key, message));
            }
        }
        if let Some(in_body) = &retry.in_body {
            let slashed = in_body.value.strip_prefix('/');
            let expression = slashed.and_then(|rest| rest.rsplit_once('/'));
            let compiled = expression.and_then(|(inner, _)| Regex::new(inner).ok());
            if compiled.is_none_or(|regex| regex.captures_len() != 2) {
                let message = "is not a regular expression between slashes with one group";
                findings.push(subject.error("proxy.retry.in_body.value", message));
            }
        }
    }
    if let Some(Paginate::Cursor {
        cursor_name_in_request,
        cursor_path_in_response,
        offset_name_in_request,
        ..
    }) = &proxy.paginate
    {
        let key = |name: &str| format!("proxy.paginate.{name}");
        let required = [
            ("cursor_name_in_request", cursor_name_in_request.is_some()),
            ("cursor_path_in_response", cursor_path_in_response.is_some()),
        ];
        for (name, _) in required.into_iter().filter(|(_, is_there)| !is_there) {
            findings.push(subject.fault(&key(name), "is required by type cursor"));
        }
        if offset_name_in_request.is_some() {
            let name = key("offset_name_in_request");
            findings.push(subject.fault(&name, "has no meaning with type cursor"));
        }
    }
}

/// `403`, `5xx` or `500-502` (CONTRACT 2.7, "Retry").
fn is_status(text: &str) -> bool {
    let is_number = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('-') {
        Some((from, to)) => is_number(from) && is_number(to) && from <= to,
        None => is_number(text) || matches!(text.as_bytes(), [b'1'..=b'5', b'x', b'x']),
    }
}

/// What an alias loses with its parent's `proxy`, which its own replaces.
fn dropped(subject: &Subject<'_>) -> Option<Finding> {
    let proxy = |keys: &'_ Keys| keys.get("proxy").and_then(Value::as_object).cloned();
    let (own, parents) = (proxy(subject.own)?, proxy(subject.parent?)?);
    let gone = parents.keys().filter(|key| !own.contains_key(*key));
    let gone: Vec<&str> = gone.map(String::as_str).collect();
    if gone.is_empty() {
        return None;
    }
    let parent = subject
        .own
        .get("alias")
        .or_else(|| subject.keys.get("alias"));
    let parent = parent.and_then(Value::as_str).unwrap_or_default();
    let message = format!(
        "replaces that of `{parent}` as a whole; gone with it: {}",
        gone.join(", ")
    );
    Some(subject.error("proxy", message).warning())
}
