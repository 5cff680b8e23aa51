//! Recordings that are encrypted at rest.

use std::fs;
use std::io::Read as _;

use age::secrecy::ExposeSecret as _;

use super::*;

/// A recipient, and a file with the identity that goes with it.
fn recipient(dir: &Path) -> (Recipients, PathBuf) {
    let identity = age::x25519::Identity::generate();
    let file = dir.join("identity.txt");
    fs::write(&file, format!("# operator\n{}\n", identity.to_string().expose_secret())).unwrap();
    (Recipients::parse(&[identity.to_public().to_string()]).unwrap(), file)
}

/// A `.part` as a crash leaves it, with so many frames.
fn part(dir: &Path, frames: u32) -> (PathBuf, Vec<u8>) {
    let folder = dir.join(DAY);
    fs::create_dir_all(&folder).unwrap();
    let mut bytes = crate::wire::wav::header(0).to_vec();
    bytes.extend((0..frames * 4).map(|n| (n % 251) as u8));
    let path = folder.join(format!("{}.wav.part", call(1)));
    fs::write(&path, &bytes).unwrap();
    bytes[..44].copy_from_slice(&crate::wire::wav::header(frames * 4));
    (path, bytes)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_crash_leaves_nothing_plain_once_the_next_start_is_through() {
    let dir = folder();
    let (recipients, identity) = recipient(dir.path());
    let (_, plain) = part(dir.path(), 100_000);
    let recovered = repair(dir.path(), &recipients);
    let summary = &recovered[0].summary;
    let day = dir.path().join(DAY);
    assert_eq!(names_in(&day), [format!("{}.wav.age", call(1))], "no plain file is left");
    assert_eq!(summary.path.as_deref(), Some(&*format!("{DAY}/{}.wav.age", call(1))));
    let file = day.join(format!("{}.wav.age", call(1)));
    let bytes = fs::read(&file).unwrap();
    assert_eq!(summary.sha256, Some(hash(std::io::Cursor::new(&bytes)).unwrap()));
    assert_eq!(summary.original_sha256, Some(hash(std::io::Cursor::new(&plain)).unwrap()));
    assert!(!bytes.windows(16).any(|window| window == &plain[44..60]), "no plain bytes in it");
    assert_eq!(crypt::plain_length(&bytes[..1_024], bytes.len() as u64), Some(plain.len() as u64));
    let found = find(dir.path(), call(1)).unwrap();
    assert_eq!((found.duration_ms, &found.sha256), (12_500, &summary.sha256));
    let mut opened = Vec::new();
    decrypt(&file, dir.path(), &identity).unwrap().read_to_end(&mut opened).unwrap();
    assert!(opened == plain);
    // Somebody else's identity does not open it; without its key nobody's does.
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let (_, stranger) = recipient(&other);
    assert!(matches!(decrypt(&file, dir.path(), &stranger).err(), Some(Locked::WrongIdentity)));
    fs::remove_file(dir.path().join(crypt::key_file(&file, call(1)))).unwrap();
    assert!(matches!(decrypt(&file, dir.path(), &identity).err(), Some(Locked::NoKey)));
}

/// Row G04 with encryption: whichever operation fails, there is the plain `.part` or the whole encrypted file, and the
/// next start ends with the encrypted one alone.
#[test]
fn g04_whichever_operation_fails_the_recording_is_there_once_and_in_the_end_encrypted() {
    for n in 1.. {
        let dir = folder();
        let (recipients, identity) = recipient(dir.path());
        let (_, plain) = part(dir.path(), 2_000);
        let disk = faults::Faulty::new(n, n % 2 == 0, nix::libc::EIO);
        let first = repair::repair_with(&disk, dir.path(), &recipients);
        let done = !disk.was_reached();
        repair(dir.path(), &recipients);
        let names = names_in(&dir.path().join(DAY));
        let wanted = format!("{}.wav.age", call(1));
        assert!(names.contains(&wanted), "{n}: {names:?} {first:?}");
        assert!(names.iter().all(|name| name == &wanted || name.ends_with(".tmp")), "{n}: {names:?}");
        let mut opened = Vec::new();
        let file = dir.path().join(DAY).join(wanted);
        decrypt(&file, dir.path(), &identity).unwrap().read_to_end(&mut opened).unwrap();
        assert!(opened == plain, "{n}");
        if done {
            assert!(n > 20, "every operation was tried: {n}");
            return;
        }
    }
}
