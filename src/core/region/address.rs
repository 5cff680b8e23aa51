//! Where an address of the network is, as a database in MaxMind's format says.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::{PathElement, Reader};

/// A database in MaxMind's format: GeoLite2, GeoIP2, DB-IP and others, of cities or of countries.
pub struct AddressRegions {
    reader: Reader<Vec<u8>>,
}

impl AddressRegions {
    /// Reads a whole file.
    ///
    /// # Errors
    /// A sentence that says why it is no such database.
    pub fn read(bytes: Vec<u8>) -> Result<AddressRegions, String> {
        let reader =
            Reader::from_source(bytes).map_err(|error| format!("is no database in MaxMind's format: {error}"))?;
        Ok(AddressRegions { reader })
    }

    /// Country and first subdivision (`RU-MOW`), or the country alone; `None`: the database does not have it. The address
    /// is not kept.
    pub fn of(&self, address: IpAddr) -> Option<Arc<str>> {
        let found = self.reader.lookup(address.to_canonical()).ok()?;
        let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        let code = PathElement::Key("iso_code");
        let country = text(&[PathElement::Key("country"), code.clone()])?;
        let subdivision = text(&[PathElement::Key("subdivisions"), PathElement::Index(0), code]);
        region(country, subdivision)
    }

    /// What it calls itself, like `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }
}

impl fmt::Debug for AddressRegions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressRegions").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// What is no code of ISO 3166 is left out.
fn region(country: &str, subdivision: Option<&str>) -> Option<Arc<str>> {
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let is_code = |code: &&str| {
        (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    Some(match subdivision.filter(is_code) {
        Some(code) => format!("{country}-{code}").into(),
        None => country.into(),
    })
}
