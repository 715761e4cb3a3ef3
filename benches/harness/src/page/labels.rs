//! Where names go, so that none covers another.

use plotters::style::text_anchor::HPos;

use super::canvas::{SMALL, px, words_width};

/// Places as near to the wanted ones as they can be when neighbours are `gap` apart, all between `low` and `high` as
/// long as there is room. In the order of `wanted`.
pub fn spread(wanted: &[i32], gap: i32, low: i32, high: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&index| wanted[index]);
    // Runs of names that touch: each lies around the mean of what its names want.
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let start = |run: &[usize]| {
        let sum: i32 = run.iter().zip(0..).map(|(&index, place)| wanted[index] - place * gap).sum();
        let length = run.len() as i32 * gap;
        (sum / run.len() as i32).min(high + gap - length).max(low)
    };
    for index in order {
        let mut run = vec![index];
        while let Some(before) =
            runs.pop_if(|before| start(before) + before.len() as i32 * gap > start(&run))
        {
            run = [before, run].concat();
        }
        runs.push(run);
    }
    let mut places = vec![0; wanted.len()];
    for run in &runs {
        for (&index, place) in run.iter().zip(0..) {
            places[index] = start(run) + place * gap;
        }
    }
    places
}

/// A box from its upper left to its lower right corner.
pub type Bounds = ((i32, i32), (i32, i32));

/// Where a point's name goes, and which of its ends is there.
pub type Place = ((i32, i32), HPos);

/// A place for the name of each point, in units: beside it where that is free, else further off. Who is placed first
/// has the choice, so everyone is first once, and the best outcome is taken.
pub fn beside(points: &[((i32, i32), &str)], within: Bounds) -> Vec<Place> {
    let orders = (0..points.len()).flat_map(|first| {
        let order: Vec<usize> = (first..points.len()).chain(0..first).collect();
        let back = order.iter().rev().copied().collect();
        [order, back]
    });
    let outcomes = orders.map(|order| in_order(points, within, &order));
    outcomes.min_by_key(|(cost, _)| *cost).map_or_else(Vec::new, |(_, places)| places)
}

fn in_order(points: &[((i32, i32), &str)], within: Bounds, order: &[usize]) -> (i64, Vec<Place>) {
    const AROUND: i32 = px(6);
    let around =
        |&((x, y), _): &((i32, i32), &str)| ((x - AROUND, y - AROUND), (x + AROUND, y + AROUND));
    let mut taken: Vec<Bounds> = points.iter().map(around).collect();
    let mut places: Vec<Place> = points.iter().map(|&(at, _)| (at, HPos::Left)).collect();
    let mut sum = 0;
    for &index in order {
        let (at, name) = points[index];
        let cost = |place: Place| {
            let bounds = bounds_of(place, name);
            let covered: i64 = taken.iter().map(|other| common(bounds, *other)).sum();
            let outside = area(bounds) - common(bounds, within);
            let (dx, dy) = (place.0.0 - at.0, place.0.1 - at.1);
            covered * 50 + outside * 200 + i64::from(dx.abs() + 3 * dy.abs()) * 20
        };
        if let Some((least, place)) =
            candidates(at).map(|place| (cost(place), place)).min_by_key(|(cost, _)| *cost)
        {
            sum += least;
            taken.push(bounds_of(place, name));
            places[index] = place;
        }
    }
    (sum, places)
}

/// Places around a point, in widening circles.
fn candidates((x, y): (i32, i32)) -> impl Iterator<Item = Place> {
    (0..7).flat_map(move |ring| {
        let (near, step) = (px(9), px(14) * ring);
        [
            ((x + near, y - step), HPos::Left),
            ((x + near, y + step), HPos::Left),
            ((x - near, y - step), HPos::Right),
            ((x - near, y + step), HPos::Right),
            ((x, y - px(14) - step), HPos::Center),
            ((x, y + px(14) + step), HPos::Center),
        ]
    })
}

fn bounds_of(((x, y), across): Place, name: &str) -> Bounds {
    let (width, half) = (words_width(name, SMALL), px(SMALL) * 6 / 10);
    let left = match across {
        HPos::Left => x,
        HPos::Center => x - width / 2,
        HPos::Right => x - width,
    };
    ((left, y - half), (left + width, y + half))
}

fn area(((left, top), (right, bottom)): Bounds) -> i64 {
    i64::from((right - left).max(0)) * i64::from((bottom - top).max(0))
}

/// The area that both cover.
fn common((a, b): Bounds, (c, d): Bounds) -> i64 {
    area(((a.0.max(c.0), a.1.max(c.1)), (b.0.min(d.0), b.1.min(d.1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_have_room_stay_and_others_make_room_for_each_other() {
        assert_eq!(spread(&[50, 10], 10, 0, 100), [50, 10]);
        assert_eq!(spread(&[50, 50, 50], 10, 0, 100), [40, 50, 60]);
        assert_eq!(spread(&[98, 99], 10, 0, 100), [90, 100]);
        assert_eq!(spread(&[2, 1, 30], 10, 0, 100), [10, 0, 30]);
        assert_eq!(spread(&[], 10, 0, 100), Vec::<i32>::new());
    }

    #[test]
    fn no_two_are_nearer_than_the_gap_whatever_they_want() {
        let wanted = [5, 7, 9, 60, 61, 8, 100, 100, 99, 30];
        let mut places = spread(&wanted, 10, 0, 100);
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{places:?}");
        assert!(places[0] >= 0 && places[9] <= 100, "{places:?}");
    }

    #[test]
    fn names_of_points_on_one_spot_do_not_cover_each_other() {
        let points =
            [((400, 400), "return-pools"), ((402, 400), "return-pages"), ((400, 404), "system")];
        let places = beside(&points, ((0, 0), (2000, 2000)));
        let bounds: Vec<Bounds> =
            places.iter().zip(&points).map(|(&place, (_, name))| bounds_of(place, name)).collect();
        for (index, &one) in bounds.iter().enumerate() {
            for &other in &bounds[index + 1..] {
                assert_eq!(common(one, other), 0, "{bounds:?}");
            }
        }
    }
}
