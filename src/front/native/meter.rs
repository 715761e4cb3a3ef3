//! `measure()`: what one piece of work allocates.

#![forbid(unsafe_code)]

use crate::front::measure::Measured;
use crate::heap::watch::Watch;

/// Does `work`, and tells what this thread allocated and freed meanwhile: per size class and in all, with the most
/// that it had at a time. To the block: every call is counted, none estimated.
///
/// * Counted is what the calling thread does, in `work` and all that it calls. What other threads do is not, also if
///   `work` began them; a block that another thread frees is kept, by this count.
/// * A block freed that was there before counts as freed: [`Flow::kept`](crate::Flow::kept) may be negative.
/// * A value that moves when it grows has for a moment both blocks: so has the peak.
/// * Bytes are the blocks', not what was asked for: a `String` of 20 letters is 24 bytes here.
/// * One measurement may stand in another: what is counted inside is counted outside too.
/// * With the feature `malloc` the C library's own calls on this thread are counted too; the start of the sweeper
///   thread, which an allocation may bring about, makes such.
///
/// Meanwhile each call of this thread takes the path that a new thread's first one takes, and is some tens of
/// nanoseconds slower; no other thread is, and nothing is before or afterwards. If `work` panics, so does this. All is
/// zero where this allocator is not the program's, and on targets that it does not support.
///
/// ```
/// # #[global_allocator]
/// # static GLOBAL: highwater::Highwater = highwater::Highwater::new();
/// use highwater::measure;
/// # // With the feature `hardened` blocks are larger than they are shown here.
/// # if cfg!(feature = "hardened") { return }
///
/// let one = measure(|| Box::new((1u64, 2.0f64, true)));
/// assert_eq!((one.blocks.allocated, one.bytes.kept()), (1, 24));
///
/// // What a list costs that has to grow: four blocks too many, and two at a time.
/// let grown = measure(|| (0..64u64).fold(Vec::new(), |mut list, n| { list.push(n); list }));
/// assert_eq!((grown.blocks.allocated, grown.blocks.kept(), grown.blocks.peak), (5, 1, 2));
///
/// let words = measure(|| vec!["a word of 20 letters"; 1000].into_iter().map(String::from).collect::<Vec<_>>());
/// assert_eq!(words.value.len(), 1000);
/// assert_eq!(words.to_string(), "\
/// block size   allocated        kept        peak    bytes kept    bytes peak
///         24        1000        1000        1000         24000         24000
///      16384           1           0           1             0         16384
///      24576           1           1           1         24576         24576
///        all        1002        1001        1002         48576         64960");
/// ```
pub fn measure<T>(work: impl FnOnce() -> T) -> Measured<T> {
    let watch = Watch::new();
    let value = watch.during(work);
    let flows = watch.flows();
    Measured {
        value,
        blocks: flows.blocks,
        bytes: flows.bytes,
        large_blocks: flows.large_blocks,
        large_bytes: flows.large_bytes,
        classes: flows.classes,
    }
}
