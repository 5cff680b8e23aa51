//! An identity provider: OpenID Connect Core 1.0 §3.1 with PKCE (RFC 7636), its discovery document, and keys that change.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Contract, Got, Said, empty, fields_of_form, said};

/// Knows the client `leaseline` with the secret `client secret`.
pub struct Identity {
    /// What the next one who comes is: claims beside the protocol's own.
    pub who: Value,
    /// Of the key; another one is another key.
    pub key: u8,
    /// Laid over the token's claims: to make it a bad one.
    pub lies: Value,
    /// What was asked with each code that is not used yet.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    count: u32,
    tokens: Vec<String>,
    refused: Vec<String>,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity {
            who: json!({}),
            key: 1,
            lies: json!({}),
            codes: BTreeMap::new(),
            count: 0,
            tokens: Vec::new(),
            refused: Vec::new(),
        }
    }
}

impl Identity {
    fn signing_key(&self) -> SigningKey {
        SigningKey::from_slice(&[self.key; 32]).unwrap()
    }

    /// `/authorize`: the browser is here, and signs in at once.
    fn authorize(&mut self, got: &Got) -> Said {
        let asked = &got.query;
        let is = |name: &str, value: &str| asked.get(name).is_some_and(|given| given == value);
        let has = |name: &str, length: usize| asked.get(name).is_some_and(|given| given.len() >= length);
        let good = is("response_type", "code")
            && is("client_id", "leaseline")
            && is("redirect_uri", "http://localhost:8080/v1/session/oidc/callback")
            && asked.get("scope").is_some_and(|scope| scope.split(' ').any(|scope| scope == "openid"))
            && is("code_challenge_method", "S256")
            && has("code_challenge", 43)
            && has("nonce", 16)
            && has("state", 16);
        if !good {
            self.refused.push(format!("authorize {asked:?}"));
            return said(400, &json!({ "error": "invalid_request" }));
        }
        self.count += 1;
        let code = format!("code-{}", self.count);
        self.codes.insert(code.clone(), asked.clone());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("code", code.as_str()), ("state", &asked["state"]), ("session_state", "theirs")])
            .finish();
        Said { headers: vec![("location", format!("{}?{query}", asked["redirect_uri"]))], ..empty(302) }
    }

    fn token(&mut self, got: &Got) -> Said {
        let form = fields_of_form(&got.body);
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let basic = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode("leaseline:client+secret"));
        if got.header("authorization") != basic {
            self.refused.push("client".to_owned());
            return said(401, &json!({ "error": "invalid_client" }));
        }
        // A code serves once.
        let asked = self.codes.remove(field("code")).filter(|asked| {
            field("grant_type") == "authorization_code"
                && field("redirect_uri") == asked["redirect_uri"]
                && BASE64.encode(Sha256::digest(field("code_verifier"))) == asked["code_challenge"]
        });
        let Some(asked) = asked else {
            self.refused.push(format!("token {form:?}"));
            return said(400, &json!({ "error": "invalid_grant" }));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": format!("http://{}", got.header("host")),
            "aud": "leaseline",
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
        });
        for more in [&self.who, &self.lies] {
            for (name, value) in more.as_object().unwrap() {
                claims[name] = value.clone();
            }
        }
        self.tokens.push(claims["sub"].to_string());
        let head = json!({ "alg": "ES256", "kid": format!("key-{}", self.key) });
        let text = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let signature: Signature = self.signing_key().sign(text.as_bytes());
        let id_token = format!("{text}.{}", BASE64.encode(signature.to_bytes()));
        said(200, &json!({ "access_token": "nothing here", "token_type": "Bearer", "id_token": id_token }))
    }
}

impl Contract for Identity {
    fn answer(&mut self, got: &Got) -> Said {
        let issuer = format!("http://{}", got.header("host"));
        match got.path.as_str() {
            "/.well-known/openid-configuration" => said(
                200,
                &json!({
                    "issuer": issuer,
                    "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"),
                    "jwks_uri": format!("{issuer}/keys"),
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                }),
            ),
            "/keys" => {
                let point = self.signing_key().verifying_key().to_encoded_point(false);
                let text = |part: Option<&p256::FieldBytes>| BASE64.encode(part.unwrap());
                said(
                    200,
                    &json!({ "keys": [{
                        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": format!("key-{}", self.key),
                        "x": text(point.x()), "y": text(point.y()),
                    }] }),
                )
            }
            "/authorize" => self.authorize(got),
            "/token" => self.token(got),
            _ => empty(404),
        }
    }

    fn counted(&self) -> Vec<String> {
        self.tokens.clone()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}
