use super::*;

#[test]
fn a_capture_without_a_call() {
    assert!(Replay::read(b"something else").is_err());
}
