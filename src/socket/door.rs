//! The door: who is connected, how many may be, and who goes when it is full.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::peer::Peer;

/// How many there may be, and who is there. Clones are one door.
#[derive(Clone, Debug)]
pub(crate) struct Door(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    room: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    last: u64,
    seats: HashMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    uid: u32,
    doing: Doing,
    since: Instant,
    asked_to_leave: Arc<Notify>,
}

/// What a connection is about; who is first here goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// A request is on its way to us, or the first one is waited for.
    Sending,
    /// Its last request was answered.
    Resting,
    /// Its request is being answered, perhaps after a long wait.
    Asking,
}

/// A place behind the door, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    door: Door,
    number: u64,
    asked_to_leave: Arc<Notify>,
}

impl Door {
    /// A door for `most` connections.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most: most.max(1), room: Mutex::default() }))
    }

    /// Takes a place for `peer`. A user other than root holds a quarter at most: beyond that another of
    /// its own goes. When all places are taken, the one that has been sending a request for longest.
    pub(crate) fn enter(&self, peer: &Peer) -> Place {
        let (uid, now) = (peer.uid(), Instant::now());
        let mut room = self.room();
        let share = (self.0.most / 4).max(1);
        let own = room.seats.values().filter(|seat| seat.uid == uid).count();
        if uid != 0 && own >= share {
            room.show_out(|seat| seat.uid == uid);
        } else if room.seats.len() >= self.0.most {
            room.show_out(|_| true);
        }
        room.last += 1;
        let (number, asked_to_leave) = (room.last, Arc::new(Notify::new()));
        let seat = Seat { uid, doing: Doing::Sending, since: now, asked_to_leave: Arc::clone(&asked_to_leave) };
        room.seats.insert(number, seat);
        Place { door: self.clone(), number, asked_to_leave }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn show_out(&mut self, among: impl Fn(&Seat) -> bool) {
        let first = self.seats.iter().filter(|(_, seat)| among(seat));
        let first = first.min_by_key(|(number, seat)| (seat.doing, seat.since, **number)).map(|(number, _)| *number);
        if let Some(seat) = first.and_then(|number| self.seats.remove(&number)) {
            seat.asked_to_leave.notify_one();
        }
    }
}

impl Place {
    /// Ready when another needs the place more.
    pub(crate) async fn is_wanted(&self) {
        self.asked_to_leave.notified().await;
    }

    /// A handle that says what the connection is about.
    pub(crate) fn bell(&self) -> Bell {
        Bell { door: self.door.clone(), number: self.number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.room().seats.remove(&self.number);
    }
}

/// Says what a connection is about.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    door: Door,
    number: u64,
}

impl Bell {
    /// Bytes of a request have come.
    pub(crate) fn sending(&self) {
        self.change(Doing::Sending, |before| before == Doing::Resting);
    }

    /// The head of a request is whole.
    pub(crate) fn asking(&self) {
        self.change(Doing::Asking, |_| true);
    }

    /// It was answered.
    pub(crate) fn answered(&self) {
        self.change(Doing::Resting, |_| true);
    }

    /// Whether its request is not answered yet.
    pub(crate) fn is_asking(&self) -> bool {
        self.door.room().seats.get(&self.number).is_some_and(|seat| seat.doing == Doing::Asking)
    }

    fn change(&self, doing: Doing, from: impl Fn(Doing) -> bool) {
        let mut room = self.door.room();
        if let Some(seat) = room.seats.get_mut(&self.number).filter(|seat| from(seat.doing)) {
            seat.doing = doing;
            seat.since = Instant::now();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn enter(door: &Door, uid: u32) -> Place {
        door.enter(&Peer::new(uid, &[]))
    }

    fn must_go(place: &Place) -> bool {
        place.is_wanted().now_or_never().is_some()
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_one_longest_in_the_middle_of_a_request_goes() {
        let door = Door::new(4);
        let places: Vec<Place> = [0, 0, 0, 0].into_iter().map(|uid| enter(&door, uid)).collect();
        places[0].bell().asking();
        places[1].bell().asking();
        places[1].bell().answered();
        let gone = |places: &[Place]| -> Vec<bool> { places.iter().map(must_go).collect() };
        assert_eq!(gone(&places), [false; 4]);
        let fifth = enter(&door, 7);
        assert_eq!(gone(&places), [false, false, true, false], "it has never sent a whole request");
        fifth.bell().asking();
        let sixth = enter(&door, 0);
        assert_eq!(gone(&places), [false, false, false, true]);
        let seventh = enter(&door, 0);
        seventh.bell().asking();
        assert!(must_go(&sixth));
        places[1].bell().sending();
        let eighth = enter(&door, 0);
        assert_eq!(gone(&places), [false, true, false, false], "its next request is on its way");
        eighth.bell().asking();
        let _ninth = enter(&door, 0);
        assert_eq!(gone(&places), [true, false, false, false], "who waits for an answer goes last, the oldest first");
    }

    #[tokio::test]
    async fn a_user_holds_a_quarter_and_root_what_there_is() {
        let door = Door::new(8);
        let one = enter(&door, 7);
        let two = enter(&door, 7);
        let other = enter(&door, 8);
        let three = enter(&door, 7);
        assert_eq!([&one, &two, &three, &other].map(must_go), [true, false, false, false]);
        drop(two);
        let _four = enter(&door, 7);
        assert_eq!([&three, &other].map(must_go), [false, false]);
        let roots: Vec<Place> = (0..5).map(|_| enter(&door, 0)).collect();
        assert!(!roots.iter().any(must_go));
        assert_eq!(door.room().seats.len(), 8);
    }
}
