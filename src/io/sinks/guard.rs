//! Where a sink may connect: the guard against requests into the inside of a network (SSRF).
//!
//! The host's addresses are looked up and judged here, and the connection goes to an address that was judged: a name
//! that changes its answer between look and connect gains nothing. Redirects and proxies are off for the same reason.
//!
//! * Public addresses: always.
//! * Loopback and private networks: only when the URL names the address literally, which is what whoever wrote the
//!   configuration meant, or with `allow_private`. A *name* that leads there (`localhost` too) is refused.
//! * Link-local (where clouds keep their credentials), unspecified, multicast and reserved addresses: never. Nor IPv6
//!   forms that hide an IPv4 address, when that one is not public.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why a sink may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("only http and https URLs are called")]
    Scheme,
    #[error("user name and password in a URL are not sent; use `headers`")]
    UserInfo,
    #[error("the URL has no host")]
    NoHost,
    #[error("{address} is {class}; name the address itself in the URL, or set allow_private")]
    Private { address: IpAddr, class: &'static str },
    #[error("{address} is {class} and never called")]
    Never { address: IpAddr, class: &'static str },
}

/// What a sink's URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    allow_private: bool,
}

impl Guard {
    /// Judges the URL itself, and the address in it when it has one.
    pub fn new(url: &Url, allow_private: bool) -> Result<Guard, Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        let literal = Guard { allow_private: true };
        match url.host() {
            Some(Host::Ipv4(address)) => literal.check(address.into())?,
            Some(Host::Ipv6(address)) => literal.check(address.into())?,
            Some(Host::Domain(name)) if !name.is_empty() => {}
            _ => return Err(Refused::NoHost),
        }
        Ok(Guard { allow_private })
    }

    /// For names alone: what a URL says literally is judged by [`Guard::new`] before each request.
    pub(in crate::io) fn of_names(allow_private: bool) -> Guard {
        Guard { allow_private }
    }

    /// Judges an address that the host's name led to.
    pub fn check(self, address: IpAddr) -> Result<(), Refused> {
        match class(address) {
            Class::Public => Ok(()),
            Class::Inside(_) if self.allow_private => Ok(()),
            Class::Inside(class) => Err(Refused::Private { address, class }),
            Class::Never(class) => Err(Refused::Never { address, class }),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Public,
    Inside(&'static str),
    Never(&'static str),
}

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class4(address),
        IpAddr::V6(address) => class6(address),
    }
}

/// IANA's registry of special-purpose IPv4 addresses.
fn class4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] => Class::Never("unspecified"),
        [127, ..] => Class::Inside("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Inside("a private network"),
        [100, 64..=127, ..] => Class::Inside("shared address space"),
        [169, 254, ..] => Class::Never("link-local"),
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Class::Never("reserved"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Never("for documentation"),
        [198, 18..=19, ..] => Class::Inside("a benchmark network"),
        [224..=239, ..] => Class::Never("multicast"),
        _ => Class::Public,
    }
}

/// IANA's registry of special-purpose IPv6 addresses.
fn class6(address: Ipv6Addr) -> Class {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        match class4(Ipv4Addr::new(a, b, c, d)) {
            Class::Public => Class::Public,
            _ => Class::Never("a hidden IPv4 address that is not public"),
        }
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Inside("loopback"),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        [0xfc00..=0xfdff, ..] => Class::Inside("a private network"),
        [0xfe80..=0xfebf, ..] => Class::Never("link-local"),
        [0xff00..=0xffff, ..] => Class::Never("multicast"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Never("for documentation"),
        [0x2001, 0..=0x1ff, ..] => Class::Never("reserved"),
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Never("reserved"),
    }
}

type Lookup = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync;

/// A resolver that gives out judged addresses only.
pub(in crate::io) struct GuardedResolver {
    guard: Guard,
    lookup: Arc<Lookup>,
}

impl GuardedResolver {
    /// The operating system's names.
    pub(in crate::io) fn system(guard: Guard) -> GuardedResolver {
        GuardedResolver::with(guard, |name| async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    }

    pub(super) fn with<F>(guard: Guard, lookup: impl Fn(String) -> F + Send + Sync + 'static) -> GuardedResolver
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        GuardedResolver { guard, lookup: Arc::new(move |name| Box::pin(lookup(name))) }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, found) = (self.guard, (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let found = found.await?;
            let (good, bad): (Vec<_>, Vec<_>) =
                found.into_iter().map(|ip| guard.check(ip).map(|()| ip)).partition(Result::is_ok);
            match bad.into_iter().find_map(Result::err) {
                Some(refused) if good.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(good.into_iter().flatten().map(|ip| SocketAddr::new(ip, 0))) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(url: &str, allow_private: bool) -> &'static str {
        match Url::parse(url).map(|url| Guard::new(&url, allow_private)) {
            Ok(Ok(_)) => "go",
            Ok(Err(Refused::Scheme)) => "scheme",
            Ok(Err(Refused::UserInfo)) => "user",
            Ok(Err(Refused::NoHost)) => "host",
            Ok(Err(Refused::Private { .. })) => "private",
            Ok(Err(Refused::Never { .. })) => "never",
            Err(_) => "not a url",
        }
    }

    #[test]
    fn urls_are_judged() {
        let table = [
            ("https://hooks.example/x", "go"),
            ("http://127.0.0.1:9000/hook", "go"),
            ("http://192.168.1.5/hook", "go"),
            ("http://[fd00::1]/hook", "go"),
            ("http://[::1]:9000/hook", "go"),
            ("http://8.8.8.8/", "go"),
            ("http://0.0.0.0/", "never"),
            ("http://0/", "never"),
            ("http://[::]/", "never"),
            ("http://[::ffff:127.0.0.1]/", "never"),
            ("http://[::127.0.0.1]/", "never"),
            ("http://[64:ff9b::7f00:1]/", "never"),
            ("http://[2002:a00:1::]/", "never"),
            ("http://[::ffff:8.8.8.8]/", "go"),
            ("http://169.254.169.254/latest/meta-data/", "never"),
            ("http://2852039166/", "never"),
            ("http://0xa9fea9fe/", "never"),
            ("http://[fe80::1]/", "never"),
            ("http://224.0.0.1/", "never"),
            ("http://255.255.255.255/", "never"),
            ("http://user@hooks.example/", "user"),
            ("http://user:pass@hooks.example/", "user"),
            ("file:///etc/passwd", "scheme"),
            ("ftp://hooks.example/", "scheme"),
            ("gopher://127.0.0.1:25/", "scheme"),
        ];
        for (url, expected) in table {
            assert_eq!(verdict(url, false), expected, "{url}");
        }
    }

    #[test]
    fn addresses_behind_names_are_judged() {
        let table = [
            ("93.184.216.34", "go", "go"),
            ("2606:4700::1111", "go", "go"),
            ("127.0.0.1", "private", "go"),
            ("10.1.2.3", "private", "go"),
            ("172.31.0.1", "private", "go"),
            ("172.32.0.1", "go", "go"),
            ("100.64.0.1", "private", "go"),
            ("::1", "private", "go"),
            ("fd00::1", "private", "go"),
            ("169.254.169.254", "never", "never"),
            ("::ffff:10.0.0.1", "never", "never"),
            ("fe80::1", "never", "never"),
            ("::", "never", "never"),
            ("ff02::1", "never", "never"),
            ("2001::1", "never", "never"),
        ];
        for (address, strict, allowed) in table {
            for (allow_private, expected) in [(false, strict), (true, allowed)] {
                let found = match (Guard { allow_private }).check(address.parse().unwrap()) {
                    Ok(()) => "go",
                    Err(Refused::Private { .. }) => "private",
                    Err(_) => "never",
                };
                assert_eq!(found, expected, "{address} {allow_private}");
            }
        }
    }

    #[tokio::test]
    async fn a_name_gives_its_good_addresses_only() {
        let answer = |addresses: &'static [&'static str]| {
            let resolver = GuardedResolver::with(Guard { allow_private: false }, move |_| async move {
                Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
            });
            async move {
                let found = resolver.resolve("rebind.example".parse().unwrap()).await;
                found.map(|found| found.map(|address| address.ip().to_string()).collect::<Vec<_>>())
            }
        };
        assert_eq!(answer(&["10.0.0.1", "93.184.216.34"]).await.unwrap(), ["93.184.216.34"]);
        let refused = answer(&["10.0.0.1", "127.0.0.1"]).await.unwrap_err();
        assert!(matches!(refused.downcast_ref(), Some(Refused::Private { class: "a private network", .. })));
    }
}
