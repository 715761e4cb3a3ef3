//! A program on highwater: real collections, real crates, panics, and requests that cannot be met.

use std::alloc::{self, Layout};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::hint::black_box;
use std::panic;
use std::rc::Rc;
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread;

use highwater::Highwater;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

const SCALE: usize = if cfg!(debug_assertions) { 1 } else { 10 };

#[test]
fn trees_keep_what_was_put_in_while_a_third_is_taken_out() {
    let count = 40_000 * SCALE as u64;
    let mut map: BTreeMap<u64, String> =
        (0..count).map(|key| (key, format!("value {key}"))).collect();
    map.retain(|key, _| key % 3 != 0);
    map.extend((count..count + 1000).map(|key| (key, "late".repeat(key as usize % 50))));
    for key in 0..count {
        let wanted = (key % 3 != 0).then(|| format!("value {key}"));
        assert_eq!(map.get(&key), wanted.as_ref());
    }
    for key in count..count + 1000 {
        assert_eq!(map[&key].len(), 4 * (key as usize % 50));
    }
}

#[test]
fn tables_keep_their_entries_while_they_grow_and_shrink() {
    let count = 30_000 * SCALE;
    let mut words: HashMap<String, Vec<usize>> = HashMap::new();
    for number in 0..count {
        words.entry(format!("word {}", number % 1009)).or_default().push(number);
    }
    assert_eq!(words.values().map(Vec::len).sum::<usize>(), count);
    words.retain(|_, postings| postings[0] % 10 == 0);
    words.shrink_to_fit();
    for (word, postings) in &words {
        let first: usize = word[5..].parse().unwrap();
        assert!(postings.iter().copied().eq((first..count).step_by(1009)));
    }
    assert_eq!(words.len(), 101);
}

#[test]
fn a_vector_grown_byte_by_byte_over_all_sizes_keeps_them() {
    let count = 6_000_000 * SCALE;
    let mut bytes = Vec::new();
    for number in 0..count {
        bytes.push(((number * 31) >> 3) as u8);
    }
    assert!(bytes.iter().enumerate().all(|(number, &byte)| byte == ((number * 31) >> 3) as u8));
    while bytes.len() > 10 {
        bytes.truncate(bytes.len() / 2);
        bytes.shrink_to_fit();
    }
    assert!(bytes.iter().enumerate().all(|(number, &byte)| byte == ((number * 31) >> 3) as u8));
}

#[test]
fn queues_heaps_and_lists_give_back_what_they_were_given() {
    let count = 20_000 * SCALE;
    let mut queue = VecDeque::new();
    for number in 0..count {
        queue.push_back(vec![number; number % 7]);
        if number % 3 == 0 {
            let front = queue.pop_front().unwrap();
            assert!(front.iter().all(|&value| value == number / 3));
        }
    }
    let heap: BinaryHeap<(usize, String)> =
        (0..count).map(|number| (number * 7919 % count, number.to_string())).collect();
    let sorted = heap.into_sorted_vec();
    assert!(sorted.iter().enumerate().all(|(place, (value, _))| place == *value));
    let mut list: LinkedList<Box<[u8]>> =
        (0..count).map(|number| vec![number as u8; 33].into()).collect();
    let tail = list.split_off(count / 2);
    drop(list);
    assert!(tail.iter().zip(count / 2..).all(|(bytes, number)| **bytes == [number as u8; 33]));
}

#[test]
fn shared_values_die_with_their_last_owner_on_whatever_thread() {
    let shared: Vec<Arc<Mutex<Vec<usize>>>> = (0..500).map(|_| Arc::default()).collect();
    thread::scope(|scope| {
        for thread in 0..8 {
            let own: Vec<_> = shared.iter().map(Arc::clone).collect();
            scope.spawn(move || own.iter().for_each(|list| list.lock().unwrap().push(thread)));
        }
    });
    for list in shared {
        let mut list = Arc::into_inner(list).unwrap().into_inner().unwrap();
        list.sort();
        assert_eq!(list, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
    struct Node(usize, Option<Rc<Node>>);
    let grow = |inner, number| Some(Rc::new(Node(number, inner)));
    let chain = (0..1000).fold(None, grow);
    let nodes = std::iter::successors(chain.as_deref(), |node| node.1.as_deref());
    assert!(nodes.map(|node| node.0).eq((0..1000).rev()));
}

#[test]
fn messages_arrive_as_they_were_sent() {
    let (send, receive) = mpsc::channel::<Vec<String>>();
    let readers: RwLock<HashSet<String>> = RwLock::default();
    let rounds = 100 * SCALE;
    thread::scope(|scope| {
        for sender in 0..4 {
            let send = send.clone();
            scope.spawn(move || {
                for round in 0..rounds {
                    send.send((0..50).map(|line| format!("{sender} {round} {line}")).collect())
                        .unwrap();
                }
            });
        }
        drop(send);
        for lines in receive {
            assert_eq!(lines.len(), 50);
            readers.write().unwrap().extend(lines);
        }
    });
    let seen = readers.into_inner().unwrap();
    assert_eq!(seen.len(), 4 * rounds * 50);
    assert!(seen.contains("3 7 49"));
}

#[test]
fn json_survives_the_way_through_text() {
    let records: Vec<serde_json::Value> = (0..2000 * SCALE)
        .map(|number| {
            serde_json::json!({
                "id": number,
                "name": format!("record {number}"),
                "ratio": number as f64 / 8.0,
                "tags": (0..number % 9).map(|tag| format!("tag{tag}")).collect::<Vec<_>>(),
                "nested": { "deep": [[number], [null], [true, "x".repeat(number % 200)]] },
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&records).unwrap();
    let back: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(back == records, "the same records");
    let bytes = serde_json::to_vec(&back).unwrap();
    drop(back);
    let again: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    assert!(again == records, "the same records again");
}

#[test]
fn expressions_find_the_same_on_every_thread() {
    let text: String =
        (0..3000).map(|number| format!("user{number}@host{}.example ", number % 13)).collect();
    let expression =
        regex::Regex::new(r"(?P<user>\w+)@(?P<host>host(?:1[0-2]|\d))\.example").unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let found: Vec<String> = expression
                    .captures_iter(&text)
                    .map(|found| format!("{}:{}", &found["host"], &found["user"]))
                    .collect();
                assert_eq!(found.len(), 3000);
                assert_eq!(found[2999], "host9:user2999");
                let replaced = expression.replace_all(&text, "$host/$user");
                assert_eq!(replaced.matches("host12/").count(), 3000 / 13);
            });
        }
    });
    for count in 1..200 {
        let expression = regex::Regex::new(&format!("(?:ab|cd){{{count}}}x?")).unwrap();
        assert!(expression.is_match(&"ab".repeat(count)));
        assert!(!expression.is_match(&"cd".repeat(count - 1)));
    }
}

#[test]
fn a_panic_unwinds_and_frees_what_it_passes() {
    struct Guard<'a>(&'a Mutex<Vec<usize>>, Vec<u8>);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(self.1.len());
        }
    }
    fn dive(depth: usize, dropped: &Mutex<Vec<usize>>) {
        let _guard = Guard(dropped, vec![1; depth * 100]);
        if depth == 0 {
            panic::panic_any(format!("the bottom, {} bytes of message", "x".repeat(1000)));
        }
        dive(depth - 1, dropped);
    }
    for _ in 0..50 {
        let dropped = Mutex::default();
        let caught = thread::scope(|scope| scope.spawn(|| dive(40, &dropped)).join().unwrap_err());
        assert!(caught.downcast::<String>().unwrap().len() > 1000);
        let wanted: Vec<usize> = (0..=40).map(|depth| depth * 100).collect();
        assert_eq!(dropped.into_inner().unwrap(), wanted);
    }
}

#[test]
fn every_alignment_up_to_a_gibibyte_can_be_had_grown_and_zeroed() {
    for shift in 0..=30 {
        let align = 1usize << shift;
        for size in [2, 100, 5000, 100_000, 1_000_000] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: not of size 0; the blocks are used within their sizes and freed as they are.
            unsafe {
                let block = alloc::alloc_zeroed(layout);
                assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                assert_eq!((block.read(), block.add(size - 1).read()), (0, 0), "{layout:?}");
                block.write(1);
                block.add(size - 1).write(2);
                let grown = alloc::realloc(block, layout, size * 3);
                assert!(!grown.is_null() && grown.addr().is_multiple_of(align), "{layout:?} grown");
                assert_eq!(grown.read(), 1, "{layout:?}");
                assert_eq!(grown.add(size - 1).read(), 2, "{layout:?}");
                alloc::dealloc(grown, Layout::from_size_align(size * 3, align).unwrap());
            }
        }
    }
}

#[test]
fn what_no_machine_has_is_refused_with_null_and_the_next_call_works() {
    let largest = isize::MAX as usize;
    for (size, align) in [
        (largest, 1),
        (largest - 4095, 4096),
        (largest / 2, 8),
        (largest - (1 << 30) + 1, 1 << 30),
        (1, 1 << 62),
        (1 << 61, 1 << 61),
    ] {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: not of size 0.
        unsafe {
            assert!(black_box(alloc::alloc(layout)).is_null(), "{layout:?}");
            assert!(black_box(alloc::alloc_zeroed(layout)).is_null(), "{layout:?}");
        }
        let numbers: Vec<usize> = (0..1000).collect();
        assert_eq!(numbers.iter().sum::<usize>(), 499_500);
    }
}

#[test]
fn a_realloc_to_what_no_machine_has_leaves_the_block_as_it_was() {
    for size in [10, 2000, 50_000, 2_000_000] {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: a block used within its size and freed as it is.
        unsafe {
            let block = alloc::alloc(layout);
            block.write_bytes(9, size);
            assert!(black_box(alloc::realloc(block, layout, isize::MAX as usize - 7)).is_null());
            assert!(std::slice::from_raw_parts(block, size).iter().all(|&byte| byte == 9));
            alloc::dealloc(block, layout);
        }
    }
}

#[test]
fn a_reserve_that_cannot_be_met_fails_cleanly() {
    let mut bytes = vec![3u8; 1000];
    assert!(bytes.try_reserve(isize::MAX as usize - 1000).is_err());
    assert!(bytes.try_reserve_exact(1 << 60).is_err());
    assert_eq!(bytes, [3; 1000]);
    bytes.try_reserve(1 << 20).unwrap();
    assert_eq!(bytes, [3; 1000]);
    let mut text = String::from("text");
    assert!(text.try_reserve(isize::MAX as usize - 4).is_err());
    assert_eq!(text, "text");
    let mut table: HashMap<u64, u64> = (0..100).map(|key| (key, key)).collect();
    assert!(table.try_reserve(1 << 58).is_err());
    assert!((0..100).all(|key| table[&key] == key));
}
