//! IP addresses in peer tags: hosts by the thousand would make as many stats groups, so an address becomes
//! `blocked-ip-address`; its port stays.
//!
//! The value is a list with commas; entries that are equal afterwards are kept once. Loopback and the metadata
//! addresses of clouds stay. What counts as an address is the agent's: IPv4 with `.`, `-` or `_` between its fields
//! (and anything behind it), IPv6 alone or in brackets with a port, behind `ip-` or a URL scheme.

use crate::trace::Verdict;
use hashbrown::HashSet;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::str::FromStr;

const BLOCKED: &[u8] = b"blocked-ip-address";

const ALLOWED: [&[u8]; 5] = [b"127.0.0.1", b"::1", b"169.254.169.254", b"fd00:ec2::254", b"169.254.170.2"];

const SCHEMES: [&[u8]; 5] = [b"dnspoll", b"ftp", b"file", b"http", b"https"];

/// Up to this many entries a list is searched for equal ones; longer lists are hashed.
const LINEAR: usize = 8;

/// Replaces the addresses of a list of hosts.
pub fn quantize(hosts: &[u8], out: &mut Vec<u8>) -> Verdict {
    let start = out.len();
    if !hosts.contains(&b',') {
        let found = find_address(hosts);
        return match found {
            Some(address) => {
                address.push(hosts, out);
                Verdict::Replace
            }
            None => Verdict::Keep,
        };
    }
    let mut seen = Seen::default();
    for host in hosts.split(|&b| b == b',') {
        let before = out.len();
        if before > start || seen.any() {
            out.push(b',');
        }
        let at = out.len();
        match find_address(host) {
            Some(address) => address.push(host, out),
            None => out.extend_from_slice(host),
        }
        if !seen.is_new(at..out.len(), out) {
            out.truncate(before);
        }
    }
    if out.get(start..) == Some(hosts) {
        out.truncate(start);
        return Verdict::Keep;
    }
    Verdict::Replace
}

/// The entries written so far, as places in the output.
#[derive(Default)]
struct Seen {
    few: [Range<usize>; LINEAR],
    len: usize,
    many: HashSet<Vec<u8>, foldhash::fast::RandomState>,
}

impl Seen {
    fn any(&self) -> bool {
        self.len > 0
    }

    fn is_new(&mut self, entry: Range<usize>, out: &[u8]) -> bool {
        let text = |r: &Range<usize>| out.get(r.clone()).unwrap_or(&[]);
        let new = if self.many.is_empty() {
            !self.few.iter().take(self.len).any(|r| text(r) == text(&entry))
        } else {
            self.many.insert(text(&entry).to_vec())
        };
        if new {
            match self.few.get_mut(self.len) {
                Some(place) => *place = entry,
                None if self.many.is_empty() => {
                    let all = self.few.iter().chain([&entry]);
                    self.many = all.map(|r| text(r).to_vec()).collect();
                }
                None => {}
            }
            self.len += 1;
        }
        new
    }
}

/// Where an entry has what: all as places in the entry.
struct Address {
    prefix: Range<usize>,
    port: Range<usize>,
    suffix: Range<usize>,
}

impl Address {
    fn push(&self, host: &[u8], out: &mut Vec<u8>) {
        let part = |r: &Range<usize>| host.get(r.clone()).unwrap_or(&[]);
        out.extend_from_slice(part(&self.prefix));
        out.extend_from_slice(BLOCKED);
        if !self.port.is_empty() {
            out.push(b':');
            out.extend_from_slice(part(&self.port));
        }
        out.extend_from_slice(part(&self.suffix));
    }
}

fn find_address(entry: &[u8]) -> Option<Address> {
    let prefix = prefix(entry);
    let rest = entry.get(prefix.end..)?;
    let (host, port) = split_port(rest).unwrap_or((0..rest.len(), 0..0));
    let len = address_len(rest.get(host.clone())?)?;
    let address = rest.get(host.start..host.start + len)?;
    if ALLOWED.contains(&address) {
        return None;
    }
    let shift = |r: Range<usize>| r.start + prefix.end..r.end + prefix.end;
    Some(Address { port: shift(port), suffix: shift(host.start + len..host.end), prefix })
}

/// The prefix that may stand before an address: `ip-`, or a scheme with `://` or `:///` (wherever it stands; what is
/// before it goes).
fn prefix(entry: &[u8]) -> Range<usize> {
    if entry.starts_with(b"ip-") {
        return 0..3;
    }
    // Without "://" there is no scheme; that is the usual case.
    if memchr::memmem::find(entry, b"://").is_none() {
        return 0..0;
    }
    for scheme in SCHEMES {
        let Some(at) = memchr::memmem::find(entry, scheme) else { continue };
        let name_end = at + scheme.len();
        for slashes in [&b":///"[..], b"://"] {
            let end = name_end + slashes.len();
            if end < entry.len() && entry.get(name_end..end) == Some(slashes) {
                return at..end;
            }
        }
    }
    0..0
}

/// Splits `host:port` and `[host]:port`; `None` where there is no port or brackets and colons do not fit.
fn split_port(text: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let colon = memchr::memrchr(b':', text)?;
    let port = colon + 1..text.len();
    let close_from;
    let host = if text.first() == Some(&b'[') {
        let close = memchr::memchr(b']', text)?;
        if close + 1 != colon {
            return None;
        }
        close_from = close + 1;
        1..close
    } else {
        if memchr::memchr(b':', text) != Some(colon) {
            return None;
        }
        close_from = 0;
        0..colon
    };
    let open_from = usize::from(text.first() == Some(&b'['));
    let stray = text.get(open_from..)?.contains(&b'[') || text.get(close_from..)?.contains(&b']');
    (!stray).then_some((host, port))
}

/// How many bytes of the text are an address; `None` if it does not begin with one.
fn address_len(text: &[u8]) -> Option<usize> {
    if !matches!(text.first(), Some(b':' | b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')) {
        return None;
    }
    match text.iter().find(|b| matches!(b, b'.' | b'_' | b'-' | b':' | b'%')) {
        Some(&separator @ (b'.' | b'_' | b'-')) => ipv4_len(text, separator),
        Some(b':') => is_ipv6(text).then_some(text.len()),
        _ => None,
    }
}

fn ipv4_len(text: &[u8], separator: u8) -> Option<usize> {
    let (mut field, mut value, mut digits) = (0, 0u32, 0u32);
    for (i, &b) in text.iter().enumerate() {
        if b.is_ascii_digit() {
            if digits == 1 && value == 0 {
                return None; // a leading zero
            }
            value = value * 10 + u32::from(b - b'0');
            digits += 1;
            if value > 255 {
                return None;
            }
        } else if b == separator {
            if i == text.len() - 1 || digits == 0 {
                return None;
            }
            if field == 3 {
                return Some(i);
            }
            field += 1;
            (value, digits) = (0, 0);
        } else {
            return (field == 3 && digits > 0).then_some(i);
        }
    }
    (field == 3).then_some(text.len())
}

/// Whether the text is an IPv6 address, perhaps with a zone (`%eth0`).
pub(super) fn is_ipv6(text: &[u8]) -> bool {
    let address = match memchr::memchr(b'%', text) {
        Some(at) if at + 1 == text.len() => return false,
        Some(at) => text.get(..at).unwrap_or(&[]),
        None => text,
    };
    std::str::from_utf8(address).is_ok_and(|a| Ipv6Addr::from_str(a).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let mut out = b"x".to_vec();
        match quantize(text.as_bytes(), &mut out) {
            Verdict::Keep => {
                assert_eq!(out, b"x");
                text.into()
            }
            _ => String::from_utf8(out.split_off(1)).unwrap(),
        }
    }

    #[test]
    fn addresses_go_and_ports_stay() {
        for (text, expected) in [
            ("10.0.0.1", "blocked-ip-address"),
            ("10.0.0.1:80", "blocked-ip-address:80"),
            ("10.0.0.1:", "blocked-ip-address"),
            ("10.0.0.1.", "10.0.0.1."),
            ("10.0.0.1.5", "blocked-ip-address.5"),
            ("01.0.0.1", "01.0.0.1"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("ip-10-1-2-3.ec2.internal", "ip-blocked-ip-address.ec2.internal"),
            ("xhttp://1.2.3.4/p", "http://blocked-ip-address/p"),
            ("[2001:db8::1]:80", "blocked-ip-address:80"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("fe80::1%eth0", "blocked-ip-address"),
            ("::1", "::1"),
            ("host", "host"),
            ("", ""),
            ("::ffff:1.2.3.4", "blocked-ip-address"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn equal_entries_are_kept_once() {
        assert_eq!(of("10.0.0.1,10.0.0.2,a,a"), "blocked-ip-address,a");
        assert_eq!(of("a,b"), "a,b");
        assert_eq!(of(",,"), "");
        let many: Vec<String> = (0..40).map(|i| format!("h{}", i % 20)).collect();
        assert_eq!(of(&many.join(",")), many[..20].join(","));
    }
}
