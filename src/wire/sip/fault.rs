//! What can be wrong with a message. Facts, one per rule; who reads them decides between an answer and silence.

/// A header or the part of the start line that a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    RequestUri,
    Via,
    From,
    To,
    CallId,
    CSeq,
    MaxForwards,
    Contact,
    ContentType,
    ContentDisposition,
    ContentLength,
    Expires,
    SessionExpires,
    MinSe,
    RAck,
    RSeq,
    ReferTo,
    Replaces,
    Event,
}

impl Field {
    /// Name as it stands in a message.
    pub fn name(self) -> &'static str {
        match self {
            Field::RequestUri => "Request-URI",
            Field::Via => "Via",
            Field::From => "From",
            Field::To => "To",
            Field::CallId => "Call-ID",
            Field::CSeq => "CSeq",
            Field::MaxForwards => "Max-Forwards",
            Field::Contact => "Contact",
            Field::ContentType => "Content-Type",
            Field::ContentDisposition => "Content-Disposition",
            Field::ContentLength => "Content-Length",
            Field::Expires => "Expires",
            Field::SessionExpires => "Session-Expires",
            Field::MinSe => "Min-SE",
            Field::RAck => "RAck",
            Field::RSeq => "RSeq",
            Field::ReferTo => "Refer-To",
            Field::Replaces => "Replaces",
            Field::Event => "Event",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are not a SIP message we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// The first line is neither a request line nor a status line.
    #[error("not SIP")]
    NotSip,
    /// A version other than `SIP/2.0`; the answer is 505.
    #[error("not SIP/2.0")]
    Version,
    /// Not `Method SP Request-URI SP SIP-Version`.
    #[error("bad request line")]
    RequestLine,
    /// Not `SIP-Version SP 3DIGIT SP Reason-Phrase` with a code of 100 to 699.
    #[error("bad status line")]
    StatusLine,
    /// CR or LF alone.
    #[error("a line end that is not CRLF")]
    LineEnd,
    /// Not `token *blank ":"`.
    #[error("bad header line")]
    HeaderLine,
    /// No empty line after the headers.
    #[error("the head does not end")]
    HeadOpen,
    /// More than [`limits::SIP_MESSAGE`](crate::limits::SIP_MESSAGE).
    #[error("message too long")]
    MessageTooLong,
    /// More than [`limits::SIP_HEAD`](crate::limits::SIP_HEAD).
    #[error("head too long")]
    HeadTooLong,
    /// More than [`limits::SIP_LINE`](crate::limits::SIP_LINE).
    #[error("line too long")]
    LineTooLong,
    /// More than [`limits::SIP_HEADERS`](crate::limits::SIP_HEADERS).
    #[error("too many header lines")]
    TooManyHeaders,
    /// More than [`limits::SIP_VIAS`](crate::limits::SIP_VIAS).
    #[error("too many Via values")]
    TooManyVias,
    /// More than [`limits::SIP_BODY`](crate::limits::SIP_BODY).
    #[error("body too long")]
    BodyTooLong,
    /// A method, Call-ID, tag or branch beyond [`limits::SIP_TOKEN`](crate::limits::SIP_TOKEN).
    #[error("token too long")]
    TokenTooLong,
    /// Not a number, or given twice.
    #[error("bad Content-Length")]
    ContentLength,
    /// A stream needs Content-Length (RFC 3261 §18.3).
    #[error("no Content-Length on a stream")]
    NoContentLength,
    /// Content-Length names more than there is.
    #[error("the body is cut short")]
    Truncated,
    #[error("bad URI")]
    Uri,
    /// Not `display <uri>;params` and not `uri;params`.
    #[error("bad address")]
    NameAddr,
    #[error("bad Via")]
    Via,
    #[error("bad CSeq")]
    CSeq,
    /// The branch is the magic cookie and nothing more (RFC 4475 `badbranch`).
    #[error("empty branch")]
    EmptyBranch,
    /// CSeq names another method than the request line.
    #[error("CSeq of another method")]
    CSeqMethod,
    #[error("no {0}")]
    Missing(Field),
    #[error("{0} stands twice")]
    Repeated(Field),
    #[error("unreadable {0}")]
    Unreadable(Field),
}

impl Malformed {
    /// Stable reason code, for counters, logs and events.
    pub fn code(self) -> &'static str {
        match self {
            Malformed::NotSip => "not_sip",
            Malformed::Version => "bad_version",
            Malformed::RequestLine => "bad_request_line",
            Malformed::StatusLine => "bad_status_line",
            Malformed::LineEnd => "bad_line_end",
            Malformed::HeaderLine => "bad_header_line",
            Malformed::HeadOpen => "head_open",
            Malformed::MessageTooLong => "message_too_long",
            Malformed::HeadTooLong => "head_too_long",
            Malformed::LineTooLong => "line_too_long",
            Malformed::TooManyHeaders => "too_many_headers",
            Malformed::TooManyVias => "too_many_vias",
            Malformed::BodyTooLong => "body_too_long",
            Malformed::TokenTooLong => "token_too_long",
            Malformed::ContentLength => "bad_content_length",
            Malformed::NoContentLength => "no_content_length",
            Malformed::Truncated => "truncated",
            Malformed::Uri => "bad_uri",
            Malformed::NameAddr => "bad_address",
            Malformed::Via => "bad_via",
            Malformed::CSeq => "bad_cseq",
            Malformed::EmptyBranch => "empty_branch",
            Malformed::CSeqMethod => "cseq_method",
            Malformed::Missing(_) => "missing_header",
            Malformed::Repeated(_) => "repeated_header",
            Malformed::Unreadable(_) => "unreadable_header",
        }
    }

    /// The status a request with this fault is answered with.
    pub fn status(self) -> u16 {
        if self == Malformed::Version { 505 } else { 400 }
    }
}
