//! Our document beside the public one, operation by operation.

use serde_json::Value;

use super::document::{Document, list};

/// Operations of the public document that this server does not have yet, each
/// by the feature that brings it.
const NOT_COVERED: &[(&str, &[&str])] = &[
    (
        "functions",
        &[
            "DELETE /integrations/{}/functions/{}",
            "GET /functions/deployments/{}",
            "GET /functions/dryruns/{}",
            "GET /integrations/{}/functions",
            "GET /integrations/{}/functions/{}",
            "GET /integrations/{}/functions/{}/code",
            "GET /scripts/config",
            "POST /functions/compile",
            "POST /functions/deployments",
            "POST /functions/dryruns",
        ],
    ),
    ("actions", &["GET /action/{}", "POST /action/trigger"]),
];

/// Where we differ, and why.
const DIFFERENT: &[(&str, &[&str])] = &[
    (
        "a session's token is shown when it is opened, and to nobody who has it already",
        &[
            "GET /connect/session: 200.data.connect_link is never answered",
            "GET /connect/session: 200.data.expires_at is never answered",
            "GET /connect/session: 200.data.token is never answered",
        ],
    ),
    (
        "a session that is gone is an unknown token, 401; a list is never missing; \
         an environment without a signing key gets one",
        &[
            "DELETE /connect/session: never answers 404",
            "GET /connect/session: never answers 404",
            "GET /integrations: never answers 404",
            "POST /environment/webhook-signing-key/rotate: never answers 404",
            "POST /environment/webhook-signing-key/rotate: never answers 409",
        ],
    ),
    (
        "there is no such feature, and refusing says so where dropping would not",
        &[
            "POST /environments: body.callback_url is unknown",
            "POST /environments: body.otlp_endpoint is unknown",
            "POST /environments: body.otlp_headers is unknown",
            "POST /environments: body.slack_notifications is unknown",
        ],
    ),
];

#[test]
fn what_is_not_covered_is_listed() {
    let ours = Document::ours();
    let ours = ours.operations();
    let public = Document::public();
    let mut missing: Vec<_> = public
        .operations()
        .into_keys()
        .filter(|operation| !ours.contains_key(operation))
        .collect();
    missing.sort();
    let mut listed: Vec<_> = NOT_COVERED
        .iter()
        .flat_map(|(_, operations)| operations.iter().copied())
        .collect();
    listed.sort_unstable();
    assert_eq!(missing, listed);
    println!("not covered yet: {NOT_COVERED:#?}");
}

#[test]
fn what_is_covered_fits() {
    let (ours, public) = (Document::ours(), Document::public());
    let our_operations = ours.operations();
    let mut found = Vec::new();
    let mut compared = 0;
    for (name, theirs) in public.operations() {
        let Some(mine) = our_operations.get(&name) else {
            continue;
        };
        compared += 1;
        let mut differences = parameters(&public, theirs, mine);
        differences.extend(request(&public, &ours, theirs, mine));
        differences.extend(answers(&public, &ours, theirs, mine));
        found.extend(
            differences
                .into_iter()
                .map(|what| format!("{name}: {what}")),
        );
    }
    assert!(compared > 30, "{compared}");
    found.sort();
    let mut known: Vec<_> = DIFFERENT
        .iter()
        .flat_map(|(_, differences)| differences.iter().copied())
        .collect();
    known.sort_unstable();
    assert_eq!(found, known);
}

/// A parameter of theirs is one of ours, and none is required of ours that
/// their clients may leave out.
fn parameters(public: &Document, theirs: &Value, mine: &Value) -> Vec<String> {
    let is_in_path = |parameter: &&Value| parameter["in"] == "path";
    let key = |parameter: &Value| {
        let name = parameter["name"].as_str().unwrap().to_lowercase();
        (parameter["in"].as_str().unwrap().to_owned(), name)
    };
    let mut found = Vec::new();
    let given: Vec<_> = list(&theirs["parameters"])
        .map(|parameter| public.resolve(parameter))
        .filter(|parameter| !is_in_path(parameter))
        // Their way to write "any name".
        .filter(|parameter| !parameter["name"].as_str().unwrap().contains('$'))
        .collect();
    for parameter in &given {
        if !list(&mine["parameters"]).any(|mine| key(mine) == key(parameter)) {
            found.push(format!("no parameter {}", parameter["name"]));
        }
    }
    for parameter in list(&mine["parameters"]).filter(|parameter| !is_in_path(parameter)) {
        let is_given =
            |theirs: &&Value| key(theirs) == key(parameter) && theirs["required"] == true;
        if parameter["required"] == true && !given.iter().any(is_given) {
            found.push(format!("requires parameter {}", parameter["name"]));
        }
    }
    found
}

/// Every field that their clients may send is known, and none is required that
/// they may leave out.
fn request(public: &Document, ours: &Document, theirs: &Value, mine: &Value) -> Vec<String> {
    let Some(theirs) = public.body(&theirs["requestBody"]) else {
        return Vec::new();
    };
    let Some(mine) = ours.body(&mine["requestBody"]) else {
        return vec!["takes no body".to_owned()];
    };
    let mut found = Vec::new();
    compare(
        public,
        ours,
        theirs,
        mine,
        "body",
        &mut |path, theirs, mine| {
            let unknown = theirs.properties.keys();
            let unknown =
                unknown.filter(|name| !mine.is_open && !mine.properties.contains_key(*name));
            found.extend(unknown.map(|name| format!("{path}.{name} is unknown")));
            let asked = mine.required.difference(&theirs.required);
            found.extend(asked.map(|name| format!("{path}.{name} is required")));
        },
    );
    found
}

/// Every status of theirs is one of ours, every field of theirs is in our
/// answer, and what they always answer we always answer.
fn answers(public: &Document, ours: &Document, theirs: &Value, mine: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (status, answer) in theirs["responses"].as_object().unwrap() {
        let my_answer = &mine["responses"][status];
        if my_answer.is_null() {
            found.push(format!("never answers {status}"));
            continue;
        }
        if !status.starts_with('2') {
            continue;
        }
        let (Some(theirs), Some(mine)) = (public.body(answer), ours.body(my_answer)) else {
            continue;
        };
        compare(
            public,
            ours,
            theirs,
            mine,
            status,
            &mut |path, theirs, mine| {
                if mine.is_open {
                    return;
                }
                let lacking = theirs.properties.keys();
                let lacking = lacking.filter(|name| !mine.properties.contains_key(*name));
                found.extend(lacking.map(|name| format!("{path}.{name} is never answered")));
                let unsure = theirs.required.difference(&mine.required);
                let unsure = unsure.filter(|name| mine.properties.contains_key(*name));
                found.extend(unsure.map(|name| format!("{path}.{name} may be absent")));
            },
        );
    }
    found
}

/// Walks two schemas side by side, as deep as both go.
fn compare(
    public: &Document,
    ours: &Document,
    theirs: &Value,
    mine: &Value,
    path: &str,
    report: &mut impl FnMut(&str, &super::document::Shape, &super::document::Shape),
) {
    if let (Some(theirs), Some(mine)) = (public.items(theirs), ours.items(mine)) {
        compare(public, ours, theirs, mine, &format!("{path}[]"), report);
        return;
    }
    let (theirs, mine) = (public.shape(theirs), ours.shape(mine));
    report(path, &theirs, &mine);
    for (name, property) in &theirs.properties {
        if let Some(my_property) = mine.properties.get(name) {
            let path = format!("{path}.{name}");
            compare(public, ours, property, my_property, &path, report);
        }
    }
}
