//! The ACPI tables of real machines, whole and damaged.
//!
//! `acpi/*.bin` are what QEMU 7.2 leaves in memory on `pc`, `q35` and `microvm` (with a
//! `virtio-serial-device`): root pointer and tables, each as its address (8 bytes), its length (4
//! bytes), both little-endian, and its bytes.

use core::cell::RefCell;

use hal_x86::acpi::{AcpiError, Gsi, IoApic, Polarity, SleepState, SleepTypes, Tables, VirtioMmio};
use hal_x86::memory::{IdentityMap, PhysicalMemory, Registers};
use hal_x86::ports::{Hardware, Ports};
use hal_x86::power::Power;
use hal_x86::real_mode::StartPage;
use hal_x86::suspend::Suspension;
use proptest::prelude::*;

const PC: &[u8] = include_bytes!("acpi/pc.bin");
const Q35: &[u8] = include_bytes!("acpi/q35.bin");
const MICROVM: &[u8] = include_bytes!("acpi/microvm.bin");

/// A machine's memory as far as there are tables in it.
#[derive(Clone, Debug)]
struct Memory {
    regions: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    fn new(mut file: &[u8]) -> Self {
        let mut regions = Vec::new();
        while let Some((header, rest)) = file.split_first_chunk::<12>() {
            let address = u64::from_le_bytes(*header.first_chunk().unwrap());
            let length = u32::from_le_bytes(*header.last_chunk().unwrap());
            let (bytes, rest) = rest.split_at(usize::try_from(length).unwrap());
            regions.push((address, bytes.to_vec()));
            file = rest;
        }
        Self { regions }
    }

    fn rsdp(&self) -> u64 {
        self.regions[0].0
    }

    fn tables(&self) -> Tables<'_, Self> {
        Tables::find(self, Some(self.rsdp())).unwrap()
    }

    /// Changes one byte of one table, and, if asked to, its checksum so that the table looks whole.
    fn damage(&mut self, position: usize, value: u8, repair: bool) {
        let total: usize = self.regions.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut position = position % total;
        let mut which = 0;
        while position >= self.regions[which].1.len() {
            position -= self.regions[which].1.len();
            which += 1;
        }
        let bytes = &mut self.regions[which].1;
        bytes[position] = value;
        if repair {
            let (checksum, covered) = if which == 0 { (8, 20) } else { (9, bytes.len()) };
            bytes[checksum] = 0;
            let sum = bytes[..covered].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            bytes[checksum] = sum.wrapping_neg();
            if which == 0 && bytes.len() == 36 {
                bytes[32] = 0;
                let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                bytes[32] = sum.wrapping_neg();
            }
        }
    }
}

impl PhysicalMemory for Memory {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.regions.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(length)?)
        })
    }
}

/// Takes note of what is written; the fixed hardware is in ACPI mode already.
#[derive(Debug, Default)]
struct Recorder {
    ports: RefCell<Vec<(u16, u32)>>,
    registers: RefCell<Vec<(u64, u32)>>,
}

impl Ports for &Recorder {
    fn read_u8(&self, _port: u16) -> u8 {
        0
    }
    fn write_u8(&self, port: u16, value: u8) {
        self.ports.borrow_mut().push((port, value.into()));
    }
    fn read_u16(&self, _port: u16) -> u16 {
        1
    }
    fn write_u16(&self, port: u16, value: u16) {
        self.ports.borrow_mut().push((port, value.into()));
    }
    fn read_u32(&self, _port: u16) -> u32 {
        0
    }
    fn write_u32(&self, port: u16, value: u32) {
        self.ports.borrow_mut().push((port, value));
    }
}

impl Registers for &Recorder {
    fn read_u8(&self, _address: u64) -> u8 {
        0
    }
    fn write_u8(&self, address: u64, value: u8) {
        self.registers.borrow_mut().push((address, value.into()));
    }
    fn read_u32(&self, _address: u64) -> u32 {
        0
    }
    fn write_u32(&self, address: u64, value: u32) {
        self.registers.borrow_mut().push((address, value));
    }
}

/// What a power-off writes, checked against what it must.
fn check_power_off(memory: &Memory, ports: &[(u16, u32)], registers: &[(u64, u32)]) {
    let recorder = Recorder::default();
    let power = Power::new(&recorder, &recorder, Some(&memory.tables()));
    assert!(power.can_power_off());
    power.power_off();
    assert_eq!(recorder.ports.take(), ports);
    assert_eq!(recorder.registers.take(), registers);
}

#[test]
fn the_fixed_hardware_of_pc_and_q35() {
    for (file, acpi_enable) in [(PC, 0xf1), (Q35, 0x02)] {
        let memory = Memory::new(file);
        let fadt = memory.tables().fadt().unwrap();
        assert!(!fadt.hardware_reduced());
        assert_eq!(fadt.pm_timer(), Some(0x608));
        assert_eq!(fadt.pm1_control(), [Some(0x604), None]);
        assert_eq!(fadt.pm1_status(), [Some(0x600), None]);
        assert_eq!(fadt.acpi_enable(), Some((0xb2, acpi_enable)));
        assert_eq!(fadt.century(), Some(0x32));
        assert!(!fadt.lacks_rtc());
        assert_eq!(memory.tables().virtio_mmio().count(), 0);
        check_power_off(&memory, &[(0x604, 0x0001), (0x604, 0x2001)], &[]);
    }
}

#[test]
fn the_reduced_hardware_of_microvm() {
    let memory = Memory::new(MICROVM);
    let fadt = memory.tables().fadt().unwrap();
    assert!(fadt.hardware_reduced());
    assert_eq!((fadt.pm_timer(), fadt.pm1_control()), (None, [None, None]));
    let devices: Vec<_> = memory.tables().virtio_mmio().collect();
    assert_eq!(devices, [VirtioMmio { base: 0xfeb0_2e00, length: 512, gsi: 47 }]);
    check_power_off(&memory, &[], &[(0xfea0_0201, 0x80), (0xfea0_0200, 5 << 2 | 0x20)]);
}

#[test]
fn sleep_types_are_found_in_every_dsdt() {
    for (file, s5, s3) in [
        (PC, SleepTypes::new(0, 0), SleepTypes::new(1, 1)),
        (Q35, SleepTypes::new(0, 0), SleepTypes::new(1, 1)),
        (MICROVM, SleepTypes::new(5, 0), None),
    ] {
        let memory = Memory::new(file);
        assert_eq!(memory.tables().sleep_types(SleepState::S5), s5);
        assert_eq!(memory.tables().sleep_types(SleepState::S3), s3);
    }
}

/// Whether the tables say how the machine is suspended to memory.
fn can_be_suspended(tables: &Tables<'_, Memory>) -> bool {
    // SAFETY: nothing is done with what is found, so neither ports nor the page are touched.
    let (ports, page) = unsafe { (Hardware::new(), StartPage::new()) };
    // SAFETY: nothing is mapped, so nothing has to be.
    let map = unsafe { IdentityMap::new(0) };
    Suspension::find(ports, map, tables, page).is_some()
}

/// The FADT, and the address of the FACS in it, which is not among the tables of the files.
fn facs_address(memory: &mut Memory) -> &mut [u8; 4] {
    let mut tables = memory.regions.iter_mut().map(|(_, bytes)| bytes);
    let fadt = tables.find(|bytes| bytes.starts_with(b"FACP")).unwrap();
    fadt[36..].first_chunk_mut().unwrap()
}

#[test]
fn a_machine_with_s3_and_a_waking_vector_can_be_suspended() {
    let facs = [&b"FACS"[..], &64u32.to_le_bytes(), &[0; 56]].concat();
    for (file, expected) in [(PC, true), (Q35, true), (MICROVM, false)] {
        let mut memory = Memory::new(file);
        assert!(!can_be_suspended(&memory.tables()), "without a FACS there is no way back");
        let address = u32::from_le_bytes(*facs_address(&mut memory));
        if address != 0 {
            memory.regions.push((address.into(), facs.clone()));
        }
        assert_eq!(can_be_suspended(&memory.tables()), expected);
        assert_eq!(memory.tables().facs().is_ok(), address != 0);
    }
    // One that lies where the machine wakes up.
    for (address, expected) in [(0x8000u32, false), (0x8fc0, false), (0x9000, true), (0x7fc0, true)]
    {
        let mut memory = Memory::new(PC);
        let before = *facs_address(&mut memory);
        *facs_address(&mut memory) = address.to_le_bytes();
        let sum = |bytes: [u8; 4]| bytes.into_iter().fold(0u8, u8::wrapping_add);
        let excess = sum(address.to_le_bytes()).wrapping_sub(sum(before));
        let mut tables = memory.regions.iter_mut().map(|(_, bytes)| bytes);
        let fadt = tables.find(|bytes| bytes.starts_with(b"FACP")).unwrap();
        fadt[9] = fadt[9].wrapping_sub(excess);
        memory.regions.push((address.into(), facs.clone()));
        assert_eq!(can_be_suspended(&memory.tables()), expected, "{address:#x}");
    }
}

#[test]
fn the_interrupt_controllers_of_each_machine() {
    let first = IoApic { address: 0xfec0_0000, gsi_base: 0 };
    let second = IoApic { address: 0xfec1_0000, gsi_base: 24 };
    for (file, expected, timer) in
        [(PC, &[first][..], 2), (Q35, &[first], 2), (MICROVM, &[first, second], 0)]
    {
        let memory = Memory::new(file);
        let madt = memory.tables().madt().unwrap();
        assert_eq!(madt.local_apic(), Some(0xfee0_0000));
        assert_eq!(madt.io_apics().collect::<Vec<_>>(), expected);
        assert_eq!(madt.processors().collect::<Vec<_>>(), [0]);
        assert_eq!(madt.isa(4), Gsi { number: 4, polarity: Polarity::ActiveHigh });
        assert_eq!(madt.isa(0).number, timer);
    }
}

#[test]
fn a_missing_table_is_an_error_and_no_more() {
    for file in [PC, Q35, MICROVM] {
        let whole = Memory::new(file);
        for missing in 0..whole.regions.len() {
            let mut memory = whole.clone();
            memory.regions.remove(missing);
            match Tables::find(&memory, Some(whole.rsdp())) {
                Err(error) => assert_ne!(error, AcpiError::NoTable),
                Ok(tables) => look_at_everything(&tables),
            }
        }
    }
}

/// Calls whatever reads tables, and asks of it no more than to come back.
fn look_at_everything(tables: &Tables<'_, Memory>) {
    let recorder = Recorder::default();
    let power = Power::new(&recorder, &recorder, Some(tables));
    let _ = power.can_power_off();
    let _ = tables.dsdt();
    let _ = tables.sleep_types(SleepState::S3);
    let _ = (tables.facs(), can_be_suspended(tables));
    assert!(tables.virtio_mmio().count() < 100);
    if let Ok(fadt) = tables.fadt() {
        let _ = (fadt.pm_timer(), fadt.pm1_control(), fadt.acpi_enable(), fadt.reset());
        let _ = (fadt.sleep_registers(), fadt.century(), fadt.lacks_rtc(), fadt.pm1_status());
    }
    if let Ok(madt) = tables.madt() {
        assert!(madt.io_apics().count() < 100);
        assert!(madt.processors().count() < 100);
        let _ = madt.local_apic();
        for irq in 0..16 {
            let _ = madt.isa(irq);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any bytes changed, with the checksums mended or not: no panic, no endless walk.
    #[test]
    fn damaged_tables_are_survived(
        machine in 0..3usize,
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), prop::bool::weighted(0.9)), 1..40),
    ) {
        let whole = Memory::new([PC, Q35, MICROVM][machine]);
        let mut memory = whole.clone();
        for (position, value, repair) in changes {
            memory.damage(position, value, repair);
        }
        if let Ok(tables) = Tables::find(&memory, Some(whole.rsdp())) {
            look_at_everything(&tables);
        }
    }
}
