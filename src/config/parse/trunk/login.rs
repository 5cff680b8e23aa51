//! `[trunk.login]`: users that log in to us by digest.

use super::super::super::read::{Found, Item, Reader, Section};
use super::super::super::{Login, LoginUser, Secret, value};
use super::credentials::{realm, user};
use crate::core::auth::digest::{Algorithm, Hash};
use crate::limits;

pub(super) fn login<'t>(r: &mut Reader<'t>, trunk: &mut Section<'_, 't>) -> Option<Login> {
    let mut s = r.section(trunk, "login");
    let is_present = s.is_present();
    let found = r.items(&mut s, "users");
    let items = r.required(&s, "users", found, "who logs in, like [{ user = \"office\", password = \"…\" }]");
    if let Some(items) = &items
        && (items.is_empty() || items.len() > limits::LOGIN_USERS)
    {
        r.problem(s.place(), format!("`users` has {} users; write 1 to {}", items.len(), limits::LOGIN_USERS));
    }
    let mut users: Vec<LoginUser> = Vec::new();
    for item in items.into_iter().flatten() {
        match item {
            Item::Text(_, place) => r.problem(&place, "must be a table like { user = \"office\", password = \"…\" }"),
            Item::Table(mut one) => {
                let name = r.text(&mut one, "user", user);
                let name = r.required(&one, "user", name, "the name that logs in");
                let secret = r.secret(&mut one, "password", "password_file");
                let secret = r.required(&one, "password", secret, "the password, or `password_file`");
                r.end(one);
                users.extend(name.zip(secret).map(|(user, secret)| LoginUser { user, secret: Secret(secret) }));
            }
        }
    }
    let realm = r.text(&mut s, "realm", realm).or("leaseline".to_owned());
    let algorithms = match r.list(&mut s, "algorithms", algorithm) {
        Found::Is(list, place) => {
            let list: Vec<Hash> = list.into_iter().map(|(hash, _)| hash).collect();
            let is_twice = list.iter().enumerate().any(|(i, hash)| list.iter().take(i).any(|other| other == hash));
            if list.is_empty() || is_twice {
                r.problem(&place, "must name one algorithm at least, and each once");
            }
            list
        }
        _ => Hash::ALL.to_vec(),
    };
    r.end(s);
    is_present.then_some(Login { realm, algorithms, users })
}

fn algorithm(text: &str) -> Result<Hash, String> {
    let known = Algorithm::parse(text).filter(|algorithm| !algorithm.session).map(|algorithm| algorithm.hash);
    let text = value::printable(text, limits::AUTH_REALM)?;
    known.ok_or_else(|| format!("`{text}` is not an algorithm; write \"SHA-256\", \"SHA-512-256\" or \"MD5\""))
}
