//! Who may do what: roles, what each may do, and in which company.
//!
//! A user has grants, each a role within one company or within all (`marketer@acme`, `engineer@*`); an API token has scopes,
//! which are rights by name. Both come down to the same: sets of rights, each for one company or for all.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Something that may be allowed. Every route of the API names the one it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To have signed in is enough: one's own account.
    Account,
    /// Calls, past and in progress, and their events.
    Calls,
    /// The sound of calls.
    Listen,
    /// Labels, comments, scores, deals, call-backs, consent.
    Work,
    /// Hanging up, pausing a recording.
    Control,
    /// Erasing recordings, holding them.
    Erase,
    /// Pools, numbers, leases: what is held now.
    Leases,
    /// Asking for leases as a program: a server that writes the number into its page.
    Lease,
    /// Reports.
    Reports,
    /// Reports and contacts as files.
    Export,
    /// Sending leads.
    Leads,
    /// Telling of calls that a PBX carries, and who is calling there.
    Heard,
    /// What was handed to which destination, and what it answered. Of the node.
    Exports,
    /// Importing costs and deals.
    Costs,
    /// Reading the catalogue of companies, sites and pools. Of the node.
    Catalogue,
    /// Changing it. Of the node.
    Edit,
    /// Changing where companies' calls go, which others could be sent by to a telephone of their own. Of the node.
    Route,
    /// SIP messages of calls.
    Messages,
    /// Trunks, bans, metrics, versions of the page script. Of the node.
    Node,
    /// Ending bans. Of the node.
    Defence,
    /// The lease feed, for routers. Of the node.
    Feed,
    /// Who listened, changed, exported.
    Audit,
    /// Users and API tokens.
    Users,
    /// Telephone numbers and names whole, not masked.
    Numbers,
    /// What only an owner may: to make owners. Of the node.
    Own,
}

impl Right {
    pub const ALL: [Right; 25] = [
        Right::Account,
        Right::Calls,
        Right::Listen,
        Right::Work,
        Right::Control,
        Right::Erase,
        Right::Leases,
        Right::Lease,
        Right::Reports,
        Right::Export,
        Right::Leads,
        Right::Heard,
        Right::Exports,
        Right::Costs,
        Right::Catalogue,
        Right::Edit,
        Right::Route,
        Right::Messages,
        Right::Node,
        Right::Defence,
        Right::Feed,
        Right::Audit,
        Right::Users,
        Right::Numbers,
        Right::Own,
    ];

    /// Its name: a scope of API tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Right::Account => "account",
            Right::Calls => "calls",
            Right::Listen => "listen",
            Right::Work => "work",
            Right::Control => "control",
            Right::Erase => "erase",
            Right::Leases => "leases",
            Right::Lease => "lease",
            Right::Reports => "reports",
            Right::Export => "export",
            Right::Leads => "leads",
            Right::Heard => "heard",
            Right::Exports => "exports",
            Right::Costs => "costs",
            Right::Catalogue => "catalogue",
            Right::Edit => "edit",
            Right::Route => "route",
            Right::Messages => "messages",
            Right::Node => "node",
            Right::Defence => "defence",
            Right::Feed => "feed",
            Right::Audit => "audit",
            Right::Users => "users",
            Right::Numbers => "numbers",
            Right::Own => "own",
        }
    }

    /// It is about the node, which all companies share: a grant within one company does not give it.
    pub const fn is_of_node(self) -> bool {
        matches!(
            self,
            Right::Catalogue
                | Right::Edit
                | Right::Exports
                | Right::Route
                | Right::Node
                | Right::Defence
                | Right::Feed
                | Right::Own
        )
    }
}

impl FromStr for Right {
    type Err = ();

    fn from_str(text: &str) -> Result<Right, ()> {
        Right::ALL.into_iter().find(|right| right.as_str() == text).ok_or(())
    }
}

/// Several rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RightSet(u32);

impl RightSet {
    pub const fn of(rights: &[Right]) -> RightSet {
        let (mut bits, mut at) = (0, 0);
        while at < rights.len() {
            bits |= 1 << rights[at] as u32;
            at += 1;
        }
        RightSet(bits)
    }

    pub const fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    const fn and(self, other: RightSet) -> RightSet {
        RightSet(self.0 | other.0)
    }

    const fn covers(self, other: RightSet) -> bool {
        other.0 & !self.0 == 0
    }

    /// In the order of [`Right::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but making owners.
    Admin,
    /// Calls, reports, costs, exports; numbers masked.
    Marketer,
    /// Calls and work on them.
    Agent,
    /// The telephone side: trunks, messages, routes, pools; hears nobody.
    Engineer,
    /// Reads what was done, changes nothing, hears nobody; numbers masked.
    Auditor,
}

impl Role {
    pub const ALL: [Role; 6] = [Role::Owner, Role::Admin, Role::Marketer, Role::Agent, Role::Engineer, Role::Auditor];

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Marketer => "marketer",
            Role::Agent => "agent",
            Role::Engineer => "engineer",
            Role::Auditor => "auditor",
        }
    }

    /// What it may.
    pub const fn rights(self) -> RightSet {
        use Right::{
            Account, Audit, Calls, Catalogue, Control, Costs, Defence, Edit, Export, Exports, Heard, Leads, Lease,
            Leases, Listen, Messages, Node, Numbers, Reports, Route, Work,
        };
        match self {
            Role::Owner => RightSet::of(&Right::ALL),
            Role::Admin => RightSet(RightSet::of(&Right::ALL).0 & !RightSet::of(&[Right::Own]).0),
            Role::Marketer => RightSet::of(&[
                Account, Calls, Listen, Work, Leases, Reports, Export, Exports, Leads, Costs, Catalogue, Edit,
            ]),
            Role::Agent => RightSet::of(&[Account, Calls, Listen, Work, Numbers]),
            Role::Engineer => RightSet::of(&[
                Account, Calls, Control, Leases, Lease, Heard, Exports, Catalogue, Edit, Route, Messages, Node,
                Defence, Numbers,
            ]),
            Role::Auditor => RightSet::of(&[Account, Calls, Leases, Reports, Exports, Catalogue, Node, Audit]),
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Role, ()> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

/// A role, and where: `marketer@acme`, `owner@*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub role: Role,
    /// `None`: in all companies, those to come too.
    pub company: Option<Arc<str>>,
}

/// A text that is no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    #[error("write a role and a company, like \"marketer@acme\" or \"engineer@*\"")]
    Shape,
    #[error("the roles are owner, admin, marketer, agent, engineer and auditor")]
    Role,
    #[error("an owner is one of all companies: \"owner@*\"")]
    OwnerOfOne,
}

impl FromStr for Grant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<Grant, BadGrant> {
        let (role, company) = text.split_once('@').ok_or(BadGrant::Shape)?;
        let role = role.parse().map_err(|()| BadGrant::Role)?;
        match company {
            "" => Err(BadGrant::Shape),
            "*" => Ok(Grant { role, company: None }),
            _ if role == Role::Owner => Err(BadGrant::OwnerOfOne),
            company => Ok(Grant { role, company: Some(company.into()) }),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.role.as_str(), self.company.as_deref().unwrap_or("*"))
    }
}

/// Companies of which something may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Companies {
    All,
    Only(BTreeSet<Arc<str>>),
}

impl Companies {
    pub fn has(&self, company: &str) -> bool {
        match self {
            Companies::All => true,
            Companies::Only(these) => these.contains(company),
        }
    }
}

/// All that somebody may. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    parts: Vec<(RightSet, Option<Arc<str>>)>,
}

impl Rights {
    /// Everything, as the holder of `http.token` may.
    pub fn all() -> Rights {
        Rights { parts: vec![(RightSet::of(&Right::ALL), None)] }
    }

    pub fn of_grants(grants: &[Grant]) -> Rights {
        Rights { parts: grants.iter().map(|grant| (grant.role.rights(), grant.company.clone())).collect() }
    }

    /// Of an API token: these rights within these companies; without companies, in all.
    pub fn of_scopes(scopes: RightSet, companies: &[Arc<str>]) -> Rights {
        if companies.is_empty() {
            return Rights { parts: vec![(scopes, None)] };
        }
        Rights { parts: companies.iter().map(|company| (scopes, Some(company.clone()))).collect() }
    }

    /// In some company; a right of the node: in all.
    pub fn may(&self, right: Right) -> bool {
        self.parts.iter().any(|(set, company)| set.has(right) && (company.is_none() || !right.is_of_node()))
    }

    /// In this company.
    pub fn may_in(&self, right: Right, company: &str) -> bool {
        self.parts.iter().any(|(set, of)| set.has(right) && of.as_ref().is_none_or(|of| **of == *company))
    }

    /// In every company there is and will be.
    pub fn may_everywhere(&self, right: Right) -> bool {
        self.parts.iter().any(|(set, company)| set.has(right) && company.is_none())
    }

    /// Whether anything of this company may be seen: to others it does not exist.
    pub fn sees(&self, company: &str) -> bool {
        self.parts.iter().any(|(_, of)| of.as_ref().is_none_or(|of| **of == *company))
    }

    /// Where this may be done.
    pub fn companies(&self, right: Right) -> Companies {
        if self.may_everywhere(right) {
            return Companies::All;
        }
        let these = self.parts.iter().filter(|(set, _)| set.has(right)).filter_map(|(_, company)| company.clone());
        Companies::Only(these.collect())
    }

    /// Numbers and names are shown whole in everything that may be seen; else they are masked.
    pub fn shows_numbers(&self) -> bool {
        self.parts.iter().all(|(set, _)| set.has(Right::Numbers))
    }

    /// The same, of one company.
    pub fn shows_numbers_of(&self, company: &str) -> bool {
        self.may_in(Right::Numbers, company)
    }

    /// Whether these rights are at least the others: nobody gives, changes or takes away what they do not have.
    pub fn covers(&self, others: &Rights) -> bool {
        others.parts.iter().all(|(wanted, company)| {
            let within = |of: &Option<Arc<str>>| match (of, company) {
                (None, _) => true,
                (Some(of), Some(company)) => of == company,
                (Some(_), None) => false,
            };
            let mine = self.parts.iter().filter(|(_, of)| within(of));
            mine.fold(RightSet::default(), |all, (set, _)| all.and(*set)).covers(*wanted)
        })
    }

    /// By name, each with its companies (`*`: all): for whoever asks what they may.
    pub fn listed(&self) -> Vec<(Right, Vec<String>)> {
        let listed = Right::ALL.into_iter().map(|right| {
            let companies = match self.companies(right) {
                Companies::All => vec!["*".to_owned()],
                Companies::Only(these) => these.iter().map(|company| company.to_string()).collect(),
            };
            (right, companies)
        });
        listed.filter(|(_, companies)| !companies.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(grants: &[&str]) -> Rights {
        let grants: Vec<Grant> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        Rights::of_grants(&grants)
    }

    #[test]
    fn rights_hold_where_they_were_granted() {
        let anna = rights(&["marketer@acme", "agent@other"]);
        for (right, acme, other, third) in [
            (Right::Calls, true, true, false),
            (Right::Reports, true, false, false),
            (Right::Numbers, false, true, false),
            (Right::Users, false, false, false),
        ] {
            let found = ["acme", "other", "third"].map(|company| anna.may_in(right, company));
            assert_eq!(found, [acme, other, third], "{right:?}");
            assert_eq!(anna.may(right), acme || other);
            assert!(!anna.may_everywhere(right));
        }
        assert!(anna.sees("acme") && !anna.sees("third") && !Rights::default().sees("acme"));
        assert!(!anna.shows_numbers() && anna.shows_numbers_of("other") && rights(&["agent@a"]).shows_numbers());
        assert_eq!(anna.companies(Right::Reports), Companies::Only(["acme".into()].into()));
        assert_eq!(Rights::all().companies(Right::Own), Companies::All);
    }

    #[test]
    fn rights_of_the_node_come_with_all_companies_only() {
        assert!(!rights(&["engineer@acme"]).may(Right::Node) && rights(&["engineer@*"]).may(Right::Node));
        assert!(!rights(&["admin@acme"]).may(Right::Edit) && rights(&["admin@acme"]).may(Right::Users));
    }

    #[test]
    fn nobody_gives_what_they_do_not_have() {
        let (owner, admin) = (rights(&["owner@*"]), rights(&["admin@*"]));
        assert!(owner.covers(&admin) && !admin.covers(&owner) && admin.covers(&rights(&["engineer@*", "agent@acme"])));
        let of_acme = rights(&["admin@acme"]);
        assert!(of_acme.covers(&rights(&["marketer@acme"])) && of_acme.covers(&Rights::default()));
        for more in [&["marketer@other"][..], &["marketer@*"], &["marketer@acme", "agent@other"], &["owner@*"]] {
            assert!(!of_acme.covers(&rights(more)), "{more:?}");
        }
        let both = rights(&["marketer@acme", "agent@acme"]);
        assert!(both.covers(&Rights::of_scopes(RightSet::of(&[Right::Reports, Right::Numbers]), &["acme".into()])));
    }

    #[test]
    fn grants_are_read_as_they_are_written() {
        for text in ["owner@*", "marketer@acme", "auditor@*"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for (bad, why) in [
            ("owner", BadGrant::Shape),
            ("agent@", BadGrant::Shape),
            ("root@*", BadGrant::Role),
            ("owner@acme", BadGrant::OwnerOfOne),
        ] {
            assert_eq!(bad.parse::<Grant>(), Err(why), "{bad}");
        }
        for right in Right::ALL {
            assert_eq!(right.as_str().parse(), Ok(right));
        }
    }

    #[test]
    fn only_owners_own_and_those_who_change_nothing_cannot() {
        for role in Role::ALL {
            assert_eq!(role.rights().has(Right::Own), role == Role::Owner);
            assert!(role.rights().has(Right::Account) && role.rights().has(Right::Calls));
        }
        let writes =
            [Right::Work, Right::Control, Right::Erase, Right::Edit, Right::Users, Right::Costs, Right::Defence];
        assert!(writes.iter().all(|right| !Role::Auditor.rights().has(*right)));
        assert!(!Role::Engineer.rights().has(Right::Listen) && !Role::Auditor.rights().has(Right::Listen));
    }
}
