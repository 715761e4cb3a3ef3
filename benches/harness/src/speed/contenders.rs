//! Who is timed: highwater as it comes and never shrinking, the system's allocator, and the peers as they come.

use crate::contenders::Contender;

/// Every contender, in the order of the tables. The first is what all others are compared with.
pub const ALL: &[Contender] = &[
    Contender {
        name: "highwater",
        about: "highwater as it comes",
        binary: "speed-highwater",
        env: &[],
        peer: None,
    },
    Contender {
        name: "never-shrink",
        about: "highwater that never shrinks",
        binary: "speed-highwater",
        env: &[("HIGHWATER_RETENTION", "never-shrink")],
        peer: None,
    },
    Contender {
        name: "huge-pages",
        about: "highwater on huge pages",
        binary: "speed-highwater",
        env: &[("HIGHWATER_HUGE_PAGES", "on")],
        peer: None,
    },
    Contender {
        name: "system",
        about: "std::alloc::System",
        binary: "speed-system",
        env: &[],
        peer: None,
    },
    peer("mimalloc", "mimalloc v3", "speed-mimalloc", "peer-mimalloc"),
    peer("mimalloc-v2", "mimalloc v2", "speed-mimalloc-v2", "peer-mimalloc-v2"),
    peer("jemalloc", "jemalloc", "speed-jemalloc", "peer-jemalloc"),
    peer("snmalloc", "snmalloc", "speed-snmalloc", "peer-snmalloc"),
    peer("rusty-alloc", "rusty_alloc", "speed-rusty-alloc", "peer-rusty-alloc"),
    peer("sefer", "sefer-alloc", "speed-sefer", "peer-sefer"),
];

const fn peer(
    name: &'static str,
    about: &'static str,
    binary: &'static str,
    feature: &'static str,
) -> Contender {
    Contender { name, about, binary, env: &[], peer: Some(feature) }
}

/// What a contender is to highwater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Highwater under the settings that count.
    Own,
    /// Highwater under other settings: shown, compared with nobody.
    OwnToo,
    /// Compared in time.
    System,
    /// Compared in time and in memory.
    SizeClassPeer,
}

/// What the contender of this name is.
pub fn kind(name: &str) -> Kind {
    match name {
        "highwater" => Kind::Own,
        "never-shrink" | "huge-pages" => Kind::OwnToo,
        "system" => Kind::System,
        _ => Kind::SizeClassPeer,
    }
}

/// Those that take part if none is named: the peers only where they are asked for, since most need a C compiler.
pub fn unnamed(peers: bool) -> impl Iterator<Item = &'static Contender> {
    ALL.iter().filter(move |contender| peers || contender.peer.is_none())
}

/// The contender of this name.
pub fn find(name: &str) -> Option<&'static Contender> {
    ALL.iter().find(|contender| contender.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_contender_is_compared_with_all_others() {
        let own: Vec<&str> = ALL
            .iter()
            .map(|contender| contender.name)
            .filter(|name| kind(name) == Kind::Own)
            .collect();
        assert_eq!(own, [ALL[0].name]);
    }

    #[test]
    fn every_peer_is_of_size_classes_and_takes_part_only_if_asked_for() {
        for contender in ALL {
            assert_eq!(contender.peer.is_some(), kind(contender.name) == Kind::SizeClassPeer);
            assert_eq!(find(contender.name), Some(contender));
        }
        assert!(unnamed(false).all(|contender| contender.peer.is_none()));
        assert_eq!(unnamed(true).count(), ALL.len());
    }
}
