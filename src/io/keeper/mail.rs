//! Letters, over SMTP.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::config::Config;
use crate::config::keeper::{MailSecurity, Smtp};
use crate::core::keeper::Letter;

/// A conversation with the mail server takes no longer.
const TIMEOUT: Duration = Duration::from_secs(60);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The way to the mail server, kept while its configuration stays as it is.
#[derive(Default)]
pub(in crate::io) struct Mailer {
    known: Option<(Arc<Smtp>, Transport)>,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    /// Sends a letter; `done` is told exactly once: to how many it went, or the code of why it did not.
    pub(in crate::io) fn send(
        &mut self,
        config: &Config,
        letter: Letter,
        done: impl FnOnce(Result<usize, String>) + Send + 'static,
    ) {
        let Some(smtp) = &config.keeping.notify.smtp else { return done(Err("no_mail_server".to_owned())) };
        let made = self.transport(smtp).and_then(|transport| Ok((transport, message(smtp, &letter)?)));
        let (transport, message) = match made {
            Ok(made) => made,
            Err(reason) => return done(Err(reason)),
        };
        let (recipients, smtp) = (letter.to.len(), Arc::clone(smtp));
        super::spawn(async move {
            let sent = tokio::time::timeout(TIMEOUT, transport.send(message)).await;
            done(match sent {
                Ok(Ok(_)) => Ok(recipients),
                Ok(Err(error)) => {
                    tracing::warn!(error = without_login(error.to_string(), &smtp), "a letter was not taken");
                    Err(if error.is_permanent() { "mail_refused" } else { "mail_failed" }.to_owned())
                }
                Err(_) => Err("timeout".to_owned()),
            });
        });
    }

    fn transport(&mut self, smtp: &Arc<Smtp>) -> Result<Transport, String> {
        if let Some((known, transport)) = &self.known
            && known == smtp
        {
            return Ok(transport.clone());
        }
        let transport = build(smtp).map_err(|error| {
            tracing::error!(%error, "the mail server of [notify.smtp] cannot be used");
            "mail_unusable".to_owned()
        })?;
        self.known = Some((Arc::clone(smtp), transport.clone()));
        Ok(transport)
    }
}

/// What the server said, unless it said back what we logged in with.
fn without_login(said: String, smtp: &Smtp) -> String {
    let Some((user, password)) = &smtp.login else { return said };
    let password = &*password.0;
    let coded = [password.to_owned(), format!("\0{user}\0{password}")].map(|text| STANDARD_NO_PAD.encode(text));
    let has_it = said.contains(password) || coded.iter().any(|coded| said.contains(coded.as_str()));
    if has_it { "the server's answer repeats the password, so it is not shown".to_owned() } else { said }
}

fn build(smtp: &Smtp) -> Result<Transport, String> {
    let parameters = || -> Result<TlsParameters, String> {
        let mut parameters = TlsParameters::builder(smtp.host.clone());
        if let Some(file) = &smtp.ca {
            let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| format!("{}: {error}", file.display()))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters.build_rustls().map_err(|error| error.to_string())
    };
    let tls = match smtp.security {
        MailSecurity::StartTls => Tls::Required(parameters()?),
        MailSecurity::Tls => Tls::Wrapper(parameters()?),
        MailSecurity::Off => Tls::None,
    };
    let mut builder = Transport::builder_dangerous(&smtp.host).port(smtp.port).timeout(Some(TIMEOUT)).tls(tls);
    if let Some((user, password)) = &smtp.login {
        builder = builder.credentials(Credentials::new(user.clone(), password.0.to_string()));
    }
    Ok(builder.build())
}

/// The same letter at every attempt: mail servers tell by the Message-ID that they have it.
fn message(smtp: &Smtp, letter: &Letter) -> Result<Message, String> {
    let bad = |_| "mail_address_bad".to_owned();
    let mailbox = |text: &str| text.parse::<Address>().map(|address| Mailbox::new(None, address)).map_err(bad);
    let from = mailbox(&smtp.from)?;
    let domain = from.email.domain().to_owned();
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}@{domain}>", letter.id)))
        .from(from)
        .subject(&letter.subject)
        .header(ContentType::TEXT_PLAIN);
    for to in &letter.to {
        builder = builder.to(mailbox(to)?);
    }
    builder.body(letter.text.clone()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_the_same_at_every_attempt() {
        let smtp = Smtp {
            host: "mail.example.com".into(),
            port: 587,
            security: MailSecurity::Off,
            login: None,
            from: "leaseline@example.com".into(),
            ca: None,
        };
        let letter = Letter {
            id: "grown-7".into(),
            to: vec!["a@example.com".into(), "b@example.com".into()],
            subject: "Leaseline: 2 numbers added to küchen".into(),
            text: "two\nlines\n".into(),
        };
        let text = String::from_utf8(message(&smtp, &letter).expect("a letter").formatted()).expect("text");
        assert!(text.contains("Message-ID: <grown-7@example.com>\r\n"), "{text}");
        assert!(text.contains("To: a@example.com, b@example.com\r\n"), "{text}");
        assert!(text.contains("Subject: Leaseline: 2 numbers added to =?utf-8?"), "{text}");
        assert!(text.ends_with("two\r\nlines\r\n"), "{text}");
    }
}
