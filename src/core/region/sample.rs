//! A small database in MaxMind's format (its specification, version 2.0), written for tests.

/// One network of IPv4, its country, its first subdivision.
pub(crate) type Row<'r> = ([u8; 4], u8, &'r str, Option<&'r str>);

/// A record of the search tree.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The file: search tree with records of 24 bits, data, metadata. Networks must not lie within each other.
pub(crate) fn database(rows: &[Row<'_>]) -> Vec<u8> {
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (address, length, country, subdivision) in rows {
        let bits = u32::from_be_bytes(*address);
        let mut at = 0;
        for depth in 0..*length {
            let side = (bits >> (31 - depth) & 1) as usize;
            if depth + 1 == *length {
                nodes[at][side] = Record::Data(data.len());
            } else if let Record::Node(next) = nodes[at][side] {
                at = next;
            } else {
                nodes[at][side] = Record::Node(nodes.len());
                at = nodes.len();
                nodes.push([Record::Nothing; 2]);
            }
        }
        map(&mut data, 1 + u8::from(subdivision.is_some()));
        text(&mut data, "country");
        map(&mut data, 1);
        text(&mut data, "iso_code");
        text(&mut data, country);
        if let Some(code) = subdivision {
            text(&mut data, "subdivisions");
            // An array of one: an extended type, 7 + 4.
            data.extend([1, 4]);
            map(&mut data, 1);
            text(&mut data, "iso_code");
            text(&mut data, code);
        }
    }
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match record {
            Record::Nothing => nodes.len(),
            Record::Node(node) => *node,
            Record::Data(offset) => nodes.len() + 16 + offset,
        };
        file.extend(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut file, u32::try_from(nodes.len()).unwrap());
    file
}

fn metadata(file: &mut Vec<u8>, nodes: u32) {
    map(file, 9);
    for (key, value) in [("binary_format_major_version", 2), ("binary_format_minor_version", 0)] {
        text(file, key);
        short(file, value);
    }
    text(file, "build_epoch");
    // An unsigned integer of 64 bits: an extended type, 7 + 2, here of one byte.
    file.extend([1, 2, 1]);
    text(file, "database_type");
    text(file, "Sample-City");
    text(file, "description");
    map(file, 0);
    text(file, "ip_version");
    short(file, 4);
    text(file, "languages");
    file.extend([0, 4]);
    text(file, "node_count");
    // An unsigned integer of 32 bits, of four bytes.
    file.push(6 << 5 | 4);
    file.extend(nodes.to_be_bytes());
    text(file, "record_size");
    short(file, 24);
}

fn map(out: &mut Vec<u8>, entries: u8) {
    out.push(7 << 5 | entries);
}

fn text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 29, "longer ones are written in another way");
    out.push(2 << 5 | u8::try_from(text.len()).unwrap());
    out.extend(text.as_bytes());
}

/// An unsigned integer of 16 bits, here of one byte.
fn short(out: &mut Vec<u8>, value: u8) {
    out.extend([5 << 5 | 1, value]);
}
