//! The model of attribution as a file: what `leaseline fit` writes and the daemon reads at start and at each reload.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::core::attribution::Model;
use crate::io::archive::write_whole_as;

/// The model that a configuration names; the built-in one while the file is not there.
pub fn load_model(config: &Config) -> io::Result<Arc<Model>> {
    match read_model(&config.attribution.model) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Arc::default()),
        read => read.map(Arc::new),
    }
}

/// Reads one file. Errors name the file and what is wrong with it.
pub fn read_model(path: &Path) -> io::Result<Model> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let text = fs::read(path).map_err(named)?;
    let model: Model = serde_json::from_slice(&text).map_err(|error| bad(format!("is not a model: {error}")))?;
    if model.is_whole() { Ok(model) } else { Err(bad("is not a whole model: run `leaseline fit` again".into())) }
}

/// Writes a model whole or not at all.
pub fn write_model(path: &Path, model: &Model) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(model).map_err(io::Error::other)?;
    text.push('\n');
    write_whole_as(path, text.as_bytes(), 0o644)
}
