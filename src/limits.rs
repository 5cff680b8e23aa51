//! Every bound and its reason. Reaching one is a refusal with a name or a counted drop, never growth.

mod ears;

use std::time::Duration;

pub use ears::*;

/// Hops that are remembered as down. A configuration leads to some hundreds; each takes about 100 bytes.
pub const HEALTH_HOPS: usize = 4_096;
/// A hop that said nothing or could not be reached is left alone for so long; twice as long after each further failure.
pub const HEALTH_DOWN: Duration = Duration::from_secs(30);
/// The same for a hop that answered 503 and did not say for how long: it works, and may have room again soon.
pub const HEALTH_BUSY: Duration = Duration::from_secs(5);
/// The longest time that a hop is left alone for its failures.
pub const HEALTH_DOWN_MAX: Duration = Duration::from_secs(600);
/// The longest `Retry-After` that is believed.
pub const HEALTH_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// A hop whose time is over is tried by one call at a time; the next call may try it after this.
pub const HEALTH_TRIAL: Duration = Duration::from_secs(10);
/// A failed hop that nobody has asked for since is forgotten after this.
pub const HEALTH_MEMORY: Duration = Duration::from_secs(3_600);

/// Largest request of ours that goes by UDP: the path's MTU is not known (RFC 3261 §18.1.1).
pub const SIP_DATAGRAM: usize = 1_300;
/// Who refused a TCP connection for a large request is sent such by UDP for so long.
pub const LARGE_REFUSED: Duration = Duration::from_secs(600);
/// Places that are remembered so.
pub const LARGE_REFUSALS: usize = 1_024;
/// Bytes of what ICMP quotes in which our branch must stand: a message has at most 576 (RFC 1812 §4.3.2.3) or, with IPv6,
/// 1,280 (RFC 4443 §2.4).
pub const BOUNCE_QUOTED: usize = 1_280;
/// A datagram that the kernel does not take is offered so often again before its destination counts as unreachable.
pub const SENDS: usize = 3;
/// ICMP errors of one socket read before its datagrams are looked at again.
pub const BOUNCES_PER_TURN: usize = 64;

/// Places of one third-party recorder (SIPREC): a pair of servers at two sites.
pub const SIPREC_PLACES: usize = 4;
/// Rounds over them for one call after the first: with the pauses doubled, hours.
pub const SIPREC_RETRIES: u64 = 10;
/// Longest pause between two rounds.
pub const SIPREC_PAUSE: Duration = Duration::from_secs(300);
/// Parties that one recording session's metadata tells of: the caller, and the company's through as many transfers.
pub const SIPREC_PARTIES: usize = 16;
/// Bytes of one text in the metadata that we write; names and campaigns are shorter.
pub const SIPREC_TEXT: usize = 512;
/// Nodes of the metadata of somebody else: a session of sixteen parties has some hundred.
pub const SIPREC_NODES: u32 = 4_096;
/// How deep its elements stand; RFC 7865 needs four.
pub const SIPREC_DEPTH: usize = 16;
/// Addresses of one party that are read.
pub const SIPREC_NAMES: usize = 4;
/// Texts of one call's attribution in the metadata: utm, click ids.
pub const SIPREC_TEXTS: usize = 32;
/// A re-INVITE to a recorder that met one of its own is made again after this (RFC 3261 §14.1: 2.1 to 4 s for who made
/// the Call-ID).
pub const SIPREC_GLARE: Duration = Duration::from_millis(2_500);

/// Longest SIP message we read: what fits a UDP datagram.
pub const SIP_MESSAGE: usize = 65_535;
/// Start line and headers of one message. The largest torture message of RFC 4475 has 3.5 KB.
pub const SIP_HEAD: usize = 16 * 1024;
/// Body of one message.
pub const SIP_BODY: usize = 32 * 1024;
/// Header lines of one message (RFC 4475 `longreq`: 43).
pub const SIP_HEADERS: usize = 128;
/// Via values of one message: Max-Forwards starts at 70.
pub const SIP_VIAS: usize = 70;
/// One header line, unfolded.
pub const SIP_LINE: usize = 8 * 1024;
/// Call-ID, tag, branch, method, header name.
pub const SIP_TOKEN: usize = 256;
/// Dialogs that one INVITE of ours may end in: parallel forking reaches a handful of phones.
pub const SIP_FORKS: usize = 8;
/// Reliable provisional responses of one leg that wait behind the one without PRACK; a phone says a handful.
pub const PROVISIONALS_WAITING: usize = 8;
/// Requests of one leg's far side that wait for an answer at once; honest peers send one after the other.
pub const REQUESTS_WAITING: usize = 16;

/// User name of a login: longer than any phone number with a domain.
pub const AUTH_USER: usize = 128;
/// Realm of a login: longer than any host name in use.
pub const AUTH_REALM: usize = 256;

/// Users that log in to one trunk.
pub const LOGIN_USERS: usize = 1_024;
/// How long an answer to our challenge is taken; after it the peer hears `stale` and answers again.
pub const LOGIN_NONCE: Duration = Duration::from_secs(300);
/// Nonces in use at once, whose counts are kept: 218 logins a second, in 4 MB.
pub const LOGIN_NONCES: usize = 65_536;
/// Messages of one source that are read before it has logged in, a second: two for each call of an office.
pub const LOGINS_PER_SECOND: u32 = 50;
/// Places for the rates of sources: a forged flood from everywhere takes little of each.
pub const LOGIN_RATES: usize = 4_096;

/// Parameters of one challenge or of one Authorization (RFC 7616 names twelve).
pub const AUTH_PARAMS: usize = 24;
/// Challenges of one response: three algorithms of two realms, and schemes that we do not know.
pub const AUTH_CHALLENGES: usize = 16;
/// One value of a challenge: nonces in use have up to about 200 bytes.
pub const AUTH_VALUE: usize = 1_024;

/// Contacts of one registration: a pair of sites.
pub const REGISTER_CONTACTS: usize = 4;
/// Places of a Service-Route that are kept; a longer one is not followed.
pub const SERVICE_ROUTES: usize = 8;
/// Places of a registrar that are tried before a pause.
pub const REGISTER_PLACES: usize = 8;
/// A broken connection is registered anew after this and as much again, drawn: all clients of a registrar that starts
/// again do not come together.
pub const REGISTER_AGAIN: Duration = Duration::from_secs(2);
/// Pause after the first failure of all places (RFC 5626 §4.5 base-time).
pub const REGISTER_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause (RFC 5626 §4.5 max-time), and the longest Retry-After that is believed.
pub const REGISTER_PAUSE_MAX: Duration = Duration::from_secs(1_800);

/// Places of one trunk that a round of probes asks: as many as a registration tries.
pub const PROBE_PLACES: usize = 8;

/// Lines of one SDP body.
pub const SDP_LINES: usize = 512;
/// Media descriptions of one SDP body.
pub const SDP_MEDIA: usize = 8;
/// `a=crypto` lines of one media description that are read; phones offer two to six.
pub const SDP_CRYPTO: usize = 16;
/// Longest `a=mid` of a media description; browsers write one digit.
pub const SDP_MID: usize = 32;
/// Longest user fragment and longest password of ICE (RFC 8839 §5.4).
pub const ICE_SECRET: usize = 256;
/// Addresses of one party that ICE has proved and that are remembered: a browser on a machine with many interfaces tries a
/// few of them.
pub const ICE_PAIRS: usize = 8;
/// Without a proved check from an address for so long nothing more is sent there (RFC 7675 §5.1).
pub const ICE_CONSENT: Duration = Duration::from_secs(30);
/// Handshakes of one leg that may fail before no other is begun: forged pieces of one, from the address of the party, can
/// spoil a few.
pub const DTLS_TRIES: u8 = 16;
/// Streams (SSRC) with one SRTP key: one a phone, one more after each transfer. Each is remembered for replays.
pub const SRTP_STREAMS: usize = 64;
/// What SRTP and SRTCP put behind a packet: a tag of 16 bytes and an index of 4.
pub const SRTP_TRAILER: usize = 20;
/// Longest datagram of a media port: a packet, and what protects it.
pub const MEDIA_DATAGRAM: usize = RTP_PACKET + SRTP_TRAILER;
/// Formats of one media description.
pub const SDP_FORMATS: usize = 64;

/// Shortest session interval there is (RFC 4028 §4).
pub const SESSION_EXPIRES_MIN: Duration = Duration::from_secs(90);
/// Longest session interval that is believed; a longer one would find no dead call.
pub const SESSION_EXPIRES_MAX: Duration = Duration::from_secs(24 * 3_600);
/// RFC 3261 §17.1.1.1.
pub const T1: Duration = Duration::from_millis(500);
/// RFC 3261 §17.1.2.2.
pub const T2: Duration = Duration::from_secs(4);
/// RFC 3261 §17.1.2.2.
pub const T4: Duration = Duration::from_secs(5);

/// Calls at once. A call holds 4 sockets, about 60 KB; the media port range usually ends it earlier.
pub const CALLS: usize = 20_000;
/// Server and client transactions at once. A call has about six within 32 s.
pub const TRANSACTIONS: usize = 200_000;
/// Longest call; then both sides get BYE.
pub const CALL_LENGTH: Duration = Duration::from_secs(4 * 3600);

/// Calls that are transcoded at once, G.711 alone not counted: Opus both ways costs near a hundredth of a core a call.
/// Beyond it a call whose sides have no codec in common gets 488, as if `media.transcode` were false.
pub const TRANSCODED_CALLS: usize = 200;

/// Largest RTP or RTCP packet relayed: an Ethernet frame's payload.
pub const RTP_PACKET: usize = 1_472;
/// A media port rests so long after its call, so that a peer that goes on sending does not reach the next call.
pub const PORT_QUARANTINE: Duration = Duration::from_secs(5);
/// The least rest, when all other ports are taken or resting.
pub const PORT_QUARANTINE_MIN: Duration = Duration::from_millis(500);
/// Port pairs that rest or are free with open sockets, for the next calls.
pub const KEPT_PAIRS: usize = 4_096;
/// Packets in sequence from one source before NAT mode believes it.
pub const LATCH_PACKETS: u8 = 5;
/// They must come within this time.
pub const LATCH_WINDOW: Duration = Duration::from_millis(1_500);
/// Without a packet for so long a key is no longer pressed: four times the longest usual interval (RFC 4733 §2.5.1.2).
pub const DTMF_END_LOST: Duration = Duration::from_millis(200);
/// How long the API waits for a media thread to pause a recording.
pub const PAUSE_ANSWER: Duration = Duration::from_secs(5);
/// Longest prompt, and its largest file.
pub const PROMPT: Duration = Duration::from_secs(10 * 60);
pub const PROMPT_FILE: u64 = 128 << 20;
/// Prompts of one call that its event lists.
pub const PROMPTS: usize = 64;
/// The same key of one side, told in two ways within this time, is one key: INFO takes its way through a whole trunk.
pub const DTMF_SAME: Duration = Duration::from_millis(500);
/// Digits of one call that its event lists.
pub const DTMF_DIGITS: usize = 256;
/// Keys of one sequence follow each other within this time.
pub const DTMF_SEQUENCE: Duration = Duration::from_secs(3);

/// HTTP connections at once. A browser keeps up to six; streams of routers and consoles hold one each.
pub const HTTP_CONNECTIONS: usize = 1_024;
/// Of them from one address that is neither loopback nor a trusted proxy: an office behind one address fits.
pub const HTTP_CONNECTIONS_PER_ADDRESS: usize = 128;
/// Header fields of one request. Browsers send about 20.
pub const HTTP_HEADERS: usize = 64;
/// Head of one request, and read buffer of a connection.
pub const HTTP_HEAD: usize = 16 * 1024;
/// A request's head must be complete within this time; idle connections are closed after it.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(30);
/// Body of one request.
pub const HTTP_BODY: usize = 64 * 1024;
/// Parameters in the address of a page of the console; further ones are passed over.
pub const CONSOLE_PARAMETERS: usize = 64;
/// Calls of one CSV file.
pub const CONSOLE_CSV_ROWS: usize = 100_000;
/// A request's body must be complete within this time.
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(10);
/// Nesting of a JSON body; ours have three levels.
pub const HTTP_JSON_DEPTH: usize = 16;
/// A peer that takes nothing of an answer for so long is gone.
pub const HTTP_WRITE_STALL: Duration = Duration::from_secs(30);
/// Running requests get so long when the daemon stops.
pub const HTTP_DRAIN: Duration = Duration::from_secs(3);
/// Event and feed streams at once; each holds a connection and a queue.
pub const HTTP_STREAMS: usize = 128;
/// Rows of one page of an answer.
pub const HTTP_PAGE: usize = 500;
/// Addresses whose request rate is remembered; later ones share one bucket.
pub const HTTP_RATE_ADDRESSES: usize = 65_536;
/// Lease requests of one address at once: a busy office, or a test that fills a pool.
pub const HTTP_LEASE_BURST: u32 = 600;
/// Lease requests of one address per second, after the burst.
pub const HTTP_LEASE_RATE: u32 = 10;
/// Heartbeats and signals of one address at once.
pub const HTTP_BEAT_BURST: u32 = 2_000;
/// Heartbeats and signals of one address per second: 100 pages behind it send about 4.
pub const HTTP_BEAT_RATE: u32 = 50;
/// A destination's name is looked up no longer than this; then the next destination is tried.
pub const RESOLVE: Duration = Duration::from_secs(2);
/// Open hours of one company's week, all days together.
pub const SCHEDULE_SPANS: usize = 100;
/// Holidays of one company: ten years of them.
pub const SCHEDULE_HOLIDAYS: usize = 400;
/// Rules of one company: each is asked for every call.
pub const RULES: usize = 200;
/// Patterns in one list of a rule.
pub const RULE_PATTERNS: usize = 1_000;
/// Callers of whom we know who answered them last, about 100 bytes each.
pub const CALLERS_REMEMBERED: usize = 200_000;
/// The whole ring time of a call: most callers hang up long before, and carriers cut a call that rings for three minutes.
pub const RING_TOTAL: Duration = Duration::from_secs(120);
/// A destination that says nothing at all, not even 100, is given up after this when there is another to try: five
/// copies of the INVITE were sent by then, and a caller who hears nothing hangs up after ten seconds or so.
pub const DESTINATION_SILENT: Duration = Duration::from_secs(8);
/// A re-INVITE that crosses is given up after this: Timer B and some.
pub const OFFER: Duration = Duration::from_secs(35);
/// An UPDATE that crosses is given up after this: its sender waits 32 s (RFC 3261 Timer F).
pub const OFFER_UPDATE: Duration = Duration::from_secs(20);
/// An offer of our own is made so often, when it meets one of the other side each time.
pub const OFFER_TRIES: u8 = 4;
/// Transfers of one call that its events list.
pub const TRANSFERS: usize = 16;
/// Content types of one trunk that cross within a call.
pub const CONTENT_TYPES: usize = 32;
/// INFO and MESSAGE under way across one call.
pub const CROSSING: usize = 8;
/// Media threads and recorder have so long to close a call; then its events go out without their word.
pub const CLOSING: Duration = Duration::from_secs(30);
/// Refused calls become events at most so often; every one is counted.
pub const REFUSAL_EVENTS_PER_SECOND: u32 = 20;

/// New calls are refused while messages wait longer than this in our queue: T1, after which peers send everything again.
pub const OVERLOAD_AFTER: Duration = T1;
/// A measurement of our queue says nothing any more after this.
pub const LOAD_FRESH: Duration = Duration::from_secs(1);
/// Longest Retry-After for want of room: calls end all the time.
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// The same while no call has ended yet.
pub const RETRY_UNKNOWN: Duration = Duration::from_secs(5);
/// Addresses of trunks whose call rate is remembered at once; a full table holds the busiest.
pub const RATE_SOURCES: usize = 4_096;
/// Strangers' addresses that are remembered, for points and bans: about 1 MB, however many there are.
pub const STRANGERS: usize = 16_384;
/// Events of bans a second; with forged addresses there may be thousands, and every one is counted.
pub const BAN_EVENTS_PER_SECOND: u32 = 5;
/// Bans listed by the API.
pub const BANS_LISTED: usize = 1_000;
/// Addresses that names led to and that are therefore never banned.
pub const FAMILIAR: usize = 4_096;
/// An alarm about fraud is repeated after this, for each company and kind.
pub const FRAUD_WINDOW: Duration = Duration::from_secs(600);
/// Companies and kinds of fraud that were told of; then the oldest windows are forgotten.
pub const FRAUD_TOLD: usize = 10_000;
/// Prefixes of one list of `[fraud]`.
pub const FRAUD_PREFIXES: usize = 1_000;
/// Refusals in a row, for numbers that are none of ours, after which a trunk is searching for numbers.
pub const UNKNOWN_IN_A_ROW: u32 = 50;
/// Lines that a far side can make us log, a second.
pub const LOG_LINES_PER_SECOND: u32 = 1;
/// Strangers' datagrams thrown away in one turn before timers and commands are looked at.
pub const STRANGERS_PER_TURN: usize = 1_024;

/// Kernel buffer of a SIP socket: two seconds of 1,000 calls a second.
pub const SIP_SOCKET_BUFFER: usize = 8 * 1024 * 1024;
/// Datagrams read in one turn before timers and commands are looked at.
pub const DATAGRAMS_PER_TURN: usize = 64;
/// Host names of destinations and trunks, those of earlier configurations included.
pub const NAMES: usize = 100_000;
/// Hops that one name leads to: nobody waits for more to be tried.
pub const RESOLVED_HOPS: usize = 16;
/// NAPTR records of one name that are followed; a domain has one for each transport.
pub const NAPTR_RECORDS: usize = 4;
/// SRV targets of one name whose addresses are looked up.
pub const SRV_TARGETS: usize = 8;
/// DNS questions of one step: NAPTR, three SRV and two addresses, or two addresses of each SRV target.
pub const LOOKUPS: usize = 64;
/// One question to one DNS server; then the next server is asked.
pub const DNS_ATTEMPT: Duration = Duration::from_millis(400);
/// Questions to DNS servers under way at once.
pub const DNS_PARALLEL: usize = 64;
/// Questions under way or waiting for their turn; one more is a failure at once.
pub const DNS_WAITING: usize = 1_024;
/// Answers remembered: a configuration's names have some six questions each.
pub const DNS_CACHE: usize = 4_096;
/// An answer holds at least so long, whatever it says: a TTL of zero would ask for each call.
pub const DNS_TTL_MIN: Duration = Duration::from_secs(1);
/// An answer holds no longer: a PBX that moves is found again within the hour.
pub const DNS_TTL_MAX: Duration = Duration::from_secs(3_600);
/// "There is none" holds so long when the zone does not say (RFC 2308 §5).
pub const DNS_NEGATIVE: Duration = Duration::from_secs(30);
/// "There is none" holds no longer: somebody may be about to add it.
pub const DNS_NEGATIVE_MAX: Duration = Duration::from_secs(300);
/// While no server answers, old answers serve for so long (RFC 8767 §5: one to three days).
pub const DNS_STALE: Duration = Duration::from_secs(86_400);
/// Servers that did not answer are asked again after this.
pub const DNS_RETRY: Duration = Duration::from_secs(5);
/// Bytes of `/etc/hosts` and `resolv.conf` that are read.
pub const SYSTEM_FILE: u64 = 1 << 20;
/// DNS servers of the configuration.
pub const DNS_SERVERS: usize = 8;
/// Records kept of one DNS answer.
pub const DNS_RECORDS: usize = 32;
/// Addresses taken from one DNS answer.
pub const RESOLVED_ADDRESSES: usize = 8;
/// Stream events waiting for signalling; a full queue stops reading from the peers.
pub const STREAM_EVENTS: usize = 1_024;
/// SIP stream connections at once.
pub const STREAMS: usize = 512;
/// SIP stream connections of one address.
pub const STREAMS_PER_ADDRESS: usize = 16;
/// A new connection must deliver its first whole message within this time.
pub const STREAM_FIRST: Duration = Duration::from_secs(10);
/// A connection without traffic is closed after this.
pub const STREAM_IDLE: Duration = Duration::from_secs(900);
/// Pause between our keep-alives on a stream: below the 120 s that RFC 5626 §4.4.1 gives as the upper end.
pub const STREAM_PING: Duration = Duration::from_secs(110);
/// A peer that answered keep-alives before must answer the next within this time (RFC 5626 §4.4.1).
pub const STREAM_PONG: Duration = Duration::from_secs(10);
/// Most connections that a configuration may allow: each holds a descriptor.
pub const STREAMS_MAX: usize = 65_536;
/// Part of all connections that those may hold of whom nothing is known yet: a quarter, so that trunks find room.
pub const STREAMS_OF_STRANGERS: usize = 4;
/// A file with certificates or a key; the bundle of all public authorities has 230 KB.
pub const TLS_FILE: u64 = 4 * 1024 * 1024;
/// Names of one certificate that are looked at; an operator's certificate has a handful.
pub const TLS_NAMES: usize = 128;
/// Opening a connection takes no longer.
pub const STREAM_CONNECT: Duration = Duration::from_secs(5);
/// Messages to one stream peer written at once: more than one turn of the machine can make.
pub const STREAM_BATCH: usize = 1_024;
/// A stream peer that takes nothing of a message for so long is gone.
pub const STREAM_STALL: Duration = Duration::from_secs(10);
/// Bytes waiting for a peer that does not read; then it is closed.
pub const STREAM_UNSENT: usize = 256 * 1024;
/// A visitor id given by a page. Ours have 32 characters; cookies of analytics reach about 60.
pub const VISITOR_ID: usize = 128;
/// One text of a session. Browsers send URLs of about 2,000 characters without trouble.
pub const SESSION_TEXT: usize = 2_048;
/// Keys of one map of a session; there are about twenty click ids in the field.
pub const SESSION_KEYS: usize = 32;
/// Tables of conditions of one pool or site.
pub const POOL_CONDITIONS: usize = 64;
/// Networks whose visits of a site are not tracked.
pub const SITE_EXCLUDED: usize = 10_000;
/// Characters of a browser's name that are looked at.
pub const USER_AGENT: usize = 512;
/// Addresses whose new leases are counted.
pub const QUOTA_ADDRESSES: usize = 50_000;
/// Months of pools that the ledger remembers: a thousand pools for eight years.
pub const LEDGER_ROWS: usize = 100_000;
/// Seconds of talk up to which the ledger tells calls apart: a day.
pub const LEDGER_TALK: u32 = 86_400;
/// Versions of the catalogue that are kept.
pub const CATALOGUE_VERSIONS: usize = 1_000;
/// Changes that one version names, and characters of a value in them.
pub const CATALOGUE_CHANGES: usize = 200;
pub const CATALOGUE_VALUE: usize = 120;
/// Body of a catalogue: some ten thousand pools with ranges.
pub const HTTP_CATALOGUE: usize = 8 * 1024 * 1024;
/// Requests about the catalogue that wait.
pub const CATALOGUE_ORDERS: usize = 16;
/// Visitors who see the number of one campaign at once.
pub const PARAMS_SHARERS: u64 = 10_000;
/// Characters of a language's tag.
pub const LANGUAGE: usize = 35;
/// Parameters of a landing page's address that are looked at.
pub const QUERY_PAIRS: usize = 128;
/// One key of such a map.
pub const SESSION_KEY: usize = 64;
/// Callers that are remembered, and visitors who called: a busy company's of a year. Each costs about 200 bytes.
pub const CALLERS_KNOWN: usize = 100_000;
/// Numbers whose calls for nobody are counted.
pub const NOISY_NUMBERS: usize = 1_000_000;
/// Candidates that an attribution lists.
pub const CANDIDATES: usize = 8;
/// Calls that a model is learned from: more make it no better.
pub const FITTED_CALLS: usize = 50_000;
/// Sources whose visitors get a rate of their own.
pub const FITTED_SOURCES: usize = 256;
/// Former holders of a number that are remembered: whoever calls late is hardly ever older, and each costs a pointer here
/// and some hundred bytes once.
pub const LEASE_PAST: usize = 64;
/// Visitors who may share one number before the oldest is forgotten.
pub const LEASE_SHARERS: usize = 8;
/// A visit that a page says is older began so long ago: advertising systems take no older click.
pub const VISIT_AGE: Duration = Duration::from_secs(90 * 86_400);
/// Links between sites of one company that were followed in the last two minutes, so that none is followed twice.
pub const LINKS_FOLLOWED: usize = 65_536;
/// How long such a link can be followed: from the answer that brought it to the request of the page it leads to.
pub const LINK_TIME: Duration = Duration::from_secs(120);
/// Pages that show a static number because there was none for them, with a lease of it; 1 KiB each.
pub const DISPLAYS: usize = 100_000;
/// Signals of one lease that go into the journal; a page has a handful, a loop in a page thousands.
pub const LEASE_SIGNALS: u32 = 200;
/// Length of a signal's name.
pub const SIGNAL_NAME: usize = 32;
/// Timers that one turn of the allocator runs before it lets others in: about 5 ms.
pub const ALLOCATOR_TURN: usize = 10_000;
/// Changes kept for followers of the lease feed that come back: about 30 MB, five minutes at 10,000 visitors.
pub const FEED_LOG: usize = 100_000;
/// Records written to a follower at a time, so that the allocator is never locked long.
pub const FEED_BATCH: usize = 256;
/// One line of the lease feed: a session of full length in JSON, twice over.
pub const FEED_LINE: usize = 512 * 1024;
/// Lines of one snapshot of the lease feed: two for each of five million numbers.
pub const FEED_ENTRIES: u64 = 10_000_000;
/// Heartbeat of an idle lease feed.
pub const FEED_HEARTBEAT: Duration = Duration::from_secs(10);
/// Longest number text that is read at all: 15 digits with separators and a parameter or two.
pub const NUMBER_TEXT: usize = 96;
/// Attribution line for headers and display names, in characters; phones show 20 to 60.
pub const SOURCE_LINE: usize = 100;
/// Configuration file: a million numbers written one by one.
pub const CONFIG_FILE: u64 = 32 << 20;
/// Problems reported of one configuration; a person reads fewer.
pub const CONFIG_PROBLEMS: usize = 200;
/// Items of one list of the configuration; ranges make longer ones unnecessary.
pub const CONFIG_LIST: usize = 100_000;
/// Bytes of a secret in a file of its own.
pub const CONFIG_SECRET: usize = 4 * 1024;
/// Trunks, companies, sites, pools and sinks, each.
pub const CONFIG_TABLES: usize = 10_000;
/// Numbers of all pools: the lease table was measured with so many.
pub const NUMBERS: usize = 1_000_000;
/// Sources of one trunk.
pub const TRUNK_SOURCES: usize = 1_000;
/// Calls that wait for a company's webhook to decide at once: at 800 ms each some 300 new calls a second.
pub const DECISIONS: usize = 256;
/// Shortest and longest time that such a webhook may be given: the caller hears nothing meanwhile.
pub const DECISION_TIMEOUT_MIN: Duration = Duration::from_millis(50);
pub const DECISION_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// And the time that it has when nothing is said.
pub const DECISION_TIMEOUT: Duration = Duration::from_millis(800);
/// What we read of its answer: sixteen names.
pub const DECISION_REPLY: usize = 16 * 1024;
/// So many failures in a row, and it is left alone for the shortest of these times, at the next failure for twice as long.
pub const DECISION_FAILURES: u32 = 3;
pub const DECISION_REST: Duration = Duration::from_secs(5);
pub const DECISION_REST_MAX: Duration = Duration::from_secs(60);
/// Redirections in a row that are followed (RFC 3261 §8.1.3.4 names no bound), contacts taken of each, and in all of one
/// call.
pub const REDIRECT_DEPTH: u8 = 3;
pub const REDIRECT_CONTACTS: usize = 4;
pub const REDIRECTS: usize = 8;
/// Codecs of one trunk.
pub const TRUNK_CODECS: usize = 16;
/// Longest name of a codec.
pub const CODEC_NAME: usize = 32;
/// Destinations of one company: a caller does not wait for more.
pub const DESTINATIONS: usize = 16;
/// Keys of a static channel.
pub const CHANNEL_KEYS: usize = 16;
/// Bytes of one value of a static channel: it may stand in a SIP header.
pub const CHANNEL_VALUE: usize = 256;
/// Who tapped the number is dialling it or about to: it stays on their page so long, even when the page is gone.
pub const TAP_PIN: Duration = Duration::from_secs(600);
/// A number rests at least so long after its visitor left, so that a late call still finds them.
pub const HOLD_MIN: Duration = Duration::from_secs(300);

/// Log lines that wait for the reader of stderr: a second of a busy node; beyond it lines are dropped and counted.
pub const LOG_LINES: usize = 8_192;
/// A recording waits so long for packets that come late or out of order before it writes a stretch. With
/// [`RECORDER_BLOCK`] it is what a crash can cost: under a second.
pub const RECORDER_REORDER: Duration = Duration::from_millis(400);
/// A recording is written in blocks of so much: two or three writes a second and call.
pub const RECORDER_BLOCK: Duration = Duration::from_millis(400);
/// Samples of one channel held in memory, in front of what is written: reorder window, block, one largest packet and
/// slack for a driver that comes late. 8000 a second.
pub const RECORDER_BUFFER: usize = 3 * 8_000;
/// Streams (SSRCs) of one side followed at once; a new one replaces the one that was quiet longest.
pub const RECORDER_STREAMS: usize = 4;
/// Packets of one stream held back until its place on the timeline is clear: a burst after a stall of two seconds.
pub const RECORDER_HELD: usize = 128;
/// Gaps listed of one channel; what comes after is summed in one entry. Keeps an event under 64 KiB.
pub const RECORDER_GAPS: usize = 256;
/// Longest recording: a day and a half are 4.1 GB at 8000 Hz, just below where the sizes of RIFF end; what has more bytes
/// a second becomes RF64 there.
pub const RECORDING_LENGTH: Duration = Duration::from_secs(36 * 3600);

/// Bytes of packets that a media thread collects before the recorder gets them: about 1,500 G.711 packets.
pub const TAP_ARENA: usize = 256 * 1024;
/// Packets of one such buffer, for codecs with small packets.
pub const TAP_PACKETS: usize = 4_096;
/// Age at which a buffer goes out though it is not full: short beside the second that a killed process may lose.
pub const TAP_INTERVAL: Duration = Duration::from_millis(80);
/// Buffers of one media thread (16 MiB when all are in use): 5 s of a stuck recorder with few calls, 1 s with 1,000.
pub const TAP_BUFFERS: usize = 64;
/// Messages on their way to the recorder from all media threads.
pub const TAP_QUEUE: usize = 1_024;
/// Messages about calls that wait on one media thread for a stuck recorder; then new recordings are refused.
pub const TAP_BACKLOG: usize = 4_096;
/// A learned source must be quiet for so long before another one of the same IP may take its place.
pub const LATCH_QUIET: Duration = Duration::from_millis(1_500);
/// The same for RTCP, which comes about every 5 s (RFC 3550 §6.2): three reports are missing.
pub const LATCH_QUIET_RTCP: Duration = Duration::from_secs(15);
/// Sources of one IP that are watched while none is learned: the party, and a few that disturb.
pub const LATCH_CANDIDATES: usize = 4;
/// RTP packets a second that one leg may have relayed: packets of 5 ms, and 10 ms with telephone events between.
pub const LEG_PACKETS_PER_SECOND: u32 = 250;
/// How many of them may come at once: what a network holds up for 2 s with packets of 20 ms.
pub const LEG_PACKETS_BURST: u32 = 100;
/// RTCP packets a second of one leg; RFC 3550 §6.2 allows one in 5 s, RFC 4585 early feedback more.
pub const LEG_RTCP_PER_SECOND: u32 = 10;
/// How many of them may come at once.
pub const LEG_RTCP_BURST: u32 = 20;
/// While a side is on hold nobody need talk: the call is given so long.
pub const SILENCE_ON_HOLD: Duration = Duration::from_secs(3_600);
/// A side from which media should come is noted as silent after this time.
pub const SILENCE_NOTED: Duration = Duration::from_secs(20);
/// Receive buffer of a media socket: 1.3 s of G.711 (the kernel counts its own overhead too).
pub const MEDIA_RECEIVE_BUFFER: usize = 64 * 1024;
/// One journal record. A `call.ended` with a hostile page's session and a long list of gaps has some 60 KB.
pub const JOURNAL_RECORD: usize = 1024 * 1024;
/// A segment is closed when it is so long: a start reads the newest one, and 64 MiB are hashed in a tenth of a second.
pub const JOURNAL_SEGMENT: u64 = 64 * 1024 * 1024;
/// Events that wait for the journal's disk. At 2 KB each 130 MB, and some ten minutes of a busy node.
pub const JOURNAL_QUEUE: usize = 65_536;
/// Events written with one fsync.
pub const JOURNAL_BATCH: usize = 1_024;
/// Two fsyncs of the journal are so far apart, so that load costs 20 a second and not one an event.
pub const JOURNAL_COMMIT: Duration = Duration::from_millis(50);
/// A disk that refused is asked again after this time.
pub const JOURNAL_RETRY: Duration = Duration::from_secs(1);
/// Newest records kept in memory for followers, so that they do not read what was just written.
pub const JOURNAL_TAIL: usize = 4_096;
/// The same in bytes.
pub const JOURNAL_TAIL_BYTES: usize = 8 * 1024 * 1024;
/// Records given out by one read.
pub const JOURNAL_READ: usize = 1_000;
/// Problems that `verify` lists; the rest is counted.
pub const VERIFY_PROBLEMS: usize = 100;

/// Events listed with one call.
pub const CALL_EVENTS: usize = 64;
/// Calls on one page of the API.
pub const CALLS_PAGE: usize = 200;

/// Events of one sink that may be under way or waiting for a retry.
pub const SINK_WINDOW: usize = 16_384;
/// Records between the oldest of them and the newest one delivered: one event that is refused for a day must not hold
/// up a day's others. 16 bytes each.
pub const SINK_SPAN: usize = 1_000_000;
/// Unsettled events listed in a sink's cursor file; with more, a restart delivers again what came after the oldest.
pub const SINK_LISTED: usize = 1_024;
/// Deliveries of one sink at once, each for another call.
pub const SINK_PARALLEL: usize = 8;
/// A sink's whole request.
pub const SINK_TIMEOUT: Duration = Duration::from_secs(10);
/// What we read of a sink's reply.
pub const SINK_REPLY: usize = 64 * 1024;
/// First retry; doubled each time.
pub const SINK_RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between two attempts of ours; a sink's `Retry-After` may ask for more.
pub const SINK_RETRY_MAX: Duration = Duration::from_secs(300);
/// Longest wait between two probes of a sink that fails at everything.
pub const SINK_PROBE_MAX: Duration = Duration::from_secs(60);
/// After this an event goes to the dead letters (CONTRACT §4).
pub const SINK_RETRY_FOR: Duration = Duration::from_secs(24 * 3600);
/// Bytes of one sink's dead letters; what comes after is counted, and stays in the journal.
pub const SINK_DEAD_BYTES: u64 = 256 * 1024 * 1024;
/// Longest sound that a test phone plays, and longest silence on its tape.
pub const PHONE_AUDIO: Duration = Duration::from_secs(600);
/// Calls at once of a test phone that answers.
pub const PHONE_CALLS: usize = 1_000;

/// A capture that is replayed: it is read into memory whole. An hour of one call has some 80 MB.
pub const CAPTURE_FILE: u64 = 512 * 1024 * 1024;
/// Packets read of it; a bound on memory beside the file's size, at some 100 bytes each.
pub const CAPTURE_PACKETS: usize = 4_000_000;
/// TCP connections followed in a capture, each direction for itself.
pub const CAPTURE_STREAMS: usize = 4_096;
/// Segments of one TCP direction that wait for one that is missing.
pub const CAPTURE_SEGMENTS: usize = 64;
/// Calls replayed from one capture.
pub const REPLAY_CALLS: usize = 1_000;
/// Dialogs looked at in one capture, so that finding out which belong together takes no longer than reading it.
pub const REPLAY_DIALOGS: usize = 4_000;
/// Captured messages that wait for our machine to say what they answer; real ones wait for one response.
pub const REPLAY_HELD: usize = 64;
/// SIP messages of one dialog in a capture.
pub const REPLAY_MESSAGES: usize = 10_000;
/// Destinations of one captured call.
pub const REPLAY_ATTEMPTS: usize = 16;
/// Lines of one replayed call's ladder, and its divergences; what comes after is counted.
pub const REPLAY_STEPS: usize = 10_000;
/// Times that a replayed machine is woken between two packets: a capture's clock may jump years.
pub const REPLAY_WAKEUPS: usize = 10_000;
/// One display name in bytes: 64 characters of two bytes; phones show 20 to 60.
pub const DISPLAY_NAME: usize = 128;
/// Longest caller text that is kept; RFC 3261 names no bound, a display has some thirty characters.
pub const CALLER_TEXT: usize = 64;
/// Values of one identity header that are looked at: RFC 3325 §9.1 allows two, old switches write three.
pub const IDENTITIES: usize = 4;
/// Diversion values of one INVITE that are kept: a call that was diverted more often goes round in a circle.
pub const DIVERSIONS: usize = 10;
/// History-Info entries of one INVITE that are kept.
pub const HISTORY: usize = 20;
/// Reason values of one message that are looked at.
pub const REASONS: usize = 8;
/// SIP messages kept of one call for its ladder; an ordinary call has some fifteen.
pub const MESSAGES_PER_CALL: usize = 500;
/// Calls of which messages are kept, whatever their size.
pub const MESSAGES_CALLS: usize = 50_000;
/// Received messages that wait for their call to come into being: one turn's.
pub const MESSAGES_UNCLAIMED: usize = 32;
/// Entries of one list of header rules; a carrier's sheet has a dozen.
pub const HEADER_RULES: usize = 64;
/// One header value that a rule passes on or writes.
pub const HEADER_VALUE: usize = 1_024;
/// Lines of one header that are passed on.
pub const HEADER_VALUES: usize = 8;
/// Callers known by name: an address book, not a directory enquiry.
pub const KNOWN_CALLERS: usize = 10_000;
/// Note on a known caller; it stands in every event of theirs.
pub const CALLER_NOTE: usize = 512;
/// Identity headers of one INVITE that are looked at: the caller's and a few diversions.
pub const PASSPORTS: usize = 8;
/// Destinations that one PASSporT may name.
pub const PASSPORT_PARTIES: usize = 16;
/// A manifest of a day is read up to so many bytes: a million recordings.
pub const ARCHIVE_MANIFEST: u64 = 512 * 1024 * 1024;
/// Closed days that are looked at again for recordings that came late; a start looks at all.
pub const ARCHIVE_DAYS_WATCHED: usize = 3;
/// Between two rounds of the archive.
pub const ARCHIVE_PAUSE: Duration = Duration::from_secs(60);
/// Between two looks at the free space of the disk of recordings.
pub const ARCHIVE_DISK_PAUSE: Duration = Duration::from_secs(5);
/// Recordings that one such look erases, at most.
pub const ARCHIVE_EARLY: usize = 200;
/// Pause after a time-stamp authority gave no stamp, and the longest that it grows to.
pub const TIMESTAMP_PAUSE: Duration = Duration::from_secs(5);
pub const TIMESTAMP_PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Alarms of the archive that are told apart.
pub const ARCHIVE_ALARMS: usize = 1_000;
/// An erasure waits so long for the journal's disk; then the next start tells of it once more.
pub const ARCHIVE_FLUSH: Duration = Duration::from_secs(5);
/// `leaseline erase` waits so long for the daemon.
pub const ERASURE_PATIENCE: Duration = Duration::from_secs(600);
/// Recordings that one round makes into FLAC.
pub const ARCHIVE_PACKED: usize = 200;
/// Archives of the configuration.
pub const ARCHIVES: usize = 16;
/// Recordings that are sent to one archive at once.
pub const UPLOADS_AT_ONCE: usize = 4;
/// Messages of the ladder in a sidecar.
pub const SIDECAR_MESSAGES: usize = 200;
/// Events that an upload reads at a time.
pub const UPLOAD_BATCH: usize = 100;
/// The longest that one request to a storage may take.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest pause between two attempts.
pub const UPLOAD_PAUSE_MAX: Duration = Duration::from_secs(300);
/// Failed attempts at one thing before an operator is told: about half an hour.
pub const UPLOAD_ALARM_AFTER: u32 = 14;
/// Characters of a reason that somebody gives for an erasure, a hold or a hearing.
pub const ARCHIVE_WORDS: usize = 500;
/// Rules of retention.
pub const RETENTION_RULES: usize = 1_000;
/// Users of the API with a token of their own.
pub const HTTP_USERS: usize = 1_000;
/// Hearings of recordings that are told apart from their further pieces.
pub const HTTP_LISTENERS: usize = 10_000;
/// A PASSporT is fresh for so long (RFC 8224 §4.1).
pub const PASSPORT_AGE: Duration = Duration::from_secs(60);
/// Certificates of one PEM file: the list of a country's roots.
pub const STIR_CHAIN: usize = 64;
/// Certificates that the configuration names: the providers of a country.
pub const STIR_CERTIFICATES: usize = 2_000;
/// Certificates that were fetched and are kept: more would be another country's providers.
pub const STIR_FETCHED: usize = 500;
/// Certificates that are fetched at once; a call that names one more is judged without it.
pub const STIR_FETCHES: usize = 8;
/// Calls that wait for certificates at once; more are judged without.
pub const STIR_PARKED: usize = 500;
/// The longest that a fetch may take; what comes later than a call waits serves the next one.
pub const STIR_FETCH: Duration = Duration::from_secs(5);
/// What could not be fetched is not asked for again so long, whatever calls name it.
pub const STIR_FETCH_AGAIN: Duration = Duration::from_secs(30);
/// A certificate whose server does not say how long it may be kept is kept so long,
pub const STIR_FETCH_KEPT: Duration = Duration::from_secs(3_600);
/// and one whose server says longer at most so long.
pub const STIR_FETCH_KEPT_MAX: Duration = Duration::from_secs(86_400);
/// Bytes of one answer: a chain of three certificates has about 4 KB.
pub const STIR_FETCH_BYTES: usize = 64 * 1024;
/// Longest URL that is fetched.
pub const STIR_URL: usize = 512;
/// Hosts of one trunk that certificates are fetched from.
pub const STIR_HOSTS: usize = 64;
/// Bytes of one PEM file.
pub const STIR_FILE: u64 = 256 * 1024;
/// Entries of one TNAuthList.
pub const TN_AUTH_LIST: usize = 256;
/// Distinct channels (source, medium and campaign) that planning counts: a shop has some hundred.
pub const PLAN_CHANNELS: usize = 10_000;
/// Lines of a plan beside those of its targets.
pub const PLAN_SIZES: usize = 24;
/// Forecasts of one plan.
pub const FORECASTS: usize = 64;
/// Windows of counting that a pool's shortage is seen over: a week of hours.
pub const GROW_WINDOWS: usize = 168;
/// Providers of numbers.
pub const PROVIDERS: usize = 100;
/// People who get one letter.
pub const RECIPIENTS: usize = 20;
/// Background calls that are remembered of one number.
pub const BACKGROUND_CALLS: usize = 100;
/// Days of which a pool's busiest window is remembered.
pub const GROW_DAYS: usize = 400;
/// Characters of a provider's words that are kept.
pub const PROVIDER_WORDS: usize = 300;
/// What is read of a provider's answer: some thousand numbers.
pub const PROVIDER_REPLY: usize = 256 * 1024;
/// Numbers of which calls are remembered.
pub const KEPT_NUMBERS: usize = 200_000;
/// Letters that wait for the mail server.
pub const LETTERS: usize = 1_000;
/// Characters of the address of a page that shows a number.
pub const SEEN_PAGE: usize = 500;
/// Bytes of one file that tells regions: databases of cities have 60 to 150 MB.
pub const REGION_FILE: u64 = 512 << 20;
/// Files of ranges of numbers: the regulator publishes four.
pub const REGION_FILES: usize = 16;
/// Ranges of numbers with a region: the four files have about 400,000.
pub const REGION_RANGES: usize = 1_000_000;
/// Different names of regions that are remembered while they are read.
pub const REGION_NAMES: usize = 20_000;
/// Characters of the name of a region.
pub const REGION_NAME: usize = 200;
/// Sessions of people who signed in.
pub const SESSIONS: usize = 10_000;
/// Of one of them: a few browsers each.
pub const SESSIONS_OF_ONE: usize = 20;
/// Sign-ins with an identity provider that are on their way, how long one may take, how long an answer of the provider may
/// take, and its bytes.
pub const OIDC_BEGUN: usize = 1_000;
pub const OIDC_WAIT: Duration = Duration::from_secs(600);
pub const OIDC_TIMEOUT: Duration = Duration::from_secs(10);
pub const OIDC_ANSWER: usize = 256 * 1024;
/// Sign-ins tried from one address: so many at once, and one more in that time. An office has one address.
pub const SIGN_IN_PER_ADDRESS: (u32, Duration) = (20, Duration::from_secs(15));
/// Sign-ins tried with one name, from wherever: a day has 1,440 minutes, and a password of ten letters more guesses.
pub const SIGN_IN_PER_NAME: (u32, Duration) = (10, Duration::from_secs(60));
/// Addresses, and names, whose attempts are counted; later ones share.
pub const SIGN_IN_TRIED: usize = 20_000;
/// A sign-in waits so long for the code of the second factor.
pub const SIGN_IN_HALFWAY: Duration = Duration::from_secs(300);
/// Imports of costs that a page tells of.
pub const IMPORTS_SHOWN: usize = 50;
/// Names with the addresses from which they signed in before.
pub const SIGN_IN_KNOWN: usize = 20_000;
/// Passwords checked at once: each takes 19 MiB and a core for a tenth of a second.
pub const PASSWORDS_AT_ONCE: usize = 2;
/// Characters of a password, at least: what is long need not be odd.
pub const PASSWORD_MIN: usize = 10;
/// Bytes of a password, at most.
pub const PASSWORD_MAX: usize = 256;
/// Users, and API tokens, of one node.
pub const USERS: usize = 10_000;
/// Grants of one user.
pub const USER_GRANTS: usize = 100;
/// Bytes of `users.json`.
pub const USERS_FILE: u64 = 64 * 1024 * 1024;
/// A one-time link that lets somebody choose their password is good for so long.
pub const SETUP_LINK: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Bytes of one answer that is masked: larger ones are not given out.
pub const HTTP_MASKED: usize = 64 * 1024 * 1024;

/// Bytes of a label in the filter of an export.
pub const EXPORT_LABEL: usize = 128;
/// Bytes of one template, and of what it renders.
pub const EXPORT_TEMPLATE: usize = 64 * 1024;
pub const EXPORT_RENDERED: usize = 256 * 1024;
/// Instructions that one rendering may take.
pub const EXPORT_FUEL: u64 = 100_000;
/// Records of the journal that an export takes in one transaction.
pub const EXPORT_INTAKE: usize = 256;
/// Deliveries of one export that are under way or wait for a retry; the rest waits in its file.
pub const EXPORT_WINDOW: usize = 4_096;
/// Calls and settled deliveries are forgotten after so long: what changes a call later is not told any more.
pub const EXPORT_KEEP: Duration = Duration::from_secs(90 * 86_400);
/// Looks after one upload that is processed later, and the time between two of them.
pub const EXPORT_LOOKS: u32 = 48;
pub const EXPORT_LOOK_EVERY: Duration = Duration::from_secs(1_800);
/// Steps of one conversation with a destination.
pub const EXPORT_STEPS: usize = 16;
/// Bytes of an answer's text that the delivery log keeps.
pub const EXPORT_DETAIL: usize = 300;
/// Largest recording that is handed to a destination.
pub const EXPORT_RECORDING: u64 = 16 * 1024 * 1024;
/// Rows of one file.
pub const EXPORT_ROWS: usize = 100_000;
/// Questions that the index answers at once; more wait,
pub const INDEX_READERS: usize = 8;
/// at most so long.
pub const INDEX_READ_PATIENCE: Duration = Duration::from_secs(5);
/// A question waits so long for what was journaled before it,
pub const INDEX_PATIENCE: Duration = Duration::from_secs(2);
/// unless the index is further behind than this.
pub const INDEX_NEAR: u64 = 20_000;
/// When the index's disk refuses it is tried again after so long.
pub const INDEX_RETRY: Duration = Duration::from_secs(1);
/// Records that are taken in at once while an index is made.
pub const INDEX_BULK: usize = 20_000;
/// Memory for pages of the file, in KiB: of the writer and of each reader.
pub const INDEX_WRITER_KIB: i64 = 64 * 1024;
pub const INDEX_READER_KIB: i64 = 16 * 1024;
/// Prepared statements of a connection.
pub const INDEX_STATEMENTS: usize = 128;
/// Characters of a source, medium, campaign, content or term.
pub const INDEX_NAME: usize = 200;
/// Characters of the address of a page.
pub const INDEX_URL: usize = 500;
/// Different origins that are told apart; beyond them only sources are, and beyond twice as many nothing.
pub const INDEX_ORIGINS: i64 = 100_000;
/// Names that the projector keeps in memory, of each kind.
pub const INDEX_CACHE: usize = 50_000;
/// Earlier calls or visits of one person that are looked through.
pub const INDEX_SIGHTS: usize = 256;
/// Visits of one person that share the credit for a call: the newest ones.
pub const INDEX_TOUCHES: usize = 64;
/// Ids under which one person is told.
pub const VISITOR_IDS: usize = 32;
/// People who may have called and share the credit.
pub const INDEX_CANDIDATES: usize = 16;
/// Signs of one visit that are kept.
pub const INDEX_SIGNALS: usize = 200;
/// An attribution that is so sure joins caller and visitor.
pub const JOIN_CONFIDENCE: f64 = 0.8;
/// A selective filter is answered from its own index up to so many calls,
pub const INDEX_PROBE: usize = 5_000;
/// and another one looks through so many calls for a page.
pub const INDEX_SCAN: usize = 50_000;
/// Characters of a label, a stage or a criterion; how many of each a company has.
pub const LABEL: usize = 64;
pub const LABELS: usize = 100;
/// Callers whose calls are counted for label rules, and calls of one of them.
pub const LABEL_CALLERS: usize = 50_000;
pub const LABEL_CALLS: usize = 100;
/// Characters of a comment.
pub const COMMENT: usize = 4_000;
/// Comments of one call.
pub const COMMENTS: usize = 500;
/// Rows of one import of costs or deals, and bytes of it.
pub const IMPORT_ROWS: usize = 10_000;
pub const HTTP_IMPORT: usize = 4 * 1024 * 1024;
/// Rows of one event of an import: the rest comes in further ones.
pub const IMPORT_EVENT_ROWS: usize = 500;
/// Lines of an import that are named as wrong in one answer.
pub const IMPORT_PROBLEMS: usize = 50;
/// Fields of a lead, and characters of one.
pub const LEAD_FIELDS: usize = 50;
pub const LEAD_FIELD: usize = 2_000;
/// Largest amount of money, in minor units: ten billion pounds.
pub const MONEY_MAX: i64 = 1_000_000_000_000;
/// Calls on one page of the interface in CallRail's shape, and calls that are counted for its totals.
pub const CALLRAIL_PAGE: usize = 200;
pub const CALLRAIL_CALLS: usize = 100_000;
