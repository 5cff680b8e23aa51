//! Session descriptions (RFC 8866) as far as an audio relay negotiates them.
