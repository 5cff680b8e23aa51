//! What may happen within a call, as it will be used.

use super::super::{Passage, TransferMode, TransferRules, Within};
use super::Writer;

pub(super) fn of_trunk(out: &mut Writer, rules: &Within) {
    out.text("transfer", mode(rules.transfer));
    out.text("info", passage(rules.info));
    out.text("message", passage(rules.message));
    out.text("dtmf", rules.dtmf.as_str());
    out.list("content_types", &rules.content_types);
}

pub(super) fn of_company(out: &mut Writer, rules: &TransferRules) {
    out.text("transfer", mode(rules.mode));
    if rules.mode == TransferMode::Local {
        out.list("transfer_to", &rules.to);
    }
}

const fn mode(mode: TransferMode) -> &'static str {
    match mode {
        TransferMode::Refuse => "refuse",
        TransferMode::Relay => "relay",
        TransferMode::Local => "local",
    }
}

const fn passage(passage: Passage) -> &'static str {
    match passage {
        Passage::Relay => "relay",
        Passage::Absorb => "absorb",
        Passage::Refuse => "refuse",
    }
}
