//! Who is compared: one table, and what the harness asks of an allocator.

use crate::report::Figures;

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
}

/// One allocator under one setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Contender {
    pub name: &'static str,
    pub about: &'static str,
    /// The child binary that has this allocator.
    pub binary: &'static str,
    /// The environment that chooses the setting.
    pub env: &'static [(&'static str, &'static str)],
}

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
    Contender {
        name: "system",
        about: "std::alloc::System: what a program gets that chooses nothing",
        binary: "child-system",
        env: &[],
    },
];

/// Highwater on one rung of its ladder.
const fn rung(
    name: &'static str,
    about: &'static str,
    env: &'static [(&'static str, &'static str)],
) -> Contender {
    Contender {
        name,
        about,
        binary: "child-highwater",
        env,
    }
}

/// The contender of this name.
pub fn find(name: &str) -> Option<&'static Contender> {
    ALL.iter().find(|contender| contender.name == name)
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
}
