//! Who is compared: one table, and what the harness asks of an allocator.

use crate::report::{Figures, HeapMap};

/// What a child binary tells of the allocator it is built with.
///
/// Called between statements inside the measured process, so no method may allocate, but
/// [`describe`](Accounts::describe), which is called once at the end.
pub trait Accounts: Sync {
    /// The allocator and the setting it really runs with, as it says itself.
    fn describe(&self) -> String;

    /// The allocator's own figures; `None` where it keeps none.
    fn figures(&self) -> Option<Figures>;

    /// Bytes of all blocks handed out and not yet freed, with what rounding and headers add.
    fn block_bytes(&self) -> Option<u64>;

    /// Keeps a map of the heap as it is now, where the allocator can draw one.
    fn keep_map(&self, _: &'static str) {}

    /// The maps that were kept. Called once at the end.
    fn maps(&self) -> Vec<HeapMap> {
        Vec::new()
    }

    /// Asks for a soft limit on resident bytes, or for none; false where there is no such thing.
    fn soft_limit(&self, _: Option<u64>) -> bool {
        false
    }
}

/// An allocator that keeps no figures which can be read without allocating.
pub struct Silent {
    pub describe: fn() -> String,
}

impl Accounts for Silent {
    fn describe(&self) -> String {
        (self.describe)()
    }

    fn figures(&self) -> Option<Figures> {
        None
    }

    fn block_bytes(&self) -> Option<u64> {
        None
    }
}

/// One allocator under one setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Contender {
    pub name: &'static str,
    pub about: &'static str,
    /// The child binary that has this allocator.
    pub binary: &'static str,
    /// The environment that chooses the setting.
    pub env: Env,
    /// The feature of this package that a peer's child is built with; none for those that are always there.
    pub peer: Option<&'static str>,
}

/// Whether this tool was built with the feature `peers`: then they take part without being asked for.
pub const PEERS: bool = cfg!(feature = "peers");

/// Every contender, in the order of the tables.
pub const ALL: &[Contender] = &[
    rung(
        "never-shrink",
        "highwater: a free block stays on its class's list for ever",
        &[("HIGHWATER_RETENTION", "never-shrink")],
    ),
    rung(
        "keep-arenas",
        "highwater: an empty pool may serve another class, nothing goes to the system",
        &[("HIGHWATER_RETENTION", "keep-arenas")],
    ),
    rung(
        "return-arenas",
        "highwater: also, a wholly empty arena goes to the system",
        &[("HIGHWATER_RETENTION", "return-arenas")],
    ),
    rung(
        "return-pools",
        "highwater: also, the OS pages of an empty pool",
        &[("HIGHWATER_RETENTION", "return-pools")],
    ),
    rung(
        "return-pages",
        "highwater: also, every OS page without a live block in a pool in use",
        &[("HIGHWATER_RETENTION", "return-pages")],
    ),
    Contender {
        name: "system",
        about: "std::alloc::System: what a program gets that chooses nothing",
        binary: "child-system",
        env: &[],
        peer: None,
    },
    mimalloc("mimalloc", "mimalloc v3 as it comes: purges 1 s later", &[]),
    mimalloc("mimalloc-eager", "mimalloc v3, purging at once", MIMALLOC_EAGER),
    mimalloc_v2("mimalloc-v2", "mimalloc v2 as it comes", &[]),
    mimalloc_v2("mimalloc-v2-eager", "mimalloc v2, purging at once", MIMALLOC_EAGER),
    jemalloc("jemalloc", "jemalloc as it comes: decays in 10 s", &[]),
    jemalloc(
        "jemalloc-eager",
        "jemalloc, decay 0: purging at once",
        &[("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")],
    ),
    jemalloc(
        "jemalloc-thread",
        "jemalloc with its background thread, decaying in 1 s",
        &[("_RJEM_MALLOC_CONF", "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0")],
    ),
    Contender {
        name: "snmalloc",
        about: "snmalloc as it comes; it has no setting for giving back",
        binary: "child-snmalloc",
        env: &[],
        peer: Some("peer-snmalloc"),
    },
    rusty_alloc("rusty-alloc", "rusty_alloc as it comes", &[]),
    rusty_alloc(
        "rusty-alloc-eager",
        "rusty_alloc, purging at once",
        &[("RUSTY_ALLOC_PURGE_DELAY", "0")],
    ),
    Contender {
        name: "sefer",
        about: "sefer-alloc as it comes; it has no setting for giving back",
        binary: "child-sefer",
        env: &[],
        peer: Some("peer-sefer"),
    },
];

/// A child that finds this in its environment fails.
pub const FAILS: &str = "RETENTION_CHILD_FAILS";

/// One that fails in every workload: for tests of what happens then, and never run unnamed.
pub const FAILING: Contender = Contender {
    name: "failing",
    about: "fails, for tests",
    binary: "child-system",
    env: &[(FAILS, "1")],
    peer: None,
};

/// No contender, but a child that counts what a workload asks for.
pub const RULER: Contender = Contender {
    name: "ruler",
    about: "counts what is asked for",
    binary: "child-ruler",
    env: &[],
    peer: None,
};

const MIMALLOC_EAGER: Env = &[("MIMALLOC_PURGE_DELAY", "0")];

/// A setting of an allocator, from the environment.
type Env = &'static [(&'static str, &'static str)];

/// Highwater on one rung of its ladder.
const fn rung(name: &'static str, about: &'static str, env: Env) -> Contender {
    Contender { name, about, binary: "child-highwater", env, peer: None }
}

const fn mimalloc(name: &'static str, about: &'static str, env: Env) -> Contender {
    Contender { name, about, binary: "child-mimalloc", env, peer: Some("peer-mimalloc") }
}

const fn mimalloc_v2(name: &'static str, about: &'static str, env: Env) -> Contender {
    Contender { name, about, binary: "child-mimalloc-v2", env, peer: Some("peer-mimalloc-v2") }
}

const fn jemalloc(name: &'static str, about: &'static str, env: Env) -> Contender {
    Contender { name, about, binary: "child-jemalloc", env, peer: Some("peer-jemalloc") }
}

const fn rusty_alloc(name: &'static str, about: &'static str, env: Env) -> Contender {
    Contender { name, about, binary: "child-rusty-alloc", env, peer: Some("peer-rusty-alloc") }
}

/// Those that take part if none is named: the peers only where they are asked for, since most need a C compiler.
pub fn unnamed(peers: bool) -> impl Iterator<Item = &'static Contender> {
    ALL.iter().filter(move |contender| peers || contender.peer.is_none())
}

/// The contender of this name.
pub fn find(name: &str) -> Option<&'static Contender> {
    ALL.iter().chain([&FAILING]).find(|contender| contender.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_is_found_by_its_name() {
        for contender in ALL {
            assert_eq!(find(contender.name), Some(contender));
        }
        assert_eq!(find("never"), None);
    }

    #[test]
    fn a_peer_takes_part_only_if_asked_for() {
        assert!(unnamed(false).all(|contender| contender.peer.is_none()));
        assert_eq!(unnamed(true).count(), ALL.len());
    }

    #[test]
    fn one_that_fails_is_there_by_name_only() {
        assert_eq!(find("failing"), Some(&FAILING));
        assert!(unnamed(true).all(|contender| contender != &FAILING));
    }
}
