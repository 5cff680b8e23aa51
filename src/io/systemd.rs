//! What we tell systemd (`Type=notify`): ready, reloading, stopping, still alive. Without systemd all of it does
//! nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Listening and taking calls. `status` is what `systemctl status` shows.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What `systemctl status` shows from now on.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(e) => tracing::debug!(error = %e, "no clock for systemd"),
    }
}

/// New calls are refused, the rest is ending.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// How often [`alive`] should be called: half of what the unit allows (`sd_watchdog_enabled(3)`). `None`: no watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The watchdog's sign of life. To be called by the loop that must not hang.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!(error = %e, "systemd was not told");
    }
}
