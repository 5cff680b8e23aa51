//! `leaseline user`: people who may use the console and the API.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Exit, complain, load, say};
use crate::config::Config;
use crate::core::rights::Rights;
use crate::io::clock;
use crate::io::journal::{Journal, OnDamage, OpenError, Options};
use crate::io::people::{Denied, NewUser, People, UserChange, operator, secret};
use crate::limits;

/// Add, change and list people who may use the console and the API.
///
/// Works on the data folder, whether the daemon runs or not; a running one takes the change within a second and tells the
/// journal. Exit 0 when it was done, 1 when there is no such user or it may not be, 2 when it could not be done.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Configuration of the daemon: where its data folder is.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Add one. Prints the end of a one-time link with which they choose a password.
    Add {
        name: String,
        /// What they may, and where: owner@*, admin@*, marketer@acme, agent@acme, engineer@*, auditor@*.
        #[arg(long = "role", value_name = "ROLE@COMPANY", required = true)]
        roles: Vec<String>,
        /// Read the password from standard input instead of printing a link.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set a password, read from standard input; without --password-stdin a one-time link is printed.
    Passwd {
        name: String,
        #[arg(long)]
        password_stdin: bool,
        /// Take the second factor away, too.
        #[arg(long)]
        totp_off: bool,
    },
    /// Replace somebody's roles.
    Roles { name: String, roles: Vec<String> },
    /// Sign somebody out everywhere and let them in no more.
    Disable { name: String },
    /// Let them in again.
    Enable { name: String },
    /// Take somebody away.
    Remove { name: String },
    /// Who there is, one a line: name, roles, what they sign in with.
    List,
}

pub(super) fn execute(args: Args) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    done(&config, args.what).unwrap_or_else(|denied| {
        let (why, exit) = match denied {
            Denied::Unknown => ("there is no user of this name".to_owned(), Exit::Bad),
            Denied::Taken => ("there is a user of this name already".to_owned(), Exit::Bad),
            Denied::LastOwner => ("somebody must stay an owner".to_owned(), Exit::Bad),
            Denied::Bad(why) => (why, Exit::Usage),
            Denied::Io(error) => (error.to_string(), Exit::CouldNot),
            Denied::TooMuch | Denied::Full | Denied::Journal => ("it could not be written".to_owned(), Exit::CouldNot),
        };
        complain(why);
        exit
    })
}

fn done(config: &Config, what: What) -> Result<Exit, Denied> {
    let (people, journal) = open(config)?;
    let all = Arc::new(Rights::all());
    let asks = operator(&all);
    let link = match what {
        What::Add { name, roles, password_stdin } => {
            known_companies(config, &roles)?;
            let password = password_stdin.then(|| password(&name)).transpose()?;
            people.add(&asks, NewUser { name, roles, password, oidc: None })?
        }
        What::Passwd { name, password_stdin, totp_off } => {
            let password = password_stdin.then(|| password(&name)).transpose()?;
            let link = password.is_none();
            people.change(
                &asks,
                &name,
                UserChange { password, link, totp_off, end_sessions: true, ..UserChange::default() },
            )?
        }
        What::Roles { name, roles } => {
            known_companies(config, &roles)?;
            people.change(&asks, &name, UserChange { roles: Some(roles), ..UserChange::default() })?
        }
        What::Disable { name } => {
            people.change(&asks, &name, UserChange { disabled: Some(true), ..UserChange::default() })?
        }
        What::Enable { name } => {
            people.change(&asks, &name, UserChange { disabled: Some(false), ..UserChange::default() })?
        }
        What::Remove { name } => {
            people.remove(&asks, &name)?;
            None
        }
        What::List => {
            for user in &people.now(clock::mono()).book.users {
                let with = match (&user.password, &user.totp, user.disabled) {
                    (_, _, true) => "disabled",
                    (Some(_), Some(_), _) => "password and code",
                    (Some(_), None, _) => "password",
                    (None, _, _) if user.oidc.is_some() => "identity provider",
                    (None, _, _) => "nothing yet",
                };
                say(format_args!("{}\t{}\t{with}", user.name, user.roles.join(" ")));
            }
            None
        }
    };
    if let Some(link) = link {
        say(format_args!("http://{}/setup#{link}", config.http.listen));
    }
    if let Some(journal) = journal {
        journal.flush(limits::HTTP_DRAIN);
    }
    Ok(Exit::Done)
}

/// With the journal, unless a daemon holds it: that one tells it then.
fn open(config: &Config) -> Result<(People, Option<Journal>), Denied> {
    let data_dir = &config.node.data_dir;
    let source = format!("leaseline/{}", config.node.id);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    let options = Options { source, seed, on_damage: OnDamage::Refuse };
    let journal = match Journal::open(data_dir, options) {
        Ok((journal, _)) => Some(journal),
        Err(OpenError::Locked { .. }) => None,
        Err(error) => return Err(Denied::Io(std::io::Error::other(error))),
    };
    Ok((People::open(data_dir, journal.clone())?, journal))
}

/// One line of standard input, hashed.
fn password(name: &str) -> Result<String, Denied> {
    let mut text = String::new();
    std::io::stdin().take(limits::PASSWORD_MAX as u64 * 2).read_to_string(&mut text)?;
    let password = text.lines().next().unwrap_or_default();
    if let Some(why) = secret::too_weak(password, name) {
        return Err(Denied::Bad(why));
    }
    secret::hashed(password).ok_or_else(|| Denied::Io(std::io::Error::other("no hash")))
}

fn known_companies(config: &Config, roles: &[String]) -> Result<(), Denied> {
    for role in roles {
        let company = role.split_once('@').map_or("*", |(_, company)| company);
        if company != "*" && config.companies.iter().all(|known| known.name != company) {
            return Err(Denied::Bad(format!("no company `{}` is configured", company.escape_debug())));
        }
    }
    Ok(())
}
