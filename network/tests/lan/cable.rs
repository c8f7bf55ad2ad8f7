//! A cable between a guest and a test.

use core::cell::RefCell;
use std::rc::Rc;

use agent_core::InterfaceStatistics;
use network::{FRAME_BYTES, Nic};

use crate::{Frames, GUEST};

/// Both ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cable(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    arriving: Frames,
    sent: Frames,
    is_up: bool,
    mtu: Option<usize>,
}

impl Cable {
    pub(crate) fn plug(&self, is_up: bool) {
        self.0.borrow_mut().is_up = is_up;
    }

    pub(crate) fn set_mtu(&self, mtu: usize) {
        self.0.borrow_mut().mtu = Some(mtu);
    }

    pub(crate) fn deliver(&self, frame: Vec<u8>) {
        self.0.borrow_mut().arriving.push_back(frame);
    }

    pub(crate) fn take_sent(&self) -> Frames {
        core::mem::take(&mut self.0.borrow_mut().sent)
    }
}

impl Nic for Cable {
    fn hardware_address(&self) -> [u8; 6] {
        GUEST
    }

    fn mtu(&self) -> Option<usize> {
        self.0.borrow().mtu
    }

    fn is_link_up(&self) -> bool {
        self.0.borrow().is_up
    }

    fn statistics(&self) -> InterfaceStatistics {
        InterfaceStatistics { rx_packets: 3, ..InterfaceStatistics::default() }
    }

    fn receive(&mut self, frame: &mut [u8; FRAME_BYTES]) -> Option<usize> {
        let arrived = self.0.borrow_mut().arriving.pop_front()?;
        frame[..arrived.len()].copy_from_slice(&arrived);
        Some(arrived.len())
    }

    fn transmit(&mut self, frame: &[u8]) {
        assert!((14..=FRAME_BYTES).contains(&frame.len()));
        assert!(self.is_link_up(), "sent without a cable");
        self.0.borrow_mut().sent.push_back(frame.to_vec());
    }
}
