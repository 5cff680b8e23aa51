//! Bounds of users, sessions and signing in.

use std::time::Duration;

/// Users of the API with a token of their own.
pub const HTTP_USERS: usize = 1_000;
/// Sessions of people who signed in.
pub const SESSIONS: usize = 10_000;
/// Of one of them: a few browsers each.
pub const SESSIONS_OF_ONE: usize = 20;
/// Sign-ins with an identity provider that are on their way, how long one may take, how long an answer of the provider may
/// take, and its bytes.
pub const OIDC_BEGUN: usize = 1_000;
pub const OIDC_WAIT: Duration = Duration::from_secs(600);
pub const OIDC_TIMEOUT: Duration = Duration::from_secs(10);
pub const OIDC_ANSWER: usize = 256 * 1024;
/// Sign-ins tried from one address: so many at once, and one more in that time. An office has one address.
pub const SIGN_IN_PER_ADDRESS: (u32, Duration) = (20, Duration::from_secs(15));
/// Sign-ins tried with one name, from wherever: a day has 1,440 minutes, and a password of ten letters more guesses.
pub const SIGN_IN_PER_NAME: (u32, Duration) = (10, Duration::from_secs(60));
/// Addresses, and names, whose attempts are counted; later ones share.
pub const SIGN_IN_TRIED: usize = 20_000;
/// A sign-in waits so long for the code of the second factor.
pub const SIGN_IN_HALFWAY: Duration = Duration::from_secs(300);
/// Names with the addresses from which they signed in before.
pub const SIGN_IN_KNOWN: usize = 20_000;
/// Passwords checked at once: each takes 19 MiB and a core for a tenth of a second.
pub const PASSWORDS_AT_ONCE: usize = 2;
/// Characters of a password, at least: what is long need not be odd.
pub const PASSWORD_MIN: usize = 10;
/// Bytes of a password, at most.
pub const PASSWORD_MAX: usize = 256;
/// Users, and API tokens, of one node.
pub const USERS: usize = 10_000;
/// Grants of one user.
pub const USER_GRANTS: usize = 100;
/// Bytes of `users.json`.
pub const USERS_FILE: u64 = 64 * 1024 * 1024;
/// A one-time link that lets somebody choose their password is good for so long.
pub const SETUP_LINK: Duration = Duration::from_secs(3 * 24 * 3_600);
