//! Sites: the physical places that next hops lead to.

use std::fmt;
use std::sync::Arc;

/// The physical place a next hop leads to: a host, or a set of hosts. Next hops with an equal site share one set of
/// limits. Canonical and of bounded length; the engine only compares and shows it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(Arc<str>);

impl Site {
    /// The longest name, in octets.
    pub const LONGEST: usize = 255;

    /// The site with this name. Of a name that is too long the beginning is kept, and a hash of the whole.
    pub fn new(name: &str) -> Self {
        if name.len() <= Self::LONGEST {
            return Self(name.into());
        }
        let tail = format!("#{}", &blake3::hash(name.as_bytes()).to_hex()[..32]);
        let mut end = Self::LONGEST - tail.len();
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}{tail}", &name[..end]).into())
    }

    /// The site of a set of hosts, in lower case: the same whatever their order and case, with or without a final dot.
    pub fn of_hosts<'h>(hosts: impl IntoIterator<Item = &'h str>) -> Self {
        let bare = |host: &str| host.trim_end_matches('.').to_lowercase();
        let mut hosts: Vec<String> = hosts.into_iter().map(bare).collect();
        hosts.sort();
        hosts.dedup();
        Self::new(&hosts.join(","))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_hosts_has_one_name() {
        let site = Site::of_hosts(["b.example", "A.example.", "b.example"]);
        assert_eq!(site.as_str(), "a.example,b.example");
        assert_eq!(site, Site::of_hosts(["a.example", "B.EXAMPLE"]));
        assert_ne!(site, Site::of_hosts(["a.example"]));
    }

    #[test]
    fn long_names_are_bounded_and_still_differ() {
        let hosts: Vec<String> = (0..40).map(|n| format!("mx{n}.é.example")).collect();
        let all = Site::of_hosts(hosts.iter().map(String::as_str));
        let fewer = Site::of_hosts(hosts[..39].iter().map(String::as_str));
        assert!(all.as_str().len() <= Site::LONGEST && all.as_str().starts_with("mx0.é.example,"));
        assert_ne!(all, fewer);
        assert_eq!(all, Site::of_hosts(hosts.iter().rev().map(String::as_str)));
    }
}
