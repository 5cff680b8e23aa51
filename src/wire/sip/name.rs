//! Header names we know, with their compact forms (RFC 3261 §20 and the registry of RFC 3968). A span carries the
//! number of its name, so that a look-up compares one byte a header.

/// Number of a known header name, from 1 to [`COUNT`]; 0 is any other name.
pub(super) type NameId = u8;

pub(super) const OTHER: NameId = 0;
pub(super) const CALL_ID: NameId = id_of(b"call-id");
pub(super) const CONTENT_LENGTH: NameId = id_of(b"content-length");
pub(super) const CONTENT_TYPE: NameId = id_of(b"content-type");
pub(super) const CONTENT_DISPOSITION: NameId = id_of(b"content-disposition");
pub(super) const CSEQ: NameId = id_of(b"cseq");
pub(super) const EVENT: NameId = id_of(b"event");
pub(super) const EXPIRES: NameId = id_of(b"expires");
pub(super) const FROM: NameId = id_of(b"from");
pub(super) const MAX_FORWARDS: NameId = id_of(b"max-forwards");
pub(super) const MIN_SE: NameId = id_of(b"min-se");
pub(super) const RACK: NameId = id_of(b"rack");
pub(super) const RECORD_ROUTE: NameId = id_of(b"record-route");
pub(super) const REFER_TO: NameId = id_of(b"refer-to");
pub(super) const REPLACES: NameId = id_of(b"replaces");
pub(super) const RSEQ: NameId = id_of(b"rseq");
pub(super) const SESSION_EXPIRES: NameId = id_of(b"session-expires");
pub(super) const TIMESTAMP: NameId = id_of(b"timestamp");
pub(super) const TO: NameId = id_of(b"to");
pub(super) const VIA: NameId = id_of(b"via");

/// How many names are known.
pub(super) const COUNT: usize = 73;

/// Long name in lower case and compact form (0 when there is none).
static NAMES: [(&[u8], u8); COUNT] = [
    (b"to", b't'),
    (b"via", b'v'),
    (b"cseq", 0),
    (b"date", 0),
    (b"from", b'f'),
    (b"join", 0),
    (b"path", 0),
    (b"rack", 0),
    (b"rseq", 0),
    (b"allow", 0),
    (b"event", b'o'),
    (b"route", 0),
    (b"accept", 0),
    (b"min-se", 0),
    (b"reason", 0),
    (b"server", 0),
    (b"call-id", b'i'),
    (b"contact", b'm'),
    (b"expires", 0),
    (b"privacy", 0),
    (b"refer-to", b'r'),
    (b"replaces", 0),
    (b"reply-to", 0),
    (b"require", 0),
    (b"subject", b's'),
    (b"warning", 0),
    (b"priority", 0),
    (b"sip-etag", 0),
    (b"diversion", 0),
    (b"identity", b'y'),
    (b"supported", b'k'),
    (b"timestamp", 0),
    (b"alert-info", 0),
    (b"error-info", 0),
    (b"user-agent", 0),
    (b"call-info", 0),
    (b"in-reply-to", 0),
    (b"min-expires", 0),
    (b"mime-version", 0),
    (b"organization", 0),
    (b"record-route", 0),
    (b"referred-by", b'b'),
    (b"retry-after", 0),
    (b"sip-if-match", 0),
    (b"unsupported", 0),
    (b"user-to-user", 0),
    (b"allow-events", b'u'),
    (b"content-type", b'c'),
    (b"history-info", 0),
    (b"identity-info", b'n'),
    (b"max-forwards", 0),
    (b"accept-contact", b'a'),
    (b"authorization", 0),
    (b"content-length", b'l'),
    (b"geolocation", 0),
    (b"proxy-require", 0),
    (b"reject-contact", b'j'),
    (b"target-dialog", 0),
    (b"accept-encoding", 0),
    (b"accept-language", 0),
    (b"remote-party-id", 0),
    (b"request-disposition", b'd'),
    (b"session-expires", b'x'),
    (b"www-authenticate", 0),
    (b"content-encoding", b'e'),
    (b"content-language", 0),
    (b"p-asserted-identity", 0),
    (b"p-called-party-id", 0),
    (b"p-preferred-identity", 0),
    (b"authentication-info", 0),
    (b"content-disposition", 0),
    (b"proxy-authenticate", 0),
    (b"proxy-authorization", 0),
];

/// Places of [`NAMES`] by [`hash`], on which no two of them agree.
static BY_HASH: [NameId; 256] = {
    let mut table = [OTHER; 256];
    let mut i = 0;
    while i < NAMES.len() {
        let at = hash(NAMES[i].0);
        assert!(table[at] == OTHER, "two names with one hash: choose other factors");
        table[at] = i as NameId + 1;
        i += 1;
    }
    table
};

/// Of the length and the first, middle and last byte, letters of either case alike. Less than 256.
const fn hash(name: &[u8]) -> usize {
    let len = name.len();
    let (first, middle, last) = (name[0] | 0x20, name[len / 2] | 0x20, name[len - 1] | 0x20);
    (len * 56 + first as usize * 11 + middle as usize * 57 + last as usize) % 256
}

/// For each letter of a compact form, the name's number.
static BY_LETTER: [NameId; 128] = {
    let mut table = [OTHER; 128];
    let mut i = 0;
    while i < NAMES.len() {
        let letter = NAMES[i].1;
        if letter != 0 {
            table[letter as usize] = i as NameId + 1;
        }
        i += 1;
    }
    table
};

/// Number of a name in long or compact form, any case.
pub(super) fn lookup(name: &[u8]) -> NameId {
    if let [letter] = name {
        return BY_LETTER.get(usize::from(letter.to_ascii_lowercase())).copied().unwrap_or(OTHER);
    }
    if name.is_empty() {
        return OTHER;
    }
    let id = BY_HASH.get(hash(name)).copied().unwrap_or(OTHER);
    match NAMES.get(usize::from(id).wrapping_sub(1)) {
        Some((long, _)) if long.eq_ignore_ascii_case(name) => id,
        _ => OTHER,
    }
}

/// [`lookup`] at compile time, for lower-case long names that must be there.
const fn id_of(name: &[u8]) -> NameId {
    let mut i = 0;
    while i < NAMES.len() {
        let long = NAMES[i].0;
        let mut k = 0;
        while k < name.len() && long.len() == name.len() && long[k] == name[k] {
            k += 1;
        }
        if k == name.len() {
            return i as NameId + 1;
        }
        i += 1;
    }
    panic!("not in the table");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_both_forms_and_any_case() {
        for (at, (long, letter)) in NAMES.iter().enumerate() {
            let id = NameId::try_from(at + 1).unwrap();
            assert_eq!(lookup(long), id);
            assert_eq!(lookup(&long.to_ascii_uppercase()), id);
            if *letter != 0 {
                assert_eq!(lookup(&[*letter]), id);
                assert_eq!(lookup(&[letter.to_ascii_uppercase()]), id);
            }
        }
    }

    #[test]
    fn other_names_have_no_number() {
        for name in [&b""[..], b"q", b"x-unknown", b"viaa", b"vi", b"\xff", b"a-name-longer-than-all-that-we-know"] {
            assert_eq!(lookup(name), OTHER);
        }
    }
}
