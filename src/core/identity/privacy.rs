//! Privacy (RFC 3323 §4.2, RFC 3325 §9.3, RFC 7044 §10.1): what the caller asked to be kept from the callee.

use std::fmt;

/// A set of `priv-value`s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Privacy(u8);

impl Privacy {
    /// The network may tell the caller's identity to nobody outside its trust domain.
    pub const ID: Privacy = Privacy(1);
    /// Headers that tell where the caller is: a B2BUA sends none of them on.
    pub const HEADER: Privacy = Privacy(2);
    /// Session descriptions that tell it: ours name our own media addresses only.
    pub const SESSION: Privacy = Privacy(4);
    /// What the caller's phone should have hidden itself.
    pub const USER: Privacy = Privacy(8);
    /// The caller wants no privacy.
    pub const NONE: Privacy = Privacy(16);
    /// The call must not go on without it.
    pub const CRITICAL: Privacy = Privacy(32);
    /// History-Info tells nobody where the call has been.
    pub const HISTORY: Privacy = Privacy(64);
    const UNKNOWN: Privacy = Privacy(128);

    const NAMES: [(&'static str, Privacy); 7] = [
        ("id", Privacy::ID),
        ("header", Privacy::HEADER),
        ("session", Privacy::SESSION),
        ("user", Privacy::USER),
        ("none", Privacy::NONE),
        ("critical", Privacy::CRITICAL),
        ("history", Privacy::HISTORY),
    ];

    /// All values together. Several are separated by `;`, and by `,` from those who read the grammar loosely. `full`
    /// is of no RFC and is what old switches write for `id`.
    pub fn read<'a>(values: impl Iterator<Item = &'a str>) -> Privacy {
        let mut all = Privacy::default();
        for word in values.flat_map(|value| value.split(';')).map(str::trim).filter(|word| !word.is_empty()) {
            let known = Privacy::NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, bit)| *bit);
            let known = known.or(word.eq_ignore_ascii_case("full").then_some(Privacy::ID));
            all.0 |= known.unwrap_or(Privacy::UNKNOWN).0;
        }
        all
    }

    pub const fn has(self, other: Privacy) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The caller's number and name are to be withheld. `header` and `session` ask for what a B2BUA does anyway.
    pub const fn hides_caller(self) -> bool {
        (self.has(Privacy::ID) || self.has(Privacy::USER)) && !self.has(Privacy::NONE)
    }

    /// History-Info is to be withheld: RFC 7044 §10.1.2 counts `header` and `session` in.
    pub const fn hides_history(self) -> bool {
        (self.has(Privacy::HISTORY) || self.has(Privacy::HEADER) || self.has(Privacy::SESSION))
            && !self.has(Privacy::NONE)
    }

    /// RFC 3323 §5: `critical`, and a kind of privacy that nobody here can give.
    pub const fn insists_on_unknown(self) -> bool {
        self.has(Privacy::CRITICAL) && self.has(Privacy::UNKNOWN)
    }
}

impl fmt::Display for Privacy {
    /// As a header value, in a fixed order; unknown words are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (name, bit) in Privacy::NAMES {
            if self.has(bit) {
                write!(f, "{gap}{name}")?;
                gap = ";";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Privacy({self})")
    }
}
