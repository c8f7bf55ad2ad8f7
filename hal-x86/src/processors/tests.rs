//! Starting, asking and stopping, with processors that answer at once, late or never.

use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use self::Sent::{Init, StartUp, Wake};
use super::*;
use crate::interrupts::NotSent;
use crate::real_mode::Start;

const BOOT: u32 = 7;
const TICKS_PER_MS: u64 = 1000;

/// How a processor behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It answers at once.
    Prompt,
    /// It begins at the second start-up interrupt only.
    Late,
    /// It begins, and never answers again.
    Tired,
    /// It does not begin.
    Dead,
    /// It cannot be sent anything.
    Unreachable,
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Init(u32),
    StartUp(u32),
    Wake(u32),
}

#[derive(Default)]
struct Model {
    now: Cell<u64>,
    manners: BTreeMap<u32, Manner>,
    has_page: bool,
    prepared: Cell<Option<Start>>,
    sent: RefCell<Vec<(u64, Sent)>>,
    /// The slots of those that run.
    running: RefCell<BTreeMap<u32, u64>>,
    started_before: RefCell<BTreeMap<u32, bool>>,
}

type Set = Processors<&'static Model, &'static Model>;

impl Model {
    fn processors(manners: &[Manner]) -> (&'static Self, Set) {
        let manners = (0..).zip(manners.iter().copied()).collect();
        Self { manners, has_page: true, ..Self::default() }.listed()
    }

    fn listed(self) -> (&'static Self, Set) {
        let model: &'static Self = Box::leak(Box::new(self));
        let slots = Box::leak(Box::new([const { Slot::new() }; MAX_PROCESSORS]));
        let ids = model.manners.keys().copied();
        (model, Processors::with_signals(model, model, TICKS_PER_MS, ids, slots))
    }

    fn send(&self, id: u32, sent: Sent) -> Result<Manner, NotSent> {
        assert_ne!(id, BOOT, "{sent:?}");
        let manner = self.manners[&id];
        if manner == Manner::Unreachable {
            return Err(NotSent);
        }
        self.sent.borrow_mut().push((self.now.get() / TICKS_PER_MS, sent));
        Ok(manner)
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.take().into_iter().map(|(_, sent)| sent).collect()
    }

    fn answer(&self, id: u32) {
        let slot = self.running.borrow()[&id];
        let slot = core::ptr::with_exposed_provenance::<Slot>(usize::try_from(slot).unwrap());
        // SAFETY: it is the address of a slot that was leaked.
        unsafe { &*slot }.answer();
    }
}

impl Signals for &Model {
    fn own_id(&self) -> u32 {
        BOOT
    }

    fn init(&self, id: u32) -> Result<(), NotSent> {
        self.send(id, Init(id))?;
        self.running.borrow_mut().remove(&id);
        self.started_before.borrow_mut().insert(id, false);
        Ok(())
    }

    fn prepare(&self, start: Start) -> bool {
        self.prepared.set(Some(start));
        self.has_page
    }

    fn start_up(&self, id: u32) -> Result<(), NotSent> {
        let manner = self.send(id, StartUp(id))?;
        let again = self.started_before.borrow_mut().insert(id, true);
        let begins = match manner {
            Manner::Prompt | Manner::Tired => again == Some(false),
            Manner::Late => again == Some(true),
            Manner::Dead | Manner::Unreachable => false,
        };
        if begins {
            self.running.borrow_mut().insert(id, self.prepared.get().unwrap().argument);
            self.answer(id);
        }
        Ok(())
    }

    fn wake(&self, id: u32) -> Result<(), NotSent> {
        if self.send(id, Wake(id))? != Manner::Tired {
            self.answer(id);
        }
        Ok(())
    }
}

impl Counter for &Model {
    fn ticks(&self) -> u64 {
        self.now.set(self.now.get() + 10);
        self.now.get()
    }
}

#[test]
fn the_list_begins_with_the_boot_processor_and_holds_none_twice() {
    for (ids, expected) in [
        (vec![], vec![7]),
        (vec![7, 1, 2], vec![7, 1, 2]),
        (vec![1, 7, 1, 2, 7, 300], vec![7, 1, 2, 300]),
        ((0..1000).collect(), [7].into_iter().chain((0..64).filter(|&id| id != 7)).collect()),
        (
            (0..u32::MAX).step_by(0x1000_0000).collect(),
            [
                7,
                0,
                0x1000_0000,
                0x2000_0000,
                0x3000_0000,
                0x4000_0000,
                0x5000_0000,
                0x6000_0000,
                0x7000_0000,
                0x8000_0000,
                0x9000_0000,
                0xa000_0000,
                0xb000_0000,
                0xc000_0000,
                0xd000_0000,
                0xe000_0000,
                0xf000_0000,
            ]
            .to_vec(),
        ),
    ] {
        let manners = ids.iter().map(|&id| (id, Manner::Prompt)).collect();
        let model = Box::leak(Box::new(Model { manners, ..Model::default() }));
        let slots = Box::leak(Box::new([const { Slot::new() }; MAX_PROCESSORS]));
        let (model, ids) = (&*model, ids.into_iter());
        let set: Set = Processors::with_signals(model, model, 1, ids, slots);
        let found: Vec<u32> = set.members().iter().map(|member| member.id).collect();
        assert_eq!(found, expected);
        assert_eq!(set.len(), expected.len());
        assert!(set.is_online(0));
        assert!((1..100).all(|index| !set.is_online(index)));
        assert_eq!(model.sent(), [], "nothing is touched before it is asked for");
    }
}

#[test]
fn a_processor_starts_answers_stops_and_starts_again() {
    let (model, mut set) = Model::processors(&[Manner::Prompt, Manner::Prompt]);
    for _ in 0..3 {
        assert_eq!(set.bring_online(2), Ok(()));
        assert_eq!(model.sent.borrow().len(), 2);
        let log = model.sent.take();
        assert_eq!([log[0].1, log[1].1], [Init(1), StartUp(1)]);
        assert!(log[1].0 - log[0].0 >= INIT_MS, "{log:?}");
        assert_eq!([set.is_online(1), set.is_online(2)], [false, true]);
        assert_eq!(set.bring_online(2), Ok(()));
        assert_eq!(model.sent(), [], "it runs");

        assert!(set.times(2).is_ok());
        assert_eq!(model.sent(), [Wake(1)]);

        assert_eq!(set.take_offline(2), Ok(()));
        assert_eq!(model.sent(), [Wake(1), Init(1)]);
        assert!(!set.is_online(2));
        assert_eq!(set.take_offline(2), Ok(()));
        assert_eq!(set.times(2), Err(ProcessorError::Offline));
        assert_eq!(model.sent(), [], "it does not run");
    }
}

#[test]
fn each_has_a_slot_and_a_stack_of_its_own() {
    let (model, mut set) = Model::processors(&[Manner::Prompt; 6]);
    let mut starts = Vec::new();
    for index in 1..set.len() {
        set.bring_online(index).unwrap();
        starts.push(model.prepared.get().unwrap());
    }
    for pair in starts.windows(2) {
        assert_eq!(pair[1].argument - pair[0].argument, 64);
        assert!(pair[1].stack_top - pair[0].stack_top >= 1024);
        assert!(pair[0].stack_top.is_multiple_of(16));
    }
    assert!(application::start(set.slots, MAX_PROCESSORS - 1).is_some());
    assert!(application::start(set.slots, MAX_PROCESSORS).is_none());
}

#[test]
fn one_that_does_not_do_it_is_an_error_and_off_line() {
    for (manner, online, error, sent) in [
        (Manner::Late, true, None, &[Init(0), StartUp(0), StartUp(0)][..]),
        (
            Manner::Dead,
            false,
            Some(ProcessorError::NoAnswer),
            &[Init(0), StartUp(0), StartUp(0), Init(0)],
        ),
        (Manner::Unreachable, false, Some(ProcessorError::NotSent), &[]),
    ] {
        let (model, mut set) = Model::processors(&[manner]);
        assert_eq!(set.bring_online(1).err(), error, "{manner:?}");
        assert_eq!(set.is_online(1), online, "{manner:?}");
        assert_eq!(model.sent(), sent, "{manner:?}");
        assert!(
            model.now.get() / TICKS_PER_MS < ANSWER_MS + 100,
            "{manner:?}: {}",
            model.now.get()
        );
    }
    let (model, mut set) = Model { has_page: false, ..Model::default() }.listed();
    assert_eq!(set.bring_online(1), Err(ProcessorError::Absent));
    assert_eq!(model.sent(), []);
    let manners = [(1, Manner::Prompt)].into();
    let (model, mut set) = Model { manners, ..Model::default() }.listed();
    assert_eq!(set.bring_online(1), Err(ProcessorError::NoStartPage));
    assert_eq!((set.is_online(1), model.sent()), (false, vec![Init(1)]));

    // One that runs and then falls silent is stopped all the same.
    let (model, mut set) = Model::processors(&[Manner::Tired; 2]);
    set.bring_all_online();
    model.sent.take();
    assert_eq!(set.times(1), Err(ProcessorError::NoAnswer));
    assert_eq!(model.sent(), [Wake(0), Init(0)]);
    assert_eq!(set.take_offline(2), Ok(()));
    assert_eq!(model.sent(), [Wake(1), Init(1)]);
    assert_eq!([set.is_online(1), set.is_online(2)], [false, false]);
}

#[test]
fn the_boot_processor_stays() {
    let (model, mut set) = Model::processors(&[Manner::Prompt]);
    assert_eq!(set.take_offline(0), Err(ProcessorError::Boot));
    assert_eq!(set.times(0), Err(ProcessorError::Boot));
    assert_eq!(set.bring_online(0), Ok(()));
    for index in [2, 64, usize::MAX] {
        assert_eq!(set.take_offline(index), Err(ProcessorError::Absent));
        assert_eq!(set.bring_online(index), Err(ProcessorError::Absent));
        assert_eq!(set.times(index), Err(ProcessorError::Absent));
    }
    assert_eq!((set.is_online(0), model.sent()), (true, vec![]));
}

#[test]
fn all_start_together_and_the_dead_cost_no_more_than_one() {
    let (model, mut set) = Model::processors(&[Manner::Prompt; 4]);
    assert_eq!(set.bring_all_online(), 5);
    assert!(model.now.get() / TICKS_PER_MS <= INIT_MS + 1, "{}", model.now.get());

    let manners: Vec<Manner> = (0..60)
        .map(|id| match id {
            0 => Manner::Prompt,
            1 => Manner::Unreachable,
            _ => Manner::Dead,
        })
        .collect();
    let (model, mut set) = Model::processors(&manners);
    assert_eq!(set.bring_all_online(), 2);
    assert!(set.is_online(1));
    // Each of the dead is given the second start-up interrupt, whose wait is what adds up.
    let limit_ms = INIT_MS + ANSWER_MS + 60 * (SECOND_MS + 1);
    assert!(model.now.get() / TICKS_PER_MS < limit_ms, "{}", model.now.get());
}

#[test]
fn alone_it_waits_for_nobody() {
    let (model, mut set) = Model::processors(&[]);
    assert_eq!((set.bring_all_online(), set.restart()), (1, 1));
    assert!(model.now.get() < TICKS_PER_MS);
}

#[test]
fn after_a_sleep_those_run_that_ran_before() {
    let (model, mut set) = Model::processors(&[Manner::Prompt; 3]);
    set.bring_all_online();
    set.take_offline(2).unwrap();
    model.sent.take();
    model.running.take();
    model.now.set(0);
    assert_eq!(set.restart(), 3);
    assert_eq!([1, 2, 3].map(|index| set.is_online(index)), [true, false, true]);
    // First all are taken from the firmware.
    let all = [Init(0), Init(1), Init(2)];
    let online = [Init(0), Init(2), StartUp(0), StartUp(2)];
    assert_eq!(model.sent(), [&all[..], &all, &online].concat());
}
