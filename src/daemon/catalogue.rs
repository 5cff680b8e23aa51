//! The catalogue is changed by the task that owns the configuration: one change after another, each whole.

use std::path::Path;

use crate::core::event::{Body, CatalogueData, Event};
use crate::io::catalogue::{Ask, Refused, Shown, Wanted};
use crate::io::clock;

use super::Daemon;

impl Daemon {
    /// Answers what HTTP asks of the catalogue. Whoever asked may be gone; what was changed stays changed.
    pub(super) async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Show { version, answer } => {
                let _ = answer.send(self.catalogue.show(version, self.config_path.as_deref()));
            }
            Ask::Versions { limit, answer } => {
                let _ = answer.send(self.catalogue.versions(limit).map_err(Refused::Io));
            }
            Ask::Check { catalogue, answer } => {
                let _ = answer.send(self.catalogue.wrong(*catalogue, self.config_path.as_deref()));
            }
            Ask::Take { wanted, answer } => {
                let _ = answer.send(self.take_catalogue(*wanted).await);
            }
        }
    }

    async fn take_catalogue(&mut self, wanted: Wanted) -> Result<Shown, Refused> {
        let path = self.config_path.clone();
        let file: Option<&Path> = path.as_deref();
        let (version, config) = self.catalogue.take(wanted, &self.written, file, clock::wall())?;
        self.adopt(config).await;
        tracing::info!(
            version = version.version,
            by = version.by,
            changes = version.changes.len(),
            "catalogue changed"
        );
        let data = CatalogueData {
            version: version.version,
            by: version.by,
            note: version.note,
            rolled_back_to: version.rolled_back_to,
            changes: version.changes,
        };
        let subject = format!("catalogue {}", data.version);
        self.journal.append(Event { time: clock::wall(), subject, body: Body::CatalogueChanged(data) });
        self.catalogue.show(None, file)
    }
}
