//! Many small objects of mixed sizes, as programs have them: the same in every process.

use crate::workloads::scrambled;

/// One object: a block that is written to from end to end.
pub type Object = Box<[u8]>;

/// Percent of all objects, and their sizes: from, and up to but without. 155 bytes on average.
const SIZES: [(u64, u64, u64); 3] = [(52, 16, 64), (36, 64, 256), (12, 256, 1024)];

/// A number that objects and survivors are drawn with, so that they do not depend on each other.
const DRAW_SURVIVORS: u64 = 0x5eed_0000_0000_0000;

/// The object of this index.
pub fn object(index: u64) -> Object {
    object_of(size(index), index)
}

/// An object of this size. No byte is zero: an allocator may have zeroed memory at hand.
pub fn object_of(bytes: usize, index: u64) -> Object {
    vec![index as u8 | 1; bytes].into_boxed_slice()
}

/// Keeps so many in a thousand, at random places, and frees the others.
pub fn keep_scattered(objects: &mut Vec<Object>, per_mille: u64) {
    let mut index = 0;
    objects.retain(|_| {
        index += 1;
        scrambled(index ^ DRAW_SURVIVORS) % 1_000 < per_mille
    });
}

/// The bytes of the object of this index.
fn size(index: u64) -> usize {
    let random = scrambled(index);
    let (mut percent, within) = (random % 100, random >> 32);
    for (share, from, below) in SIZES {
        if percent < share {
            return (from + within % (below - from)) as usize;
        }
        percent -= share;
    }
    unreachable!("the shares sum to 100")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_object_is_below_64_bytes_and_the_average_is_155() {
        const COUNT: usize = 100_000;
        let sizes: Vec<usize> = (0..COUNT as u64).map(size).collect();
        assert!(sizes.iter().all(|size| (16..1024).contains(size)));
        let small = sizes.iter().filter(|&&size| size < 64).count();
        assert!((51_000..53_000).contains(&small), "{small}");
        let average = sizes.iter().sum::<usize>() / COUNT;
        assert!((152..=158).contains(&average), "{average}");
    }

    #[test]
    fn so_many_in_a_thousand_are_kept() {
        let mut objects: Vec<Object> = (0..100_000).map(object).collect();
        keep_scattered(&mut objects, 10);
        assert!((900..1_100).contains(&objects.len()), "{}", objects.len());
    }
}
