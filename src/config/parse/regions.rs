//! `[regions]`, and the files that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::RegionRules;
use super::super::read::{Found, Reader, Section};
use crate::core::region::{AddressRegions, Reading};
use crate::limits;

pub(super) fn regions<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> RegionRules {
    let mut s = r.section(root, "regions");
    let base = r.relative("");
    let mut reading = Reading::default();
    let russia = r.list(&mut s, "russia", |text| {
        let file = file(&base, text)?;
        let bytes = load(&file)?;
        // Messages name the file as the operator did.
        reading.file(text, &bytes).map_err(|bad| format!("{} {bad}", file.display()))?;
        Ok(file)
    });
    let database = r.text(&mut s, "database", |text| {
        let file = file(&base, text)?;
        let addresses = AddressRegions::read(load(&file)?).map_err(|bad| format!("{} {bad}", file.display()))?;
        Ok((file, Arc::new(addresses)))
    });
    if let Found::Is(files, place) = &russia
        && files.len() > limits::REGION_FILES
    {
        r.problem(place, format!("has {} files; at most {} are read", files.len(), limits::REGION_FILES));
    }
    r.end(s);
    let (database, addresses) = database.optional().unzip();
    RegionRules {
        russia: russia.or(Vec::new()).into_iter().map(|(file, _)| file).collect(),
        database,
        numbers: Arc::new(reading.finish()),
        addresses,
    }
}

fn file(base: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') { Err("is not a path".to_owned()) } else { Ok(base.join(text)) }
}

fn load(file: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let shown = file.display();
    let open = std::fs::File::open(file).map_err(|error| format!("cannot open {shown}: {error}"))?;
    let mut bytes = Vec::new();
    let read = open.take(limits::REGION_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read {shown}: {error}"))?;
    if bytes.len() as u64 > limits::REGION_FILE {
        return Err(format!("{shown} has more than {} MiB", limits::REGION_FILE >> 20));
    }
    Ok(bytes)
}
