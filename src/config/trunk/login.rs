//! `[trunk.login]`: users that log in to us by digest.

use crate::config::Secret;
use crate::core::auth::digest::Hash;

/// Who may call from any address after showing that they know a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The same for every trunk: we ask before we know who it is.
    pub realm: String,
    /// Offered in this order; the same for every trunk.
    pub algorithms: Vec<Hash>,
    pub users: Vec<LoginUser>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginUser {
    pub user: String,
    pub secret: Secret,
}
