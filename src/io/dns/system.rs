//! What the system knows: `resolv.conf` (name servers) and `/etc/hosts`.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::limits;

/// Name servers of `resolv.conf`, three at most as in resolv.conf(5); without any, this machine.
pub(super) fn servers() -> Vec<SocketAddr> {
    servers_of(&read("/etc/resolv.conf"))
}

/// Names of `/etc/hosts` in lower case.
pub(super) fn hosts() -> HashMap<String, Vec<IpAddr>> {
    hosts_of(&read("/etc/hosts"))
}

fn read(path: &str) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).map(|file| file.take(limits::SYSTEM_FILE));
    if let Err(error) = file.and_then(|mut file| file.read_to_string(&mut text)) {
        tracing::warn!(path, %error, "cannot be read");
    }
    text
}

fn servers_of(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // A zone (`fe80::1%eth0`) has no place in an address of ours.
        Some(SocketAddr::new(address.parse().ok()?, 53))
    };
    let found: Vec<SocketAddr> = text.lines().filter_map(server).take(3).collect();
    if found.is_empty() { vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 53))] } else { found }
}

fn hosts_of(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        for name in words {
            let of_name = hosts.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            if !of_name.contains(&address) && of_name.len() < limits::DNS_RECORDS {
                of_name.push(address);
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_their_manuals_say() {
        let servers = |text| servers_of(text).iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        let text = "# x\nsearch a.example\nnameserver 192.0.2.1 # main\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\n\
                    nameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        assert_eq!(servers(text), ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"]);
        assert_eq!(servers("options edns0\n"), ["127.0.0.1:53"]);
        let hosts = hosts_of("127.0.0.1 localhost\n192.0.2.7 PBX.example. pbx # comment\n2001:db8::7 pbx\nbad line\n");
        let pbx: [IpAddr; 2] = ["192.0.2.7".parse().expect("v4"), "2001:db8::7".parse().expect("v6")];
        assert_eq!(hosts.get("pbx").map(Vec::as_slice), Some(&pbx[..]));
        assert_eq!(hosts.get("pbx.example").map(Vec::as_slice), Some(&pbx[..1]));
    }
}
