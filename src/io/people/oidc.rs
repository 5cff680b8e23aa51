//! Sign-in with a company's own identity provider: OpenID Connect Core 1.0 §3.1 (authorization code flow) with PKCE
//! (RFC 7636), the provider found by its discovery document. The browser brings back a code; who it is, the provider tells
//! us on a connection of our own, in a token that it signed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex as AsyncMutex;

use super::secret;
use crate::config::Oidc as Rules;
use crate::limits;
use crate::time::Mono;

/// Where the provider sends the browser back to, below the node's public address.
pub const CALLBACK: &str = "/v1/session/oidc/callback";

/// Who the provider says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Issuer and subject: what the account is known by, whatever its name is later.
    pub subject: String,
    pub name: String,
    pub groups: Vec<String>,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider is not there, or not what the configuration says; in its words where it has some.
    #[error("the identity provider cannot be asked: {0}")]
    Provider(String),
    /// The browser brought something that we did not ask for, or too late.
    #[error("this sign-in was not begun here, or more than ten minutes ago; begin again")]
    Unexpected,
    /// The provider's token does not hold.
    #[error("the identity provider's answer does not hold: {0}")]
    Token(String),
    /// The token does not say who it is.
    #[error("the identity provider does not tell the claim `{0}`")]
    NoName(String),
    #[error("the identity provider has not verified this e-mail address")]
    Unverified,
}

/// A sign-in that was begun.
#[derive(Debug)]
struct Begun {
    at: Mono,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    next: String,
}

/// All claims, also the ones that only this provider has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What is known of the provider, and the sign-ins that are on their way.
#[derive(Debug, Default)]
pub struct Oidc {
    begun: Mutex<HashMap<String, Begun>>,
    found: AsyncMutex<Option<(Mono, Arc<CoreProviderMetadata>)>>,
    http: Mutex<Option<reqwest::Client>>,
}

impl Oidc {
    /// Begins a sign-in that ends at the page `next`: the provider's address to send the browser to, and the text that the
    /// browser keeps until it comes back.
    ///
    /// # Errors
    /// The provider cannot be asked.
    pub async fn begin(&self, rules: &Rules, next: String, now: Mono) -> Result<(url::Url, String), OidcError> {
        let client = client(rules, &*self.provider(rules, now, false).await?)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let asked =
            client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random);
        let scopes = rules.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let (url, state, nonce) = asked.add_scopes(scopes).set_pkce_challenge(challenge).url();
        let state = state.secret().clone();
        let mut begun = self.begun();
        begun.retain(|_, begun| now.since(begun.at) < limits::OIDC_WAIT);
        if begun.len() >= limits::OIDC_BEGUN {
            let oldest = begun.iter().min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone());
            oldest.map(|state| begun.remove(&state));
        }
        begun.insert(secret::sha256(&state), Begun { at: now, nonce, verifier, next });
        Ok((url, state))
    }

    /// Ends one: `state` as the browser kept it, `code` as the provider gave it. Who it is, and the page to go on with.
    ///
    /// # Errors
    /// See [`OidcError`].
    pub async fn end(
        &self,
        rules: &Rules,
        state: &str,
        code: String,
        now: Mono,
    ) -> Result<(Identity, String), OidcError> {
        let begun = self.begun().remove(&secret::sha256(state));
        let begun = begun.filter(|begun| now.since(begun.at) < limits::OIDC_WAIT).ok_or(OidcError::Unexpected)?;
        let metadata = self.provider(rules, now, false).await?;
        let oidc = client(rules, &metadata)?;
        let http = self.http()?;
        let ask = |request: HttpRequest| send(http.clone(), request);
        let exchange = oidc
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| OidcError::Provider(error.to_string()))?
            .set_pkce_verifier(begun.verifier);
        let answer = exchange.request_async(&ask).await.map_err(|error| OidcError::Provider(told(&error)))?;
        let token = answer.id_token().ok_or_else(|| OidcError::Token("it has no id_token".to_owned()))?;
        let claims = match token.claims(&oidc.id_token_verifier(), &begun.nonce) {
            Ok(claims) => claims.clone(),
            // Providers change their keys: look once whether there are new ones.
            Err(openidconnect::ClaimsVerificationError::SignatureVerification(_)) => {
                let fresh = client(rules, &*self.provider(rules, now, true).await?)?;
                let claims = token.claims(&fresh.id_token_verifier(), &begun.nonce);
                claims.map_err(|error| OidcError::Token(told(&error)))?.clone()
            }
            Err(error) => return Err(OidcError::Token(told(&error))),
        };
        let mut all = claims.additional_claims().all.clone();
        let mut keep = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                all.insert(name.to_owned(), value.into());
            }
        };
        keep("sub", Some(claims.subject().to_string()));
        keep("email", claims.email().map(|email| email.to_string()));
        keep("preferred_username", claims.preferred_username().map(|name| name.to_string()));
        let verified = claims.email_verified();
        let identity = identity(rules, &all, verified)?;
        Ok((identity, begun.next))
    }

    /// The discovery document and the keys; those of the last ten minutes are good enough.
    async fn provider(&self, rules: &Rules, now: Mono, fresh: bool) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let issuer = IssuerUrl::new(rules.issuer.clone()).map_err(|error| OidcError::Provider(error.to_string()))?;
        let mut found = self.found.lock().await;
        if let Some((at, metadata)) = &*found
            && !fresh
            && *metadata.issuer() == issuer
            && now.since(*at) < limits::OIDC_WAIT
        {
            return Ok(Arc::clone(metadata));
        }
        let http = self.http()?;
        let ask = |request: HttpRequest| send(http.clone(), request);
        let metadata = CoreProviderMetadata::discover_async(issuer, &ask).await;
        let metadata = Arc::new(metadata.map_err(|error| OidcError::Provider(told(&error)))?);
        *found = Some((now, Arc::clone(&metadata)));
        Ok(metadata)
    }

    fn http(&self) -> Result<reqwest::Client, OidcError> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*http {
            return Ok(client.clone());
        }
        // Somebody may have installed it already; either is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = reqwest::Client::builder()
            .user_agent(concat!("Leaseline/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the code and our secret to a host that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(limits::OIDC_TIMEOUT)
            .build();
        let made = made.map_err(|error| OidcError::Provider(error.to_string()))?;
        *http = Some(made.clone());
        Ok(made)
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<String, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(rules: &Rules, metadata: &CoreProviderMetadata) -> Result<Client, OidcError> {
    let back = RedirectUrl::new(format!("{}{CALLBACK}", rules.public_url.trim_end_matches('/')));
    let back = back.map_err(|error| OidcError::Provider(error.to_string()))?;
    let secret = rules.client_secret.as_ref().map(|secret| ClientSecret::new(secret.0.to_string()));
    // RFC 6749 §2.3.1: the header, unless the provider takes the secret in the body only.
    let methods = metadata.token_endpoint_auth_methods_supported();
    let in_body = methods.is_some_and(|methods| {
        !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
            && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
    });
    let made = Client::from_provider_metadata(metadata.clone(), ClientId::new(rules.client_id.clone()), secret);
    let made = made.set_redirect_uri(back);
    Ok(made.set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth }))
}

/// The claims as the configuration reads them.
fn identity(rules: &Rules, claims: &Map<String, Value>, verified: Option<bool>) -> Result<Identity, OidcError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let no = |name: &str| OidcError::NoName(name.to_owned());
    let name = text(&rules.claim).ok_or_else(|| no(&rules.claim))?;
    // Whoever may write any address into their profile must not become its owner here (OpenID Connect Core §5.7).
    if rules.claim == "email" && verified != Some(true) {
        return Err(OidcError::Unverified);
    }
    let subject = text("sub").ok_or_else(|| no("sub"))?;
    let groups = match claims.get(&rules.groups_claim) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Ok(Identity { subject: format!("{} {subject}", rules.issuer), name: name.to_lowercase(), groups })
}

/// One request of the protocol through our client; the answer is read up to a bound.
async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, SendError> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    let mut answer = http.request(parts.method, url).headers(parts.headers).body(body).send().await?;
    let mut response = http_response(answer.status(), answer.headers().clone());
    while let Some(part) = answer.chunk().await? {
        if response.body().len() + part.len() > limits::OIDC_ANSWER {
            return Err(SendError::Large);
        }
        response.body_mut().extend_from_slice(&part);
    }
    Ok(response)
}

fn http_response(status: reqwest::StatusCode, headers: reqwest::header::HeaderMap) -> HttpResponse {
    let mut response = HttpResponse::new(Vec::new());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{}", told(.0))]
    Http(#[from] reqwest::Error),
    #[error("its answer is larger than anything that is read")]
    Large,
}

/// An error with what caused it, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        Rules {
            issuer: "https://id.example".into(),
            client_id: "leaseline".into(),
            client_secret: None,
            public_url: "https://calls.example".into(),
            scopes: vec!["email".into()],
            claim: "email".into(),
            groups_claim: "groups".into(),
            roles: Default::default(),
            title: None,
        }
    }

    fn read(rules: &Rules, claims: Value, verified: Option<bool>) -> Result<Identity, OidcError> {
        identity(rules, claims.as_object().expect("claims"), verified)
    }

    #[test]
    fn an_address_counts_only_when_the_provider_has_verified_it() {
        let claims = || json!({ "sub": "7", "email": "Anna@Acme.example" });
        let known = read(&rules(), claims(), Some(true)).expect("verified");
        assert_eq!(known.name, "anna@acme.example");
        assert_eq!(known.subject, "https://id.example 7");
        assert!(matches!(read(&rules(), claims(), Some(false)), Err(OidcError::Unverified)));
        assert!(matches!(read(&rules(), claims(), None), Err(OidcError::Unverified)));
    }

    #[test]
    fn groups_are_a_list_or_one_name() {
        let rules = Rules { claim: "preferred_username".into(), ..rules() };
        let told = |groups: Value| {
            let claims = json!({ "sub": "7", "preferred_username": "anna", "groups": groups });
            read(&rules, claims, None).expect("a name").groups
        };
        assert_eq!(told(json!(["calls", 3, "staff"])), ["calls", "staff"]);
        assert_eq!(told(json!("calls")), ["calls"]);
        assert!(told(Value::Null).is_empty());
        let nameless = read(&rules, json!({ "sub": "7" }), None);
        assert!(matches!(nameless, Err(OidcError::NoName(claim)) if claim == "preferred_username"));
    }
}
