//! The registers of a virtio device on PCI (virtio 1.2 §4.1.4)

use core::fmt;
use core::ops::{Deref, Range};
use core::ptr::NonNull;

use safe_mmio::fields::{ReadOnly, ReadPure, ReadPureWrite, WriteOnly};
use safe_mmio::{UniqueMmioPointer, field, field_shared};
use virtio_drivers::PhysAddr;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::capability::{Space, Structures};
use super::{Address, Configuration, Function, Interrupt, Message, OpenError, msix, register};

/// Queues that can be used: as many as a console of 31 ports has.
const MAX_QUEUES: usize = 64;

/// Bits of the command register: the device answers in memory space, and may read and write memory itself.
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_BUS_MASTER: u32 = 1 << 2;

/// The index of no notification register: their region has 4 GiB at most, of two bytes each.
const NOWHERE: u32 = u32::MAX;

/// What a vector register reads as when the device has no vector for the event (§4.1.5.1.2.2).
const NO_VECTOR: u16 = 0xFFFF;

/// An opened virtio device on PCI.
pub struct Transport {
    kind: DeviceType,
    common: UniqueMmioPointer<'static, Common>,
    /// The registers that queues are notified by.
    notify: UniqueMmioPointer<'static, [WriteOnly<u16>]>,
    /// Distance of two queues' registers, in units of `notify_off`.
    notify_multiplier: u32,
    /// Index into `notify` of each queue that was set up, shadowed: asking the device is two exits for every
    /// notification, and it could say something else each time.
    notify_index: [u32; MAX_QUEUES],
    isr: UniqueMmioPointer<'static, ReadOnly<u8>>,
    specific: Option<UniqueMmioPointer<'static, [u8]>>,
    interrupt: Interrupt,
    /// What sends its interrupts, where it was set up to send any.
    vector: Option<msix::Vector>,
}

/// `struct virtio_pci_common_cfg`, §4.1.4.3. Fields of 64 bits are two of 32, as they have to be accessed.
#[repr(C)]
struct Common {
    device_feature_select: ReadPureWrite<u32>,
    device_feature: ReadPure<u32>,
    driver_feature_select: ReadPureWrite<u32>,
    driver_feature: ReadPureWrite<u32>,
    config_msix_vector: ReadPureWrite<u16>,
    num_queues: ReadPure<u16>,
    device_status: ReadPureWrite<u8>,
    config_generation: ReadPure<u8>,
    queue_select: ReadPureWrite<u16>,
    queue_size: ReadPureWrite<u16>,
    queue_msix_vector: ReadPureWrite<u16>,
    queue_enable: ReadPureWrite<u16>,
    queue_notify_off: ReadPure<u16>,
    queue_desc: [ReadPureWrite<u32>; 2],
    queue_driver: [ReadPureWrite<u32>; 2],
    queue_device: [ReadPureWrite<u32>; 2],
}

impl Transport {
    /// Opens the virtio device at `address`: finds its registers, lets it answer and use memory, and directs its
    /// interrupts to `message`, if there is one and the device has MSI-X.
    ///
    /// Registers outside all of `windows` are refused.
    ///
    /// # Errors
    ///
    /// The function is no virtio device, has no modern registers, or has them where they cannot be reached.
    ///
    /// # Safety
    ///
    /// Every range of `windows` must be mapped one to one for as long as the program runs, and hold nothing but
    /// registers of devices: no memory that the program uses. No other driver may use this device.
    pub unsafe fn open<C: Configuration>(
        configuration: &mut C,
        address: Address,
        windows: &[Range<u64>],
        message: Option<Message>,
    ) -> Result<Self, OpenError> {
        let mut space = Space { configuration, address };
        let [v0, v1, d0, d1] = space.read(register::ID).to_le_bytes();
        let (vendor, device) = (u16::from_le_bytes([v0, v1]), u16::from_le_bytes([d0, d1]));
        let kind =
            Function { address, vendor, device }.virtio_kind().ok_or(OpenError::NotVirtio)?;

        let structures = Structures::find(&mut space);
        let common = structures.common.ok_or(OpenError::NotModern)?;
        let (notify, notify_multiplier) = structures.notify.ok_or(OpenError::NotModern)?;
        let isr = structures.isr.ok_or(OpenError::NotModern)?;

        let common = space.registers::<Common>(common, windows)?;
        let isr = space.registers::<ReadOnly<u8>>(isr, windows)?;
        let notify = space.register_array::<WriteOnly<u16>>(notify, windows)?;
        let specific = match structures.specific {
            // Fields of up to 32 bits are read from it, so it is aligned as the capability has to be (§4.1.4.6.1).
            Some(location) if location.offset.is_multiple_of(4) => {
                Some(space.register_array::<u8>(location, windows)?)
            }
            _ => None,
        };

        // The upper half of the register is status bits that a one clears.
        let command = space.read(register::COMMAND_STATUS) & 0xFFFF;
        space.write(register::COMMAND_STATUS, command | COMMAND_MEMORY | COMMAND_BUS_MASTER);
        let (interrupt, vector) = msix::configure(&mut space, structures.msix, message, windows)?;

        Ok(Self {
            kind,
            common,
            notify,
            notify_multiplier,
            notify_index: [NOWHERE; MAX_QUEUES],
            isr,
            specific,
            interrupt,
            vector,
        })
    }

    /// How the device's interrupts arrive. A device can refuse a vector until its queues are set up, so ask after that.
    pub const fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// The index into `notify` for the selected queue, if the device places it inside.
    fn selected_notify_index(&mut self) -> Option<u32> {
        let offset = field_shared!(self.common, queue_notify_off).read();
        // > cap.offset + queue_notify_off * notify_off_multiplier (§4.1.4.4)
        let bytes = u64::from(offset).checked_mul(self.notify_multiplier.into())?;
        let index = u32::try_from(bytes / 2).ok()?;
        (bytes.is_multiple_of(2) && position(index) < self.notify.len()).then_some(index)
    }
}

impl virtio_drivers::transport::Transport for Transport {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        field!(self.common, device_feature_select).write(0);
        let low = field_shared!(self.common, device_feature).read();
        field!(self.common, device_feature_select).write(1);
        let high = field_shared!(self.common, device_feature).read();
        u64::from(low) | u64::from(high) << 32
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        let [low, high] = words(driver_features);
        field!(self.common, driver_feature_select).write(0);
        field!(self.common, driver_feature).write(low);
        field!(self.common, driver_feature_select).write(1);
        field!(self.common, driver_feature).write(high);
    }

    /// 0 for a queue that the device does not have, or that could not be notified.
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        let is_there = queue < field_shared!(self.common, num_queues).read();
        if !is_there || usize::from(queue) >= MAX_QUEUES {
            return 0;
        }
        field!(self.common, queue_select).write(queue);
        if self.selected_notify_index().is_none() {
            return 0;
        }
        field_shared!(self.common, queue_size).read().into()
    }

    fn notify(&mut self, queue: u16) {
        let index = self.notify_index.get(usize::from(queue)).copied().unwrap_or(NOWHERE);
        if let Some(mut register) = self.notify.get(position(index)) {
            register.write(queue);
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(field_shared!(self.common, device_status).read().into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        // A reset has taken the vectors away, so the configuration's is assigned right before the device goes live.
        if status.contains(DeviceStatus::DRIVER_OK) && self.interrupt == Interrupt::Message {
            field!(self.common, config_msix_vector).write(0);
            if field_shared!(self.common, config_msix_vector).read() == NO_VECTOR {
                self.interrupt = Interrupt::None;
            }
        }
        // Whoever starts a device anew need not know whether the whole machine has been reset, which clears the table.
        if let Some(vector) = self.vector.as_mut().filter(|_| status.is_empty()) {
            vector.write();
        }
        // The register has 8 bits, all that are defined fit.
        let [bits, ..] = status.bits().to_le_bytes();
        field!(self.common, device_status).write(bits);
    }

    fn set_guest_page_size(&mut self, _guest_page_size: u32) {
        // Only legacy devices count in pages.
    }

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        field!(self.common, queue_select).write(queue);
        let index = self.selected_notify_index();
        if let Some(place) = self.notify_index.get_mut(usize::from(queue)) {
            *place = index.unwrap_or(NOWHERE);
        }
        if self.interrupt == Interrupt::Message {
            // > After mapping an event to vector, the driver MUST verify success by reading the Vector field value
            // > (§4.1.5.1.2.2)
            field!(self.common, queue_msix_vector).write(0);
            if field_shared!(self.common, queue_msix_vector).read() == NO_VECTOR {
                self.interrupt = Interrupt::None;
            }
        }
        // `VirtQueue::new` has compared the size with `queue_size`, which has 16 bits.
        field!(self.common, queue_size).write(u16::try_from(size).unwrap_or(0));
        let mut common = self.common.reborrow();
        let [low, high] = field!(common, queue_desc).split();
        write_halves(low, high, descriptors);
        let [low, high] = field!(common, queue_driver).split();
        write_halves(low, high, driver_area);
        let [low, high] = field!(common, queue_device).split();
        write_halves(low, high, device_area);
        field!(common, queue_enable).write(1);
    }

    fn queue_unset(&mut self, _queue: u16) {
        // > The driver MUST NOT write a 0 to queue_enable. (§4.1.4.3.2) Only a reset disables queues.
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        field!(self.common, queue_select).write(queue);
        field_shared!(self.common, queue_enable).read() == 1
    }

    /// With MSI-X there is nothing to acknowledge, and the register need not tell anything (§4.1.4.5).
    fn ack_interrupt(&mut self) -> InterruptStatus {
        if self.interrupt == Interrupt::Message {
            InterruptStatus::empty()
        } else {
            // Reading clears the register and lowers the line.
            InterruptStatus::from_bits_truncate(self.isr.read().into())
        }
    }

    fn read_config_generation(&self) -> u32 {
        field_shared!(self.common, config_generation).read().into()
    }

    fn read_config_space<V: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> Result<V, virtio_drivers::Error> {
        let specific = self.specific.as_ref().ok_or(virtio_drivers::Error::ConfigSpaceMissing)?;
        let place = place::<V>(specific.ptr().cast_mut(), specific.len(), offset)?;
        // SAFETY: `place` lies inside the structure and is aligned; reading it has no effect.
        let place = unsafe { specific.deref().child(place) };
        // SAFETY: as above.
        Ok(unsafe { place.read_unsafe() })
    }

    fn write_config_space<V: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: V,
    ) -> Result<(), virtio_drivers::Error> {
        let specific = self.specific.as_mut().ok_or(virtio_drivers::Error::ConfigSpaceMissing)?;
        let place = place::<V>(specific.ptr_mut(), specific.len(), offset)?;
        // SAFETY: `place` lies inside the structure and is aligned.
        let mut place = unsafe { specific.child(place) };
        // SAFETY: writing a field is what the driver of the device asks for.
        unsafe { place.write_unsafe(value) };
        Ok(())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("kind", &self.kind)
            .field("interrupt", &self.interrupt)
            .finish_non_exhaustive()
    }
}

/// Where a `V` at `offset` is in a configuration structure, if it is inside and aligned.
fn place<V>(
    start: *mut [u8],
    len: usize,
    offset: usize,
) -> Result<NonNull<V>, virtio_drivers::Error> {
    let end = offset.checked_add(size_of::<V>());
    let place = start.cast::<u8>().wrapping_add(offset).cast::<V>();
    if end.is_none_or(|end| end > len) || !place.is_aligned() {
        return Err(virtio_drivers::Error::ConfigSpaceTooSmall);
    }
    NonNull::new(place).ok_or(virtio_drivers::Error::ConfigSpaceMissing)
}

/// > For 64-bit fields, the driver MAY access each of the high and low 32-bit parts of the field independently.
/// > (§4.1.3.1)
fn write_halves(
    mut low: UniqueMmioPointer<'_, ReadPureWrite<u32>>,
    mut high: UniqueMmioPointer<'_, ReadPureWrite<u32>>,
    value: u64,
) {
    let [value_low, value_high] = words(value);
    low.write(value_low);
    high.write(value_high);
}

/// An index as slices count; virtio on PCI is for machines whose `usize` holds it.
fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// Lower and upper half.
pub(super) const fn words(value: u64) -> [u32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "each half has 32 bits")]
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use core::slice;

    use virtio_drivers::transport::Transport as _;

    use super::super::fake::{Bus, Registers};
    use super::*;

    const AT: Address = Address { bus: 3, device: 0, function: 0 };
    const MESSAGE: Message = Message { address: 0xFEE0_1000, data: 0x41 };

    // Where the device below has its structures in its one page of registers.
    const ISR: usize = 0x100;
    const SPECIFIC: usize = 0x200;
    const NOTIFY: usize = 0x300;
    const TABLE: usize = 0x800;

    /// Offsets of capabilities in configuration space: MSI-X, then common, notify, ISR, specific.
    const MSIX_AT: usize = 0x98;
    const VENDOR_AT: [usize; 4] = [0x40, 0x50, 0x68, 0x78];

    /// A change to a function's configuration space.
    type Change = fn(&mut [u32; 64]);

    /// A console as QEMU makes it, but with all its registers in one page.
    fn console(registers: &mut Registers) -> Bus {
        let mut bus = Bus::default();
        let space = bus.function(AT);
        let base = registers.window().start;
        space[0] = 0x1043_1AF4;
        space[1] = 0x0010_0001;
        space[4 + 4] = u32::try_from(base & 0xFFFF_FFFF).unwrap() | 0b1100;
        space[4 + 5] = u32::try_from(base >> 32).unwrap();
        space[13] = u32::try_from(MSIX_AT).unwrap();
        space[15] = 0x010B;
        space[MSIX_AT / 4] = 0x0002_0011 | u32::try_from(VENDOR_AT[0]).unwrap() << 8;
        space[MSIX_AT / 4 + 1] = u32::try_from(TABLE).unwrap() | 4;
        let structures = [(1, 0, 0x38), (2, NOTIFY, 0x100), (3, ISR, 1), (4, SPECIFIC, 12)];
        for (index, (kind, offset, len)) in structures.into_iter().enumerate() {
            let at = VENDOR_AT[index] / 4;
            let next = VENDOR_AT.get(index + 1).copied().unwrap_or(0);
            space[at] = 0x0014_0009 | u32::try_from(next).unwrap() << 8 | kind << 24;
            space[at + 1] = 4;
            space[at + 2] = u32::try_from(offset).unwrap();
            space[at + 3] = len;
        }
        space[VENDOR_AT[1] / 4 + 4] = 4;
        registers.write(0x12, 6);
        registers.write(0x18, 64);
        bus
    }

    fn open(
        bus: &mut Bus,
        registers: &mut Registers,
        message: Option<Message>,
    ) -> Result<Transport, OpenError> {
        let window = registers.window();
        // SAFETY: the window is the registers' memory, which the test uses in turn with the driver.
        unsafe { Transport::open(bus, AT, slice::from_ref(&window), message) }
    }

    #[test]
    fn opens_a_device_with_its_message() {
        let mut registers = Registers::new();
        let mut bus = console(&mut registers);
        let transport = open(&mut bus, &mut registers, Some(MESSAGE)).unwrap();
        assert_eq!(transport.device_type(), DeviceType::Console);
        assert_eq!(transport.interrupt(), Interrupt::Message);
        let space = bus.function(AT);
        assert_eq!(
            space[1], 0x0407,
            "I/O as before, memory, bus master, no line; status not cleared"
        );
        assert_eq!(space[MSIX_AT / 4] >> 30, 0b10, "enabled and not masked");
        assert_eq!(registers.read(TABLE, 8), 0xFEE0_1000);
        assert_eq!(registers.read(TABLE + 8, 4), 0x41);
        assert_eq!(registers.read(TABLE + 12, 4), 0, "not masked");
    }

    #[test]
    fn falls_back_to_the_line() {
        let mut registers = Registers::new();
        let cases: [(Change, Option<Message>, Interrupt); 4] = [
            (|space| space[MSIX_AT / 4] |= 1 << 31, None, Interrupt::Line(11)),
            (|space| space[13] = 0x40, Some(MESSAGE), Interrupt::Line(11)),
            (|space| space[15] = 0x000B, None, Interrupt::None),
            (|space| space[15] = 0x01FF, None, Interrupt::None),
        ];
        for (change, message, expected) in cases {
            let mut bus = console(&mut registers);
            change(bus.function(AT));
            let transport = open(&mut bus, &mut registers, message).unwrap();
            assert_eq!(transport.interrupt(), expected);
            let space = bus.function(AT);
            assert_eq!(space[1] & 1 << 10, 0, "the line is not disabled");
            assert_eq!(space[MSIX_AT / 4] >> 31, 0, "MSI-X is off, even if it was on");
        }
    }

    #[test]
    fn refuses_what_it_cannot_trust() {
        const COMMON: usize = VENDOR_AT[0] / 4;
        const NOTIFY_CAP: usize = VENDOR_AT[1] / 4;
        const SPECIFIC_CAP: usize = VENDOR_AT[3] / 4;
        let cases: [(&str, Change, OpenError); 17] = [
            ("other vendor", |s| s[0] = 0x1043_8086, OpenError::NotVirtio),
            ("no virtio device", |s| s[0] = 0x1040_1AF4, OpenError::NotVirtio),
            ("no list", |s| s[1] = 0, OpenError::NotModern),
            ("list in the header", |s| s[13] = 0x3C, OpenError::NotModern),
            ("circular list", |s| s[MSIX_AT / 4] = 0x9811, OpenError::NotModern),
            ("capability too short", |s| s[COMMON] = 0x010C_5009, OpenError::NotModern),
            (
                "capability at the end",
                |s| {
                    s[13] = 0xFC;
                    s[63] = 0x0110_0009;
                },
                OpenError::NotModern,
            ),
            ("no such register", |s| s[COMMON + 1] = 6, OpenError::BadBar),
            (
                "no upper half",
                |s| {
                    s[COMMON + 1] = 5;
                    s[4 + 5] = 0b100;
                },
                OpenError::BadBar,
            ),
            ("not placed", |s| s[COMMON + 1] = 0, OpenError::BadBar),
            ("for ports", |s| s[4 + 4] |= 1, OpenError::BadBar),
            ("elsewhere", |s| s[4 + 4] ^= 0x1000, OpenError::OutOfWindow),
            ("beyond the window", |s| s[COMMON + 2] = 0xFE0, OpenError::OutOfWindow),
            ("beyond all addresses", |s| s[NOTIFY_CAP + 3] = u32::MAX, OpenError::OutOfWindow),
            ("too short", |s| s[COMMON + 3] = 0x37, OpenError::OutOfWindow),
            ("misaligned", |s| s[COMMON + 2] = 2, OpenError::OutOfWindow),
            ("specific beyond", |s| s[SPECIFIC_CAP + 3] = 0x1000, OpenError::OutOfWindow),
        ];
        let mut registers = Registers::new();
        for (name, change, expected) in cases {
            let mut bus = console(&mut registers);
            change(bus.function(AT));
            let opened = open(&mut bus, &mut registers, Some(MESSAGE)).map(|_| ());
            assert_eq!(opened, Err(expected), "{name}");
            assert!(bus.reads < 200, "{name}: {} reads", bus.reads);
        }
    }

    #[test]
    fn sets_queues_up_and_notifies_them_where_they_were_then() {
        let mut registers = Registers::new();
        let mut bus = console(&mut registers);
        let mut transport = open(&mut bus, &mut registers, Some(MESSAGE)).unwrap();
        assert_eq!(transport.max_queue_size(5), 64);
        assert_eq!(transport.max_queue_size(6), 0, "there are 6");
        registers.write(0x1E, 3);
        registers.write(0x1A, 0xFFFF);
        transport.queue_set(4, 8, 0x1_2345_6000, 0x2_0000_0080, 0x3_0000_1000);
        assert_eq!(registers.read(0x16, 2), 4);
        assert_eq!(registers.read(0x18, 2), 8);
        assert_eq!(registers.read(0x1A, 2), 0, "vector");
        assert_eq!(registers.read(0x1C, 2), 1, "enabled");
        assert_eq!(registers.read(0x20, 8), 0x1_2345_6000);
        assert_eq!(registers.read(0x28, 8), 0x2_0000_0080);
        assert_eq!(registers.read(0x30, 8), 0x3_0000_1000);

        registers.write(0x1E, 0xFFFF);
        transport.notify(4);
        assert_eq!(registers.read(NOTIFY + 3 * 4, 2), 4);
        assert_eq!(transport.max_queue_size(3), 0, "it could not be notified");
        transport.queue_set(3, 8, 0, 0, 0);
        transport.notify(3);
        transport.notify(2);
        transport.notify(0xFFFF);
    }

    #[test]
    fn vectors_come_with_queues_and_start() {
        let mut registers = Registers::new();
        let mut bus = console(&mut registers);
        let mut transport = open(&mut bus, &mut registers, Some(MESSAGE)).unwrap();
        registers.write(0x10, 0xFFFF);
        transport.set_status(DeviceStatus::ACKNOWLEDGE);
        assert_eq!(registers.read(0x10, 2), 0xFFFF);
        transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER_OK);
        assert_eq!(registers.read(0x10, 2), 0);
        assert_eq!(registers.read(0x14, 1), 5);
        assert!(transport.get_status().contains(DeviceStatus::DRIVER_OK));
    }

    #[test]
    fn a_reset_brings_the_message_back() {
        let mut registers = Registers::new();
        let mut bus = console(&mut registers);
        let mut transport = open(&mut bus, &mut registers, Some(MESSAGE)).unwrap();
        for offset in (TABLE..TABLE + 16).step_by(2) {
            registers.write(offset, 1);
        }
        transport.set_status(DeviceStatus::ACKNOWLEDGE);
        assert_eq!(registers.read(TABLE + 12, 4), 0x1_0001, "not touched while it runs");
        transport.set_status(DeviceStatus::empty());
        assert_eq!(registers.read(TABLE, 8), 0xFEE0_1000);
        assert_eq!(registers.read(TABLE + 8, 4), 0x41);
        assert_eq!(registers.read(TABLE + 12, 4), 0, "not masked");
    }

    #[test]
    fn reads_configuration_only_where_it_is() {
        let mut registers = Registers::new();
        registers.write(SPECIFIC + 4, 31);
        let mut bus = console(&mut registers);
        let mut transport = open(&mut bus, &mut registers, None).unwrap();
        assert_eq!(transport.read_config_space::<u32>(4), Ok(31));
        assert_eq!(transport.read_config_space::<u16>(10), Ok(0));
        transport.write_config_space::<u32>(8, 7).unwrap();
        assert_eq!(registers.read(SPECIFIC + 8, 4), 7);
        for offset in [9, 12, 1, usize::MAX] {
            let too_small = Err(virtio_drivers::Error::ConfigSpaceTooSmall);
            assert_eq!(transport.read_config_space::<u32>(offset), too_small, "{offset}");
        }
    }
}
