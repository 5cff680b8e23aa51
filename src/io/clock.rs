//! The two clocks, read together. The only place of the daemon that asks for the time.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Mono, Now, Wall};

/// Origin of [`Mono`]: the first reading in this process.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Both clocks. All readings of one process share one origin, so they may be compared across threads.
pub fn now() -> Now {
    Now { mono: mono(), wall: wall() }
}

/// Time since the first reading. It begins at one second, so that "a second ago" exists.
pub fn mono() -> Mono {
    let since = ORIGIN.get_or_init(Instant::now).elapsed();
    Mono(1_000_000_000 + u64::try_from(since.as_nanos()).unwrap_or(u64::MAX >> 1))
}

/// UTC of the operating system. A clock before 1970 reads as 1970.
pub fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The instant of tokio's timers that is `at` on our clock.
pub fn instant(at: Mono) -> tokio::time::Instant {
    let now = mono();
    tokio::time::Instant::now() + at.since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_do_not_go_back() {
        let (a, b) = (now(), now());
        assert!(b.mono >= a.mono);
        assert!(a.mono.0 >= 1_000_000_000);
        assert!(a.wall.to_rfc3339().as_str() > "2024");
    }
}
