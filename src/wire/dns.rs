//! DNS messages (RFC 1035 §4), as far as finding a SIP server needs them: one question; answers of type A, AAAA, SRV
//! (RFC 2782) and NAPTR (RFC 3403), aliases followed; how long a negative answer holds (RFC 2308).
//!
//! Everything is bounded: a name by its 255 bytes, its pointers by going backwards only, records by
//! [`limits::DNS_RECORDS`]. What is malformed makes the whole message unreadable; nothing is guessed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits;

/// Record types that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    A,
    Aaaa,
    Srv,
    Naptr,
}

impl Type {
    const fn code(self) -> u16 {
        match self {
            Type::A => 1,
            Type::Aaaa => 28,
            Type::Srv => 33,
            Type::Naptr => 35,
        }
    }
}

const CNAME: u16 = 5;
const SOA: u16 = 6;
const INTERNET: u16 = 1;
const HEADER: usize = 12;

/// Data of one record. Names are in lower case, without the dot at the end; the root is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    Address(IpAddr),
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Naptr { order: u16, preference: u16, flags: String, service: String, replacement: String },
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Records of the type that was asked for, at the end of the aliases; seconds that they hold.
    Records(Vec<Data>, u32),
    /// No such name, or no such record: seconds that this holds, when the zone says so.
    Nothing(Option<u32>),
    /// It did not fit: to be asked again over TCP.
    Truncated,
    /// SERVFAIL, REFUSED and the like.
    Refused(u8),
}

/// The message cannot be read, or is no answer to this question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A query for one record type, recursion desired, with room for 1,232 bytes of answer (RFC 6891). `None` when the name is
/// none.
pub fn query(id: u16, name: &str, kind: Type) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(64);
    for word in [id, 0x0100, 1, 0, 0, 1] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    push_name(&mut bytes, name)?;
    for word in [kind.code(), INTERNET] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    // OPT: root, type 41, our payload size, no extended code, version or options.
    bytes.push(0);
    for word in [41, 1232, 0, 0, 0] {
        bytes.extend_from_slice(&u16::to_be_bytes(word));
    }
    Some(bytes)
}

fn push_name(bytes: &mut Vec<u8>, name: &str) -> Option<()> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    Some(())
}

/// Reads the response to `query(id, name, kind)`.
///
/// # Errors
/// Not a response, another id or question, or malformed: such a datagram is passed by, the right one may still come.
pub fn response(bytes: &[u8], id: u16, name: &str, kind: Type) -> Result<Response, Unreadable> {
    let mut reader = Reader { bytes, at: 0 };
    let [their_id, flags, questions, answers, authorities] = reader.words()?;
    reader.at = HEADER;
    if their_id != id || flags & 0x8000 == 0 || questions != 1 {
        return Err(Unreadable);
    }
    let asked = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if reader.name()? != asked || reader.words()? != [kind.code(), INTERNET] {
        return Err(Unreadable);
    }
    if flags & 0x0200 != 0 {
        return Ok(Response::Truncated);
    }
    let code = u8::try_from(flags & 0xf).unwrap_or(0);
    if !matches!(code, 0 | 3) {
        return Ok(Response::Refused(code));
    }
    let found = records(&mut reader, answers, asked, kind)?;
    match found {
        Some(found) if !found.0.is_empty() && code == 0 => Ok(Response::Records(found.0, found.1)),
        // The authorities are of use only when all answers were read.
        Some(_) => Ok(Response::Nothing(negative_ttl(&mut reader, authorities)?)),
        None => Ok(Response::Nothing(None)),
    }
}

/// Records of the type at the end of the aliases, and the shortest time among all on the way. `None`: more aliases than
/// anybody needs.
fn records(
    reader: &mut Reader<'_>,
    count: u16,
    asked: String,
    kind: Type,
) -> Result<Option<(Vec<Data>, u32)>, Unreadable> {
    let mut aliases: Vec<(String, String, u32)> = Vec::new();
    let mut found: Vec<(String, Data, u32)> = Vec::new();
    for _ in 0..count {
        let record = reader.record()?;
        if record.class != INTERNET {
            continue;
        }
        if record.kind == CNAME && aliases.len() < limits::DNS_RECORDS {
            let mut data = Reader { bytes: reader.bytes, at: record.data };
            aliases.push((record.owner, data.name()?, record.ttl));
        } else if record.kind == kind.code() && found.len() < limits::DNS_RECORDS {
            let data = reader.data(&record, kind)?;
            found.push((record.owner, data, record.ttl));
        }
    }
    let (mut name, mut ttl) = (asked, u32::MAX);
    for _ in 0..8 {
        let Some((_, target, of)) = aliases.iter().find(|(owner, ..)| *owner == name) else {
            let at_end = found.into_iter().filter(|(owner, ..)| *owner == name);
            let (data, ttls): (Vec<Data>, Vec<u32>) = at_end.map(|(_, data, ttl)| (data, ttl)).unzip();
            return Ok(Some((data, ttls.into_iter().fold(ttl, u32::min))));
        };
        ttl = ttl.min(*of);
        name.clone_from(target);
    }
    Ok(None)
}

/// RFC 2308 §5: the lesser of the SOA's own time and its minimum.
fn negative_ttl(reader: &mut Reader<'_>, count: u16) -> Result<Option<u32>, Unreadable> {
    for _ in 0..count {
        let record = reader.record()?;
        if record.kind == SOA {
            let mut data = Reader { bytes: reader.bytes, at: record.data };
            data.name()?;
            data.name()?;
            let [.., high, low] = data.words::<10>()?;
            return Ok(Some(record.ttl.min(u32::from(high) << 16 | u32::from(low))));
        }
    }
    Ok(None)
}

struct Record {
    owner: String,
    kind: u16,
    class: u16,
    ttl: u32,
    /// Where the data begins and ends.
    data: usize,
    end: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Unreadable> {
        let byte = self.bytes.get(self.at).copied().ok_or(Unreadable)?;
        self.at += 1;
        Ok(byte)
    }

    fn words<const N: usize>(&mut self) -> Result<[u16; N], Unreadable> {
        let mut words = [0; N];
        for word in &mut words {
            *word = u16::from(self.byte()?) << 8 | u16::from(self.byte()?);
        }
        Ok(words)
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let length = usize::from(self.byte()?);
        let text = self.bytes.get(self.at..self.at + length).ok_or(Unreadable)?;
        self.at += length;
        Ok(text.iter().map(|byte| char::from(*byte)).collect())
    }

    /// A name, its pointers followed backwards only (RFC 1035 §4.1.4).
    fn name(&mut self) -> Result<String, Unreadable> {
        let mut name = String::new();
        let (mut at, mut lowest, mut end) = (self.at, self.at, None);
        loop {
            let length = usize::from(self.bytes.get(at).copied().ok_or(Unreadable)?);
            match length {
                0 => break,
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + length).ok_or(Unreadable)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    // A dot inside a label would make another name of it.
                    if name.len() + length > 253 || !label.iter().all(|b| b.is_ascii_graphic() && *b != b'.') {
                        return Err(Unreadable);
                    }
                    name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                    at += 1 + length;
                }
                0xc0.. => {
                    let low = usize::from(self.bytes.get(at + 1).copied().ok_or(Unreadable)?);
                    end.get_or_insert(at + 2);
                    at = (length & 0x3f) << 8 | low;
                    if at >= lowest {
                        return Err(Unreadable);
                    }
                    lowest = at;
                }
                _ => return Err(Unreadable),
            }
        }
        self.at = end.unwrap_or(at + 1);
        Ok(name)
    }

    fn record(&mut self) -> Result<Record, Unreadable> {
        let owner = self.name()?;
        let [kind, class, high, low, length] = self.words()?;
        let data = self.at;
        let end = data + usize::from(length);
        if end > self.bytes.len() {
            return Err(Unreadable);
        }
        self.at = end;
        // RFC 2181 §8: a time with its highest bit set is zero.
        let ttl = u32::from(high) << 16 | u32::from(low);
        Ok(Record { owner, kind, class, ttl: if ttl >> 31 == 1 { 0 } else { ttl }, data, end })
    }

    fn data(&self, record: &Record, kind: Type) -> Result<Data, Unreadable> {
        let mut reader = Reader { bytes: self.bytes, at: record.data };
        let data = match kind {
            Type::A => {
                let [high, low] = reader.words()?;
                Data::Address(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
            }
            Type::Aaaa => Data::Address(IpAddr::V6(Ipv6Addr::from(reader.words::<8>()?))),
            Type::Srv => {
                let [priority, weight, port] = reader.words()?;
                Data::Srv { priority, weight, port, target: reader.name()? }
            }
            Type::Naptr => {
                let [order, preference] = reader.words()?;
                let (flags, service) = (reader.text()?, reader.text()?);
                reader.text()?;
                Data::Naptr { order, preference, flags, service, replacement: reader.name()? }
            }
        };
        if reader.at == record.end { Ok(data) } else { Err(Unreadable) }
    }
}

#[cfg(test)]
mod tests;
