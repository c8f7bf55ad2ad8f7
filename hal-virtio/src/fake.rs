//! The device's side of a transport and its queues, played in memory without a thread
//!
//! A [`Device`] does nothing by itself. Tests say what it does and when, right or wrong.

use core::cell::{Cell, RefCell};
use core::ptr;
use core::sync::atomic::{AtomicU16, Ordering};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec::Vec;

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::device::VERSION_1;

/// Gives the test a DMA pool of its own, as the type `Dma`, with the static `POOL` behind it.
macro_rules! dma {
    ($pages:expr) => {
        static POOL: crate::dma::Pool<{ $pages }> = crate::dma::Pool::new();
        struct TestMemory;
        // SAFETY: the fake device uses addresses as they are.
        unsafe impl crate::dma::Memory for TestMemory {
            fn pool() -> &'static dyn crate::dma::Pages {
                &POOL
            }
        }
        type Dma = crate::dma::IdentityHal<TestMemory>;
    };
}
pub(crate) use dma;

/// The driver's end: shares the device with the test.
#[derive(Clone)]
pub(crate) struct FakeTransport(pub(crate) Rc<RefCell<Device>>);

/// A device with queues of 64 descriptors, as many as asked for.
pub(crate) struct Device {
    pub(crate) kind: DeviceType,
    pub(crate) is_legacy: bool,
    pub(crate) features: u64,
    pub(crate) driver_features: u64,
    pub(crate) refuses_features: bool,
    pub(crate) status: DeviceStatus,
    /// Status reads until a reset is done; `None` never.
    pub(crate) reset_reads: Option<u32>,
    resetting: Option<u32>,
    pub(crate) queue_count: u16,
    pub(crate) configuration: Vec<u8>,
    /// Looks at the configuration's generation that find another one each time.
    pub(crate) unsettled_looks: Cell<u32>,
    pub(crate) interrupt: InterruptStatus,
    /// Queues that the driver has notified, in order, the device being started or not.
    pub(crate) notified: Vec<u16>,
    /// Statuses that the driver has written, in order.
    pub(crate) statuses: Vec<DeviceStatus>,
    queues: BTreeMap<u16, Queue>,
    is_scribbled: bool,
}

#[derive(Clone, Copy)]
struct Queue {
    size: u16,
    descriptors: PhysAddr,
    available: PhysAddr,
    used: PhysAddr,
    /// How many buffers the device has taken.
    taken: u16,
}

/// A buffer of the driver's that the device has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    pub(crate) token: u16,
    address: PhysAddr,
    pub(crate) len: u32,
    pub(crate) is_writable: bool,
}

impl Device {
    pub(crate) fn new(kind: DeviceType, queue_count: u16) -> Self {
        Self {
            kind,
            is_legacy: false,
            features: VERSION_1,
            driver_features: 0,
            refuses_features: false,
            status: DeviceStatus::empty(),
            reset_reads: Some(0),
            resetting: None,
            queue_count,
            configuration: Vec::new(),
            unsettled_looks: Cell::new(0),
            interrupt: InterruptStatus::empty(),
            notified: Vec::new(),
            statuses: Vec::new(),
            queues: BTreeMap::new(),
            is_scribbled: false,
        }
    }

    pub(crate) fn share(self) -> FakeTransport {
        FakeTransport(Rc::new(RefCell::new(self)))
    }

    /// The queues that are set up.
    pub(crate) fn queues(&self) -> Vec<u16> {
        self.queues.keys().copied().collect()
    }

    /// How many buffers of a queue the device could take.
    pub(crate) fn available(&self, index: u16) -> u16 {
        self.queues.get(&index).map_or(0, |queue| {
            let offered = halfword(queue.available + 2).load(Ordering::Acquire);
            offered.wrapping_sub(queue.taken)
        })
    }

    /// Takes a buffer from a queue.
    pub(crate) fn take(&mut self, index: u16) -> Option<Buffer> {
        let chain = self.take_chain(index)?;
        let [buffer] = chain[..] else { panic!("chained") };
        Some(buffer)
    }

    /// Takes a chain of buffers from a queue. The token of the first stands for all.
    pub(crate) fn take_chain(&mut self, index: u16) -> Option<Vec<Buffer>> {
        if self.is_scribbled
            || self.available(index) == 0
            || !self.status.contains(DeviceStatus::DRIVER_OK)
        {
            return None;
        }
        let queue = self.queues.get_mut(&index)?;
        let place = u64::from(queue.taken % queue.size);
        let mut token = halfword(queue.available + 4 + 2 * place).load(Ordering::Relaxed);
        queue.taken = queue.taken.wrapping_add(1);
        let mut chain = Vec::new();
        loop {
            let descriptor = queue.descriptors + 16 * u64::from(token);
            let flags = halfword(descriptor + 12).load(Ordering::Relaxed);
            assert_eq!(flags & !0b11, 0, "not indirect");
            let mut fields = [0; 12];
            read_bytes(descriptor, &mut fields);
            chain.push(Buffer {
                token,
                address: u64::from_le_bytes(fields[..8].try_into().unwrap()),
                len: u32::from_le_bytes(fields[8..].try_into().unwrap()),
                is_writable: flags & 2 != 0,
            });
            if flags & 1 == 0 {
                return Some(chain);
            }
            assert!(chain.len() < usize::from(queue.size), "circular");
            token = halfword(descriptor + 14).load(Ordering::Relaxed);
        }
    }

    /// Overwrites a halfword of the part of a queue that the device writes, or of the parts that it should not; what it
    /// would find there itself it does not look at any longer.
    pub(crate) fn scribble(&mut self, index: u16, part: usize, offset: u64, value: u16) {
        let queue = self.queues[&index];
        self.is_scribbled |= !part.is_multiple_of(3);
        let (start, len) = [
            (queue.used, 6 + 8 * u64::from(queue.size)),
            (queue.available, 6 + 2 * u64::from(queue.size)),
            (queue.descriptors, 16 * u64::from(queue.size)),
        ][part % 3];
        halfword(start + (offset % (len / 2)) * 2).store(value, Ordering::Relaxed);
    }

    /// Returns a descriptor to the driver, claiming to have written `len` bytes.
    pub(crate) fn give_back(&mut self, index: u16, token: u32, len: u32) {
        let queue = self.queues[&index];
        let used = halfword(queue.used + 2);
        let returned = used.load(Ordering::Relaxed);
        let place = queue.used + 4 + 8 * u64::from(returned % queue.size);
        write_bytes(place, &token.to_le_bytes());
        write_bytes(place + 4, &len.to_le_bytes());
        used.store(returned.wrapping_add(1), Ordering::Release);
        self.interrupt |= InterruptStatus::QUEUE_INTERRUPT;
    }

    /// What the driver sent, a buffer's worth, which is returned at once.
    pub(crate) fn receive(&mut self, index: u16) -> Option<Vec<u8>> {
        let buffer = self.take(index)?;
        let bytes = buffer.read();
        self.give_back(index, buffer.token.into(), 0);
        Some(bytes)
    }

    /// All that the driver sent.
    pub(crate) fn receive_all(&mut self, index: u16) -> Vec<u8> {
        core::iter::from_fn(|| self.receive(index)).flatten().collect()
    }

    /// Sends `bytes` in one of the driver's buffers; false if there is none.
    pub(crate) fn send(&mut self, index: u16, bytes: &[u8]) -> bool {
        self.send_claiming(index, bytes, u32::try_from(bytes.len()).unwrap())
    }

    /// As [`send`](Self::send), with another length claimed.
    pub(crate) fn send_claiming(&mut self, index: u16, bytes: &[u8], len: u32) -> bool {
        let Some(buffer) = self.take(index) else {
            return false;
        };
        buffer.write(bytes);
        self.give_back(index, buffer.token.into(), len);
        true
    }
}

impl Buffer {
    /// What the driver wrote.
    pub(crate) fn read(&self) -> Vec<u8> {
        assert!(!self.is_writable);
        let mut bytes = std::vec![0; self.len as usize];
        read_bytes(self.address, &mut bytes);
        bytes
    }

    /// Writes for the driver. As QEMU does, what does not fit is cut.
    pub(crate) fn write(&self, bytes: &[u8]) {
        assert!(self.is_writable);
        let fitting = bytes.len().min(self.len as usize);
        write_bytes(self.address, &bytes[..fitting]);
    }
}

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        self.0.borrow().kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().features
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        self.0.borrow_mut().driver_features = driver_features;
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        if queue < self.0.borrow().queue_count { 64 } else { 0 }
    }

    fn notify(&mut self, queue: u16) {
        self.0.borrow_mut().notified.push(queue);
    }

    fn get_status(&self) -> DeviceStatus {
        let mut device = self.0.borrow_mut();
        match device.resetting {
            Some(0) => {
                device.resetting = None;
                device.status = DeviceStatus::empty();
            }
            Some(reads) => device.resetting = device.reset_reads.map(|_| reads - 1),
            None => {}
        }
        device.status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut device = self.0.borrow_mut();
        device.statuses.push(status);
        if status.is_empty() {
            device.queues.clear();
            device.is_scribbled = false;
            device.interrupt = InterruptStatus::empty();
            // One that has been reset already is done at once.
            device.resetting =
                (!device.status.is_empty()).then(|| device.reset_reads.unwrap_or(u32::MAX));
        } else {
            let refused = if device.refuses_features {
                DeviceStatus::FEATURES_OK
            } else {
                DeviceStatus::empty()
            };
            device.status = status - refused;
        }
    }

    fn set_guest_page_size(&mut self, guest_page_size: u32) {
        assert_eq!(guest_page_size, 4096);
    }

    fn requires_legacy_layout(&self) -> bool {
        self.0.borrow().is_legacy
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        let mut device = self.0.borrow_mut();
        assert!(!device.status.contains(DeviceStatus::DRIVER_OK), "too late for queue {queue}");
        let size = u16::try_from(size).unwrap();
        let state =
            Queue { size, descriptors, available: driver_area, used: device_area, taken: 0 };
        device.queues.insert(queue, state);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.0.borrow_mut().queues.remove(&queue);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.0.borrow().queues.contains_key(&queue)
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        core::mem::replace(&mut self.0.borrow_mut().interrupt, InterruptStatus::empty())
    }

    fn read_config_generation(&self) -> u32 {
        let looks = &self.0.borrow().unsettled_looks;
        looks.replace(looks.get().saturating_sub(1))
    }

    fn read_config_space<V: FromBytes + IntoBytes>(&self, offset: usize) -> Result<V, Error> {
        let device = self.0.borrow();
        let bytes = device.configuration.get(offset..).ok_or(Error::ConfigSpaceTooSmall)?;
        V::read_from_prefix(bytes).map(|(value, _)| value).map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<V: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: V,
    ) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}

/// Numbers that are the same in every run (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u32 {
        u32::try_from((self.next() >> 32) % bound).unwrap()
    }
}

fn halfword(address: PhysAddr) -> &'static AtomicU16 {
    let pointer = ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap());
    // SAFETY: a field of a ring in the test's static pool, aligned as rings are, where driver and device use atomics or
    // take turns.
    unsafe { AtomicU16::from_ptr(pointer) }
}

fn read_bytes(address: PhysAddr, bytes: &mut [u8]) {
    let source = ptr::with_exposed_provenance(usize::try_from(address).unwrap());
    // SAFETY: the driver has given this memory of the test's static pool to the device.
    unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) }
}

fn write_bytes(address: PhysAddr, bytes: &[u8]) {
    let target = ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap());
    // SAFETY: as in `read_bytes`.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) }
}
