//! Empty until the tests below are there.
