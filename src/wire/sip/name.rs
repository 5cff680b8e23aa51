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

/// Long name as its specification writes it and compact form (0 when there is none).
static NAMES: [(&[u8], u8); COUNT] = [
    (b"To", b't'),
    (b"Via", b'v'),
    (b"CSeq", 0),
    (b"Date", 0),
    (b"From", b'f'),
    (b"Join", 0),
    (b"Path", 0),
    (b"RAck", 0),
    (b"RSeq", 0),
    (b"Allow", 0),
    (b"Event", b'o'),
    (b"Route", 0),
    (b"Accept", 0),
    (b"Min-SE", 0),
    (b"Reason", 0),
    (b"Server", 0),
    (b"Call-ID", b'i'),
    (b"Contact", b'm'),
    (b"Expires", 0),
    (b"Privacy", 0),
    (b"Refer-To", b'r'),
    (b"Replaces", 0),
    (b"Reply-To", 0),
    (b"Require", 0),
    (b"Subject", b's'),
    (b"Warning", 0),
    (b"Priority", 0),
    (b"SIP-ETag", 0),
    (b"Diversion", 0),
    (b"Identity", b'y'),
    (b"Supported", b'k'),
    (b"Timestamp", 0),
    (b"Alert-Info", 0),
    (b"Error-Info", 0),
    (b"User-Agent", 0),
    (b"Call-Info", 0),
    (b"In-Reply-To", 0),
    (b"Min-Expires", 0),
    (b"MIME-Version", 0),
    (b"Organization", 0),
    (b"Record-Route", 0),
    (b"Referred-By", b'b'),
    (b"Retry-After", 0),
    (b"SIP-If-Match", 0),
    (b"Unsupported", 0),
    (b"User-To-User", 0),
    (b"Allow-Events", b'u'),
    (b"Content-Type", b'c'),
    (b"History-Info", 0),
    (b"Identity-Info", b'n'),
    (b"Max-Forwards", 0),
    (b"Accept-Contact", b'a'),
    (b"Authorization", 0),
    (b"Content-Length", b'l'),
    (b"Geolocation", 0),
    (b"Proxy-Require", 0),
    (b"Reject-Contact", b'j'),
    (b"Target-Dialog", 0),
    (b"Accept-Encoding", 0),
    (b"Accept-Language", 0),
    (b"Remote-Party-ID", 0),
    (b"Request-Disposition", b'd'),
    (b"Session-Expires", b'x'),
    (b"WWW-Authenticate", 0),
    (b"Content-Encoding", b'e'),
    (b"Content-Language", 0),
    (b"P-Asserted-Identity", 0),
    (b"P-Called-Party-ID", 0),
    (b"P-Preferred-Identity", 0),
    (b"Authentication-Info", 0),
    (b"Content-Disposition", 0),
    (b"Proxy-Authenticate", 0),
    (b"Proxy-Authorization", 0),
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
        // Most peers write names as the specifications do.
        Some((long, _)) if *long == name || long.eq_ignore_ascii_case(name) => id,
        _ => OTHER,
    }
}

/// [`lookup`] at compile time, for lower-case long names that must be there.
const fn id_of(name: &[u8]) -> NameId {
    let mut i = 0;
    while i < NAMES.len() {
        let long = NAMES[i].0;
        let mut k = 0;
        while k < name.len() && long.len() == name.len() && long[k].to_ascii_lowercase() == name[k] {
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
