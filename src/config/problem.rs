//! What is wrong with a configuration, with the place: all of it at once.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// As the operator named it.
    pub file: String,
    /// From 1; 0 when the file could not be read at all.
    pub line: usize,
    /// In characters, from 1; 0 when the file could not be read at all.
    pub column: usize,
    /// Path of the key: `trunk[0].match`. Empty for errors of syntax.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file)?,
            line => write!(f, "{}:{line}: ", self.file)?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with one configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    pub problems: Vec<Problem>,
}

impl Problems {
    /// A file that cannot be read.
    pub(super) fn unreadable(file: &str, message: String) -> Problems {
        let problem = Problem { file: file.to_owned(), line: 0, column: 0, key: String::new(), message };
        Problems { problems: vec![problem] }
    }
}

impl fmt::Display for Problems {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
