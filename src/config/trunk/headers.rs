//! `[trunk.headers]`: which headers cross from the caller to a destination, and what is added, changed or taken away.

/// Rules for the headers of INVITEs to destinations. Never about headers that form dialogs or route messages.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// Headers of the caller's INVITE that go on to the destination.
    pub pass: Vec<String>,
    /// Name, and value with placeholders.
    pub add: Vec<(String, String)>,
    pub drop: Vec<String>,
    pub rewrite: Vec<Rewrite>,
}

/// One change of a header's value.
#[derive(Clone, Debug)]
pub struct Rewrite {
    pub header: String,
    /// What is looked for; every place where it is found is replaced.
    pub pattern: regex::Regex,
    /// `$1` is the first group.
    pub replace: String,
}
