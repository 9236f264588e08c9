//! The `linkspan` command line.

fn main() {}
