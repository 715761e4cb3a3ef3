//! One thread makes the objects, another frees them. Afterwards both live and sleep, or the maker has ended.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use crate::Result;
use crate::lines;
use crate::population::{Object, object};
use crate::stage::Stage;

const OBJECTS: u64 = 2_000_000;

/// The main thread makes, a worker frees; then both sleep.
pub fn worker_frees(stage: &mut Stage) -> Result<()> {
    let count = stage.count(OBJECTS);
    let worker = Worker::start();
    lines! { stage;
        let objects: Vec<Object> = (0..count).map(object).collect();
        worker.free(objects)?;
    }
    stage.rest(&());
    worker.end()
}

/// A worker makes, the main thread frees; then both sleep.
pub fn worker_makes(stage: &mut Stage) -> Result<()> {
    let count = stage.count(OBJECTS);
    let worker = Worker::start();
    lines! { stage;
        let objects = worker.make(count)?;
        drop(objects);
    }
    stage.rest(&());
    worker.end()
}

/// A worker makes and ends; then the main thread frees.
pub fn worker_exits(stage: &mut Stage) -> Result<()> {
    let count = stage.count(OBJECTS);
    lines! { stage;
        let worker = thread::spawn(move || (0..count).map(object).collect::<Vec<Object>>());
        let objects = worker.join().map_err(|_| FAILED)?;
        drop(objects);
    }
    stage.rest(&());
    Ok(())
}

const FAILED: &str = "the worker failed";

enum Order {
    Make(u64),
    Free(Vec<Object>),
}

/// A thread that does what it is told, and sleeps while it is told nothing.
struct Worker {
    orders: Sender<Order>,
    answers: Receiver<Vec<Object>>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start() -> Worker {
        let (orders, received) = channel();
        let (answering, answers) = channel();
        let thread = thread::spawn(move || {
            for order in received {
                let answer = match order {
                    Order::Make(count) => (0..count).map(object).collect(),
                    Order::Free(objects) => {
                        drop(objects);
                        Vec::new()
                    }
                };
                if answering.send(answer).is_err() {
                    return;
                }
            }
        });
        Worker { orders, answers, thread }
    }

    fn make(&self, count: u64) -> Result<Vec<Object>> {
        self.orders.send(Order::Make(count)).map_err(|_| FAILED)?;
        Ok(self.answers.recv()?)
    }

    fn free(&self, objects: Vec<Object>) -> Result<()> {
        self.orders.send(Order::Free(objects)).map_err(|_| FAILED)?;
        self.answers.recv()?;
        Ok(())
    }

    fn end(self) -> Result<()> {
        drop(self.orders);
        Ok(self.thread.join().map_err(|_| FAILED)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_makes_and_frees_and_ends() {
        let worker = Worker::start();
        let objects = worker.make(10).expect("a worker");
        assert_eq!(objects.len(), 10);
        worker.free(objects).expect("a worker");
        worker.end().expect("a worker");
    }
}
