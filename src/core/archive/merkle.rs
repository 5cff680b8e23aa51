//! Merkle trees over SHA-256 as Certificate Transparency builds them (RFC 6962 §2.1): an inner node can never be taken
//! for a leaf, and a path of hashes shows that one leaf is in a tree of which only the root is known.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf with this content.
pub fn leaf(content: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(content).finalize().into()
}

/// The root over these leaves (hashes of [`leaf`]), in order. Without leaves: the hash of nothing.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The audit path of one leaf (RFC 6962 §2.1.1), from the leaf upwards. `None`: there is no such leaf.
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index) = (leaves, index);
    let mut path = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(path)
}

/// The root of the tree of `size` leaves in which `leaf` stands at `index` with this audit path. `None`: the path does
/// not fit such a tree.
pub fn root_by_path(leaf: Hash, index: usize, size: usize, path: &[Hash]) -> Option<Hash> {
    // From the root down: at each level the leaf is in the left or in the right part.
    let (mut index, mut size) = (index, size);
    if index >= size {
        return None;
    }
    let mut is_left = Vec::new();
    while size > 1 {
        let left = split(size);
        is_left.push(index < left);
        if index < left {
            size = left;
        } else {
            index -= left;
            size -= left;
        }
    }
    if is_left.len() != path.len() {
        return None;
    }
    let sides = is_left.into_iter().rev().zip(path);
    Some(sides.fold(leaf, |below, (left, beside)| if left { node(&below, beside) } else { node(beside, &below) }))
}

/// Lower-case hexadecimal digits.
pub fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The leaves and roots of Certificate Transparency's own tests (google/certificate-transparency, merkle tree tests).
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let hashes: Vec<Hash> = leaves.iter().map(|content| leaf(content)).collect();
        for (count, wanted) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(hex(&root(&hashes[..count])), wanted, "{count} leaves");
        }
    }

    proptest! {
        #[test]
        fn every_leaf_has_a_path_and_no_other_leaf_fits_it(count in 1usize..80, at in any::<prop::sample::Index>(), flip in 0u8..8) {
            let hashes: Vec<Hash> = (0..count).map(|n| leaf(&n.to_be_bytes())).collect();
            let index = at.index(count);
            let way = path(&hashes, index).unwrap();
            prop_assert_eq!(root_by_path(hashes[index], index, count, &way), Some(root(&hashes)));
            prop_assert!(way.len() <= 7);
            let mut other = hashes[index];
            other[0] ^= 1 << flip;
            prop_assert_ne!(root_by_path(other, index, count, &way), Some(root(&hashes)));
            prop_assert_eq!(root_by_path(hashes[index], index, count, &[&way[..], &[other]].concat()), None);
        }

        #[test]
        fn a_changed_leaf_changes_the_root(count in 1usize..40, at in any::<prop::sample::Index>()) {
            let mut hashes: Vec<Hash> = (0..count).map(|n| leaf(&n.to_be_bytes())).collect();
            let before = root(&hashes);
            hashes[at.index(count)] = leaf(b"something else");
            prop_assert_ne!(root(&hashes), before);
        }
    }

    #[test]
    fn there_is_no_path_outside_of_the_tree() {
        assert_eq!(path(&[], 0), None);
        assert_eq!(root_by_path(leaf(b""), 1, 1, &[]), None);
        assert_eq!(root_by_path(leaf(b""), 0, 0, &[]), None);
    }
}
