//! Compiles the files of `providers/` in: each as one line of JSON, an alias laid
//! over its parent, in the order of slugs. A new file needs no other edit.
//!
//! Nothing is checked here but what this needs; a test checks every file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde_yaml::{Mapping, Value};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    let table = Path::new(&out).join("builtin.rs");
    if env::var_os("CARGO_FEATURE_CATALOGUE").is_none() {
        return Ok(fs::write(table, "static BUILTIN: [Builtin; 0] = [];\n")?);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    println!("cargo::rerun-if-changed={}", folder.display());
    let files = read(&folder)?;
    let mut rust = format!("static BUILTIN: [Builtin; {}] = [\n", files.len());
    for slug in files.keys() {
        let keys = resolve(&files, slug, 0)?;
        let mut named = Mapping::new();
        named.insert("name".into(), slug.as_str().into());
        named.extend(keys);
        let words = words(slug, &named);
        let json = serde_json::to_string(&named)?;
        writeln!(rust, "    Builtin::new({slug:?}, {words:?}, {json:?}),")?;
    }
    rust.push_str("];\n");
    Ok(fs::write(table, rust)?)
}

fn read(folder: &Path) -> Result<BTreeMap<String, Mapping>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(slug) = name.and_then(|name| name.strip_suffix(".yaml")) {
            let keys = serde_yaml::from_str(&fs::read_to_string(&path)?)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            files.insert(slug.to_owned(), keys);
        }
    }
    Ok(files)
}

/// The keys of a template, its own over its parent's, as `catalogue/layer.rs` lays
/// them.
fn resolve(
    files: &BTreeMap<String, Mapping>,
    slug: &str,
    depth: usize,
) -> Result<Mapping, Box<dyn Error>> {
    let own = files
        .get(slug)
        .ok_or_else(|| format!("an alias is of {slug}, which is not there"))?;
    let Some(parent) = own.get("alias").and_then(Value::as_str) else {
        return Ok(own.clone());
    };
    if depth > files.len() {
        return Err(format!("{slug} is an alias of itself").into());
    }
    let mut keys = resolve(files, parent, depth + 1)?;
    keys.shift_remove("known_fault");
    keys.extend(own.clone());
    Ok(keys)
}

/// What a search looks at, a line each, in lower case.
fn words(slug: &str, keys: &Mapping) -> String {
    let name = keys.get("display_name").and_then(Value::as_str);
    let categories = keys.get("categories").and_then(Value::as_sequence);
    let categories = categories.into_iter().flatten().filter_map(Value::as_str);
    let lines: Vec<&str> = [slug].into_iter().chain(name).chain(categories).collect();
    lines.join("\n").to_lowercase()
}
