//! The heap map: a row for each arena, a cell for each pool, before and after a drop.
//!
//! ```text
//!  one arena  |R|▓▓▓▓|▓▓▓▓|░░░░|▓   |    |▓▓▓▓|   R records, ▓ many blocks in use, ░ few, blank: gone home
//! ```
//!
//! An arena can go home only when its row holds no block; one look at the rows tells why it never does.

use super::canvas::{Area, Chart, Words, bar, frame, px, words};
use super::ink::Ink;
use crate::Result;
use crate::report::{HeapMap, Place, PlaceKind};
use crate::results::MapResult;

/// Slots in an arena, each of 4 KiB.
const SLOTS: i32 = 256;
/// Units across for a slot.
const SLOT: i32 = 7;
/// Pixels for an arena's row, and of them for its cells.
const ROW: i32 = 12;
const CELL: i32 = 10;
/// Pixels above the rows.
const HEAD: i32 = 4;
/// Arenas that are drawn; the caption tells how many there are.
const ARENAS_MAX: usize = 48;

/// The largest block of each group of classes, in bytes; what is larger is in the last group.
const GROUPS: [u32; 5] = [64, 128, 256, 512, 1_024];

/// What a map shows, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    pub arenas: usize,
    pub arenas_empty: usize,
    pub pools: usize,
    pub pools_empty: usize,
    pub os_pages: u64,
    pub os_pages_purged: u64,
}

impl Sum {
    pub fn of(map: &HeapMap) -> Sum {
        let mut sum = Sum { arenas: map.arenas.len(), ..Sum::default() };
        for arena in &map.arenas {
            sum.arenas_empty += usize::from(arena.iter().all(|place| place.blocks_used == 0));
            for place in arena {
                sum.os_pages += u64::from(place.slots);
                sum.os_pages_purged += u64::from(place.os_pages_purged);
                if place.kind == PlaceKind::Pool {
                    sum.pools += 1;
                    sum.pools_empty += usize::from(place.blocks_used == 0);
                }
            }
        }
        sum
    }
}

/// Draws the heap before the drop, which is the same on every rung, and then each rung's after the rest.
///
/// # Errors
///
/// As [`Chart::draw_once`].
pub fn charts(results: &[MapResult]) -> Result<Vec<(Sum, Chart)>> {
    let before = results.iter().find_map(|result| result.maps.first().map(|map| (result, map)));
    let after = results.iter().filter_map(|result| {
        result.maps.last().filter(|_| result.maps.len() > 1).map(|map| (result, map))
    });
    before
        .into_iter()
        .chain(after)
        .map(|(result, map)| Ok((Sum::of(map), chart(result, map)?)))
        .collect()
}

fn chart(result: &MapResult, map: &HeapMap) -> Result<Chart> {
    let sum = Sum::of(map);
    let chart = Chart::new(
        format!("heap-map-{}-{}", result.contender, map.moment.replace(' ', "-")),
        title(result, map),
        format!(
            "{} arenas, of which {} hold no block; {} pools, of which {} hold none; {} of {} OS pages went home.",
            sum.arenas,
            sum.arenas_empty,
            sum.pools,
            sum.pools_empty,
            sum.os_pages_purged,
            sum.os_pages
        ),
        Vec::new(),
    );
    let rows = map.arenas.len().min(ARENAS_MAX) as i32;
    let width = SLOTS * SLOT / px(1) + 2;
    chart.draw_once((width, HEAD + rows * ROW + 2), |area| {
        for (arena, row) in map.arenas.iter().take(ARENAS_MAX).zip(0..) {
            paint(area, arena, px(HEAD + row * ROW))?;
        }
        Ok(())
    })
}

/// Before the drop all rungs have the same heap.
fn title(result: &MapResult, map: &HeapMap) -> String {
    match result.maps.first() {
        Some(first) if first.moment == map.moment => map.moment.to_string(),
        _ => format!("{}, {}", result.contender, map.moment),
    }
}

fn paint(area: &Area, arena: &[Place], top: i32) -> Result<()> {
    let mut left = px(1);
    for place in arena {
        let width = i32::from(place.slots) * SLOT;
        cell(area, place, (left, top), width)?;
        left += width;
    }
    Ok(())
}

/// One place: its resident part in its class's ink, the rest an outline.
fn cell(area: &Area, place: &Place, (left, top): (i32, i32), width: i32) -> Result<()> {
    let right = left + width - 2;
    let bottom = top + px(CELL);
    let purged = place.os_pages_purged.min(u32::from(place.slots)) as i32 * SLOT;
    let resident = (right - left - purged).max(0);
    match place.kind {
        PlaceKind::Records => bar(area, (left, top), (right, bottom), Ink::RECORDS, 1.0)?,
        PlaceKind::Free => {
            if resident > 0 {
                bar(area, (left, top), (left + resident, bottom), Ink::LIVE, 1.0)?;
            }
        }
        PlaceKind::Pool | PlaceKind::Span => {
            if resident > 0 {
                let shade = shade(place.blocks_used, place.blocks_capacity);
                bar(area, (left, top), (left + resident, bottom), ink(place), shade)?;
            }
            if purged > 0 {
                frame(area, (left + resident, top), (right, bottom), ink(place))?;
            }
        }
    }
    Ok(())
}

fn ink(place: &Place) -> Ink {
    let group = GROUPS.iter().position(|&largest| place.block_bytes <= largest);
    Ink::CLASSES[group.unwrap_or(GROUPS.len())]
}

/// How dark a cell is: in five steps, the palest for a pool with hardly a block. One without any is paler still.
fn shade(used: u32, capacity: u32) -> f64 {
    if used == 0 {
        return 0.15;
    }
    let fifths = (f64::from(used) / f64::from(capacity.max(1)) * 5.0).ceil();
    0.3 + 0.14 * fifths.min(5.0)
}

/// What the cells mean.
///
/// # Errors
///
/// As [`Chart::draw`].
pub fn legend() -> Result<Chart> {
    let chart = Chart::new(
        "heap-map-legend".to_owned(),
        "What the cells of the heap map mean".to_owned(),
        "Colour: size of the blocks. Shade: share of the blocks in use. Outline or nothing: OS pages that went home."
            .to_owned(),
        Vec::new(),
    );
    chart.draw_once((346, 80), |area| {
        let mut left = px(1);
        let mut smallest = 8;
        for (index, ink) in Ink::CLASSES.into_iter().enumerate() {
            bar(area, (left, px(4)), (left + px(14), px(14)), ink, 1.0)?;
            let name = GROUPS
                .get(index)
                .map_or("more".to_owned(), |largest| format!("{smallest}–{largest}"));
            smallest = GROUPS.get(index).map_or(0, |largest| largest + 8);
            words(area, (left, px(24)), &name, Words::left(Ink::MUTED).sized(11))?;
            left += px(56);
        }
        let mut left = px(1);
        for (name, used) in [("no block", 0), ("few blocks", 1), ("half", 50), ("all in use", 100)]
        {
            bar(area, (left, px(42)), (left + px(14), px(52)), Ink::CLASSES[0], shade(used, 100))?;
            words(area, (left + px(18), px(47)), name, Words::left(Ink::MUTED).sized(11))?;
            left += px(86);
        }
        let left = px(1);
        bar(area, (left, px(62)), (left + px(14), px(72)), Ink::LIVE, 1.0)?;
        words(area, (left + px(18), px(67)), "no pool", Words::left(Ink::MUTED).sized(11))?;
        let left = left + px(86);
        frame(area, (left, px(62)), (left + px(14), px(72)), Ink::CLASSES[0])?;
        words(
            area,
            (left + px(18), px(67)),
            "part of a pool that went home",
            Words::left(Ink::MUTED).sized(11),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: PlaceKind, slots: u16, used: u32, purged: u32) -> Place {
        Place {
            kind,
            slots,
            block_bytes: 64,
            blocks_used: used,
            blocks_capacity: 256,
            os_pages_purged: purged,
        }
    }

    fn map() -> HeapMap {
        let rest = place(PlaceKind::Free, 244, 0, 0);
        let records = place(PlaceKind::Records, 4, 0, 0);
        let busy = place(PlaceKind::Pool, 4, 3, 3);
        let empty = place(PlaceKind::Pool, 4, 0, 0);
        let arenas = vec![vec![records, busy, empty, rest], vec![records, empty, empty, rest]];
        HeapMap { moment: "after the drop".into(), arenas }
    }

    #[test]
    fn a_map_is_summed_up() {
        let sum = Sum::of(&map());
        assert_eq!((sum.arenas, sum.arenas_empty, sum.pools, sum.pools_empty), (2, 1, 4, 3));
        assert_eq!((sum.os_pages, sum.os_pages_purged), (512, 3));
    }

    #[test]
    fn each_pool_is_a_cell_and_what_went_home_an_outline() {
        let result =
            MapResult { contender: "return-pages".into(), maps: vec![map()], failed: None };
        let text = chart(&result, &result.maps[0]).expect("drawn").inline();
        // Four pools, two records and two free runs, filled; the purged part outlined.
        assert_eq!(text.matches("<rect").count(), 8 + 1);
        assert_eq!(text.matches("stroke:var(--class-1)").count(), 1);
    }

    #[test]
    fn a_pool_is_the_darker_the_more_of_it_is_used() {
        let shades = [0, 1, 52, 103, 154, 256].map(|used| shade(used, 256));
        assert!(shades.windows(2).all(|pair| pair[0] < pair[1]), "{shades:?}");
        assert!(shades[5] <= 1.0);
    }
}
