//! The workers, and the queue of what waits for one.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Blocking;
use super::bell::Bell;
use super::errand::{Back, Errand, Place};
use super::task::{Task, Turn};

/// Workers at most. Where that many wait for a disk that hangs, all others wait with them.
const WORKERS: usize = 16;

/// The workers of a storage. There is one at first; while all are busy, another one is hired.
pub struct Pool<S: Blocking> {
    queue: Mutex<Queue<S>>,
    /// There is something to do.
    work: Condvar,
    /// A worker has left.
    leaving: Condvar,
    bell: Bell,
}

struct Queue<S: Blocking> {
    trips: VecDeque<Trip<S>>,
    /// What a worker gets a copy of.
    storage: S,
    workers: usize,
    idle: usize,
    is_closed: bool,
}

/// A task on an errand.
struct Trip<S: Blocking> {
    task: Task<S>,
    errand: Arc<Errand<S>>,
}

impl<S: Blocking> Pool<S> {
    /// One worker, who rings the bell when something comes back.
    pub fn open(storage: S, bell: Bell) -> io::Result<Arc<Self>> {
        let trips = VecDeque::new();
        let queue = Queue { trips, storage, workers: 0, idle: 0, is_closed: false };
        let (work, leaving) = (Condvar::new(), Condvar::new());
        let pool = Arc::new(Self { queue: Mutex::new(queue), work, leaving, bell });
        pool.hire(&mut lock(&pool.queue))?;
        Ok(pool)
    }

    /// How many tasks wait for a worker.
    pub fn waiting(&self) -> usize {
        lock(&self.queue).trips.len()
    }

    /// Has a worker do something.
    pub fn send(self: &Arc<Self>, task: Task<S>) -> Arc<Errand<S>> {
        let errand = Arc::new(Errand::new());
        self.queue_up(Trip { task, errand: errand.clone() });
        errand
    }

    /// Has a worker throw a job away.
    pub fn cancel(self: &Arc<Self>, job: S::Job) {
        self.queue_up(Trip { task: Task::Cancel(job), errand: Arc::new(Errand::called_off()) });
    }

    /// Sends the workers home when all is done, and waits for them as long as there is patience.
    pub fn close(&self, patience: Duration) {
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        self.work.notify_all();
        let _ = self.leaving.wait_timeout_while(queue, patience, |queue| queue.workers > 0);
    }

    fn queue_up(self: &Arc<Self>, trip: Trip<S>) {
        let mut queue = lock(&self.queue);
        queue.trips.push_back(trip);
        if queue.trips.len() > queue.idle && queue.workers < WORKERS {
            // Those that there are will do, if it must be.
            let _ = self.hire(&mut queue);
        }
        drop(queue);
        self.work.notify_one();
    }

    fn hire(self: &Arc<Self>, queue: &mut Queue<S>) -> io::Result<()> {
        let (pool, storage) = (self.clone(), queue.storage.clone());
        thread::Builder::new().name("disk".into()).spawn(move || pool.work(storage))?;
        queue.workers += 1;
        Ok(())
    }

    /// A worker's life.
    fn work(&self, mut storage: S) {
        let mut trip = None;
        while let Some(next) = self.next(trip) {
            trip = self.turn(next, &mut storage);
        }
    }

    /// The next trip, behind those that wait; `None` at the end of the day.
    fn next(&self, unfinished: Option<Trip<S>>) -> Option<Trip<S>> {
        let mut queue = lock(&self.queue);
        queue.trips.extend(unfinished);
        loop {
            match queue.trips.pop_front() {
                None if queue.is_closed => break,
                None => {}
                trip => return trip,
            }
            queue.idle += 1;
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
        queue.workers -= 1;
        self.leaving.notify_all();
        None
    }

    /// A turn of a trip, which comes back if there is more to do.
    fn turn(&self, Trip { task, errand }: Trip<S>, storage: &mut S) -> Option<Trip<S>> {
        if errand.is_called_off() {
            task.cancel(storage);
            return None;
        }
        match task.go(storage) {
            Turn::More(task) => return Some(Trip { task, errand }),
            Turn::Done(back, _rest) => match errand.deliver(back) {
                Ok(()) => self.bell.ring(),
                Err(Back { place: Place::Here(job), .. }) => storage.cancel(job),
                Err(_) => {}
            },
        }
        None
    }
}

/// No panic leaves what these guard half done.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
