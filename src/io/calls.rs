#[derive(Debug)]
pub struct Calls;
