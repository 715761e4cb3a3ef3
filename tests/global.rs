//! A program on highwater: real collections, threads, sizes.
use highwater::Highwater;
#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

#[test]
fn collections() {
    let mut map = std::collections::BTreeMap::new();
    for i in 0..200_000u64 {
        map.insert(i, format!("value {i}"));
    }
    for i in 0..200_000u64 {
        if i % 3 == 0 {
            map.remove(&i);
        }
    }
    assert_eq!(map.len(), 133_333);
    let mut big: Vec<u8> = Vec::new();
    for i in 0..50_000_000usize {
        big.push(i as u8);
    }
    assert!(big.iter().enumerate().all(|(i, &b)| b == i as u8));
    let (tx, rx) = std::sync::mpsc::channel::<Vec<String>>();
    let t = std::thread::spawn(move || {
        let mut n = 0;
        for v in rx {
            n += v.len();
        }
        n
    });
    for i in 0..1000 {
        tx.send((0..100).map(|j| format!("{i} {j}")).collect()).unwrap();
    }
    drop(tx);
    assert_eq!(t.join().unwrap(), 100_000);
    println!("{}", highwater::explain());
    drop(map);
    drop(big);
    let e = highwater::explain();
    println!("{e}\n{:?}", highwater::stats().live_bytes);
    println!("trim {}", highwater::trim());
    println!("{}", highwater::explain());
}
