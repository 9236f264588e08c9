//! Builds again when a migration changes: embedding them does not tell Cargo
//! which files it read.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
