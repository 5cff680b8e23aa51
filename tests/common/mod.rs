//! What several tests read.

use std::path::Path;

use bytes::Bytes;

/// The messages of RFC 4475 and RFC 5118 with their names, in order.
pub fn torture() -> Vec<(String, Bytes)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut messages = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        for entry in std::fs::read_dir(root.join(rfc)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{rfc}/{}", path.file_stem().unwrap().to_string_lossy());
            messages.push((name, Bytes::from(std::fs::read(path).unwrap())));
        }
    }
    messages.sort();
    messages
}
