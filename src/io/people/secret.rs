//! What only a person knows or has: passwords, one-time codes, random texts.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};

use super::store::TotpRecord;
use crate::limits;

/// What nobody's password is checked against, so that a name that is nobody's takes as long as one that is somebody's.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bGVhc2VsaW5lLW5vYm9keQ$3rgq6RLWQVpCHmOpKhU4YJJc8Cy7UdNWmCkX0l5pLcA";

/// SHA-256 in hexadecimal.
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 256 random bits as text; `None` when the operating system has none.
pub fn random() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Hash of a password (argon2id, 19 MiB, 2 passes: OWASP's least). Takes a tenth of a second.
pub fn hashed(password: &str) -> Option<String> {
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

/// Whether it is the password of this hash; of no hash none is. Takes as long either way.
pub fn is_password(password: &str, hash: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY)) else { return false };
    let fits = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    fits && hash.is_some()
}

/// Why a password will not do: one sentence.
pub fn too_weak(password: &str, name: &str) -> Option<String> {
    if password.chars().count() < limits::PASSWORD_MIN || password.len() > limits::PASSWORD_MAX {
        return Some(format!(
            "A password has {} characters at least and {} bytes at most; a few words are good.",
            limits::PASSWORD_MIN,
            limits::PASSWORD_MAX
        ));
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    if lower.contains(&name.to_lowercase()) || lower.chars().all(|c| Some(c) == first) {
        return Some("This password would be guessed: it is the name, or one character over and over.".to_owned());
    }
    None
}

/// A new secret of a second factor, in base 32.
pub fn totp_secret() -> Option<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).ok()?;
    Some(Secret::new(Box::new(bytes)).to_base32())
}

/// `otpauth://totp/…`, which an authenticator scans.
pub fn totp_url(secret: &str, account: &str, node: &str) -> Option<String> {
    totp(secret, account, node)?.to_url().ok()
}

/// Time step of a code that is right now, half a minute ago or in half a minute.
pub fn totp_step(secret: &str, code: &str, seconds: u64) -> Option<u64> {
    totp(secret, "user", "leaseline")?.check(code.trim(), seconds)
}

/// Takes a code, or a recovery code, so that it is never taken again.
pub fn take_code(totp: &mut TotpRecord, code: &str, seconds: u64) -> bool {
    if let Some(step) = totp_step(&totp.secret, code, seconds) {
        let is_new = step > totp.last_step;
        totp.last_step = totp.last_step.max(step);
        return is_new;
    }
    let given = sha256(&code.trim().to_ascii_lowercase());
    let before = totp.recovery.len();
    totp.recovery.retain(|kept| *kept != given);
    totp.recovery.len() < before
}

/// Ten recovery codes: what is shown once, and what is kept.
pub fn recovery_codes() -> Option<(Vec<String>, Vec<String>)> {
    let codes: Option<Vec<String>> = (0..10)
        .map(|_| {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).ok()?;
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("{}-{}", &hex[..8], &hex[8..]))
        })
        .collect();
    let codes = codes?;
    let kept = codes.iter().map(|code| sha256(code)).collect();
    Some((codes, kept))
}

/// The picture of a text, for a camera.
pub fn picture(text: &str) -> Option<String> {
    let code = qrcode::QrCode::new(text).ok()?;
    let picture = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(200, 200).build();
    // Without the XML declaration it may stand in a page.
    Some(picture.split_once("?>").map_or(picture.clone(), |(_, svg)| svg.to_owned()))
}

fn totp(secret: &str, account: &str, node: &str) -> Option<Totp> {
    let secret = Secret::try_from_base32(secret).ok()?;
    // A colon parts the issuer from the account.
    let account = account.replace(':', "-");
    let issuer = format!("Leaseline {}", node.replace(':', "-"));
    Builder::new().with_secret(secret).with_account_name(account).with_issuer(Some(issuer)).build().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the authenticator shows.
    pub(crate) fn code(secret: &str, seconds: u64) -> String {
        totp(secret, "a", "b").unwrap().generate(seconds).to_string()
    }

    #[test]
    fn passwords_fit_their_own_hash_only_and_nobody_has_one() {
        let hash = hashed("three words more").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !hash.contains("words"));
        assert!(is_password("three words more", Some(&hash)) && !is_password("three words", Some(&hash)));
        assert!(!is_password("three words more", None) && PasswordHash::new(NOBODY).is_ok());
        assert!(!is_password("x", Some("not a hash")));
        for (weak, name) in [("short", "anna"), ("aaaaaaaaaaaa", "ben"), ("anna-anna-1", "anna")] {
            assert!(too_weak(weak, name).is_some(), "{weak}");
        }
        assert_eq!(too_weak("three words more", "anna"), None);
    }

    #[test]
    fn a_code_is_taken_once_and_so_is_a_recovery_code() {
        let secret = totp_secret().unwrap();
        let code = |seconds| code(&secret, seconds);
        let (codes, recovery) = recovery_codes().unwrap();
        let mut kept = TotpRecord { secret: secret.clone(), last_step: 0, recovery };
        let now = 1_790_000_000;
        assert!(take_code(&mut kept, &code(now), now) && !take_code(&mut kept, &code(now), now), "a replay");
        assert!(!take_code(&mut kept, &code(now - 30), now), "an older one that was seen on the way");
        assert!(take_code(&mut kept, &code(now + 30), now) && !take_code(&mut kept, &code(now + 300), now));
        assert!(take_code(&mut kept, &codes[3].to_uppercase(), now) && !take_code(&mut kept, &codes[3], now));
        assert_eq!(kept.recovery.len(), 9);
        assert!(!take_code(&mut kept, "", now) && !take_code(&mut kept, "000000x", now));
    }

    #[test]
    fn the_picture_is_one_of_an_address_that_authenticators_know() {
        let url = totp_url(&totp_secret().unwrap(), "anna:x", "edge-1").unwrap();
        assert!(url.starts_with("otpauth://totp/") && url.contains("issuer=Leaseline"), "{url}");
        assert!(picture(&url).unwrap().starts_with("<svg"));
    }
}
