//! Tests of the way to a disk, in a sysfs made up of directories.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const ROOT: &str = "devices/pci0000:00";

/// A sysfs, and what udev has found out, in a directory.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(TempDir::new().unwrap());
        fs::create_dir_all(tree.0.path().join("sys/dev/block")).unwrap();
        fs::create_dir_all(tree.0.path().join("udev")).unwrap();
        tree
    }

    fn sysfs(&self) -> Sysfs {
        Sysfs { root: self.0.path().join("sys"), udev: self.0.path().join("udev") }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("sys").join(path)
    }

    /// A block device with a name in `/dev`.
    fn device(&self, numbers: &str, path: &str) -> &Self {
        let directory = self.path(path);
        fs::create_dir_all(&directory).unwrap();
        let (major, minor) = numbers.split_once(':').unwrap();
        let name = directory.file_name().unwrap().to_str().unwrap();
        let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n");
        fs::write(directory.join("uevent"), uevent).unwrap();
        symlink(&directory, self.path(&format!("dev/block/{numbers}"))).unwrap();
        self
    }

    fn driver(&self, path: &str, driver: &str) -> &Self {
        let directory = self.path(path);
        fs::create_dir_all(&directory).unwrap();
        symlink(format!("../../bus/pci/drivers/{driver}"), directory.join("driver")).unwrap();
        self
    }

    /// `below` lies under the volume at `path`.
    fn slave(&self, path: &str, below: &str) -> &Self {
        let slaves = self.path(path).join("slaves");
        fs::create_dir_all(&slaves).unwrap();
        let below = self.path(below);
        symlink(&below, slaves.join(below.file_name().unwrap())).unwrap();
        self
    }
}

const CONTROLLER: Option<PciAddress> = Some(PciAddress { domain: 0, bus: 0, slot: 2, function: 1 });

fn disk(bus_type: &'static str, place: [u32; 3], pci: Option<PciAddress>, dev: &str) -> Attachment {
    let [bus, target, unit] = place;
    let bus_type = Some(bus_type);
    Attachment { bus_type, bus, unit, target, pci, serial: None, dev: Some(format!("/dev/{dev}")) }
}

#[test]
fn controllers() {
    let check = |controller: &str, driver: &str, below: &str, expected: Attachment| {
        let tree = Tree::new();
        let controller = format!("{ROOT}/{controller}");
        tree.driver(&controller, driver).device("8:1", &format!("{controller}/{below}"));
        for other in ["ata1", "ata2", "ata3", "host0", "host7"] {
            fs::create_dir_all(tree.path(&format!("{controller}/{other}"))).unwrap();
        }
        let name = below.rsplit('/').next().unwrap().to_owned();
        assert_eq!(tree.sysfs().device(8, 1), (name, vec![expected]), "{driver} {below}");
    };
    let at = "0000:00:02.1";
    check(at, "virtio-pci", "virtio1/block/vda", disk("virtio", [0, 0, 0], CONTROLLER, "vda"));
    check(
        at,
        "virtio-pci",
        "virtio1/host7/target7:0:0/7:0:0:5/block/sda/sda1",
        disk("scsi", [0, 0, 5], CONTROLLER, "sda1"),
    );
    check(
        at,
        "sym53c8xx",
        "host0/target0:0:6/0:0:6:0/block/sdb",
        disk("scsi", [0, 0, 6], CONTROLLER, "sdb"),
    );
    check(
        at,
        "ata_piix",
        "ata2/host1/target1:0:1/1:0:1:0/block/sdc",
        disk("ide", [1, 0, 1], CONTROLLER, "sdc"),
    );
    check(
        at,
        "ahci",
        "ata3/host2/target2:0:0/2:0:0:0/block/sdd",
        disk("sata", [0, 0, 2], CONTROLLER, "sdd"),
    );
    check(at, "nvme", "nvme/nvme0/nvme0n1", disk("nvme", [0, 0, 0], CONTROLLER, "nvme0n1"));
    // Without a host the address of the controller is all there is.
    let unknown = Attachment { bus_type: None, ..disk("", [0, 0, 0], CONTROLLER, "sde") };
    check(at, "ahci", "block/sde", unknown);
    let unknown = Attachment { bus_type: None, ..disk("", [0, 0, 0], None, "sdf") };
    check(at, "xhci_hcd", "usb2/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0/block/sdf", unknown);
}

#[test]
fn a_bridge_is_not_the_controller() {
    let tree = Tree::new();
    let bridge = format!("{ROOT}/0000:00:1e.0");
    let controller = format!("{bridge}/0000:0a:1f.7");
    tree.driver(&bridge, "pcieport").driver(&controller, "virtio-pci");
    tree.device("254:0", &format!("{controller}/virtio3/block/vda"));
    let expected = disk(
        "virtio",
        [0, 0, 0],
        Some(PciAddress { domain: 0, bus: 0x0A, slot: 0x1F, function: 7 }),
        "vda",
    );
    assert_eq!(tree.sysfs().device(254, 0), ("vda".into(), vec![expected]));
}

#[test]
fn virtio_without_pci() {
    let tree = Tree::new();
    tree.device("254:0", "devices/platform/virtio-mmio.3/virtio3/block/vda").device(
        "8:0",
        "devices/platform/virtio-mmio.4/virtio4/host1/target1:0:3/1:0:3:9/block/sda",
    );
    let sysfs = tree.sysfs();
    let expected = disk("virtio", [0, 0, 0], None, "vda");
    assert_eq!(sysfs.device(254, 0), ("vda".into(), vec![expected]));
    let expected = disk("scsi", [0, 3, 9], None, "sda");
    assert_eq!(sysfs.device(8, 0), ("sda".into(), vec![expected]));
}

#[test]
fn volumes_lie_on_disks() {
    let tree = Tree::new();
    let controller = format!("{ROOT}/0000:00:02.1");
    let partition = format!("{controller}/virtio2/block/vdb/vdb1");
    let (raid, volume) = ("devices/virtual/block/md0", "devices/virtual/block/dm-0");
    tree.driver(&controller, "virtio-pci").device("254:17", &partition);
    tree.device("9:0", raid).slave(raid, &partition);
    tree.device("253:0", volume).slave(volume, raid);
    let expected = disk("virtio", [0, 0, 0], CONTROLLER, "vdb1");
    assert_eq!(tree.sysfs().device(253, 0), ("dm-0".into(), vec![expected]));
    // A loop ends.
    tree.slave(raid, volume);
    assert!(!tree.sysfs().device(253, 0).1.is_empty());
}

#[test]
fn what_udev_knows() {
    let tree = Tree::new();
    tree.device("254:0", "devices/platform/virtio-mmio.3/virtio3/block/vda");
    let sysfs = tree.sysfs();
    let serial = |found_out: &str| {
        fs::write(tree.0.path().join("udev/b254:0"), found_out).unwrap();
        sysfs.device(254, 0).1.pop().unwrap().serial
    };
    assert_eq!(serial("S:disk/by-id/x\nE:ID_SERIAL=QM0001\nE:X=y\n"), Some("QM0001".into()));
    assert_eq!(serial("E:ID_SERIAL=\n"), None);
    assert_eq!(serial("E:ID_SERIAL_SHORT=1\n"), None);
}

#[test]
fn what_the_kernel_knows_where_there_is_no_udev() {
    let tree = Tree::new();
    let disk = "devices/platform/virtio-mmio.3/virtio3/block/vda";
    tree.device("254:0", disk).device("254:1", &format!("{disk}/vda1"));
    let sysfs = tree.sysfs();
    let serial = |minor| sysfs.device(254, minor).1.pop().unwrap().serial;
    assert_eq!(serial(0), None);
    fs::write(tree.path(disk).join("serial"), "QM0001\n").unwrap();
    assert_eq!((serial(0), serial(1)), (Some("QM0001".into()), Some("QM0001".into())));
    fs::write(tree.path(disk).join("serial"), "\n").unwrap();
    assert_eq!(serial(0), None);

    // udev makes another one of an NVMe disk's.
    let disk = format!("{ROOT}/0000:00:04.0/nvme/nvme0/nvme0n1");
    tree.driver(&format!("{ROOT}/0000:00:04.0"), "nvme").device("259:0", &disk);
    fs::write(tree.path(&disk).parent().unwrap().join("serial"), "NV1\n").unwrap();
    let found = sysfs.device(259, 0).1.pop().unwrap();
    assert_eq!((found.bus_type, found.serial), (Some("nvme"), None));
}

#[test]
fn a_device_that_is_not_shown_is_known_by_its_numbers() {
    assert_eq!(Tree::new().sysfs().device(7, 3), ("7:3".into(), vec![]));
}
