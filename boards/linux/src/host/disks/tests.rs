//! Tests of the list of disks, in a sysfs made up of directories.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(TempDir::new().unwrap());
        fs::create_dir_all(tree.path(DIRECTORY)).unwrap();
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, contents: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), contents).unwrap();
    }

    /// A block device with a directory under `sys/devices`.
    fn device(&self, path: &str, sectors: &str) -> &Self {
        let name = path.rsplit('/').next().unwrap();
        self.file(&format!("sys/devices/{path}/uevent"), &format!("DEVNAME={name}\n"));
        self.file(&format!("sys/devices/{path}/size"), sectors);
        fs::create_dir_all(self.path(&format!("sys/devices/{path}/slaves"))).unwrap();
        self
    }

    /// A disk: a block device that is linked to.
    fn disk(&self, path: &str, sectors: &str) -> &Self {
        self.device(path, sectors);
        let name = path.rsplit('/').next().unwrap();
        let link = self.path(&format!("{DIRECTORY}/{name}"));
        symlink(self.path(&format!("sys/devices/{path}")), link).unwrap();
        self
    }

    fn find(&self) -> Vec<Found> {
        let files = KernelFiles::under(self.0.path());
        let mut found = BlockDevices::new(files, Sysfs::default()).find().unwrap();
        // The order of a directory is not up to the test.
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }
}

fn found(name: &str, partition: bool, dependencies: &[&str]) -> (String, bool, Vec<String>) {
    (name.into(), partition, dependencies.iter().map(|&name| name.into()).collect())
}

#[test]
fn disks_and_partitions() {
    let tree = Tree::new();
    let disk = "platform/virtio-mmio.0/virtio0/block/vda";
    tree.disk(disk, "4096\n").disk("platform/nvme/nvme0n1", "8\n");
    for partition in ["vda1", "vda12", "queue", "vdab", "vda_x"] {
        tree.device(&format!("{disk}/{partition}"), "2048\n");
    }
    tree.device("platform/nvme/nvme0n1/nvme0n1p1", "2\n");
    // No medium, not set up, and not a link.
    tree.disk("platform/ata1/sr0", "0\n").disk("virtual/block/loop0", "0\n");
    fs::create_dir_all(tree.path("sys/block/directory")).unwrap();

    let names: Vec<_> = tree
        .find()
        .into_iter()
        .map(|disk| (disk.name, disk.partition, disk.dependencies))
        .collect();
    assert_eq!(
        names,
        [
            found("/dev/nvme0n1", false, &[]),
            found("/dev/nvme0n1p1", true, &["/dev/nvme0n1"]),
            found("/dev/vda", false, &[]),
            found("/dev/vda1", true, &["/dev/vda"]),
            found("/dev/vda12", true, &["/dev/vda"]),
        ]
    );
}

#[test]
fn volumes() {
    let tree = Tree::new();
    let (disk, volume) = ("platform/virtio-mmio.0/virtio0/block/vda", "virtual/block/dm-0");
    tree.disk(disk, "4096\n").disk(volume, "2048\n");
    tree.file("sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
    symlink(
        tree.path(&format!("sys/devices/{disk}")),
        tree.path(&format!("sys/devices/{volume}/slaves/vda")),
    )
    .unwrap();
    let [dm, vda] = &tree.find()[..] else { panic!("two") };
    assert_eq!(dm.name, "/dev/dm-0");
    assert_eq!(dm.dependencies, ["/dev/vda"]);
    assert_eq!((dm.alias.as_deref(), &dm.attachment), (Some("vg-root"), &None));
    assert_eq!(vda.alias, None);
    let address = vda.attachment.as_ref().unwrap().address();
    assert_eq!((address.bus_type, address.dev), ("virtio", Some("/dev/vda")));
}

#[test]
fn the_last_one_comes_first() {
    let tree = Tree::new();
    for name in ["vda", "vdb", "vdc"] {
        tree.disk(&format!("platform/{name}"), "1\n");
    }
    let files = KernelFiles::under(tree.0.path());
    let mut names = files.names(DIRECTORY).unwrap();
    names.reverse();
    let mut listed = Vec::new();
    let mut disks = BlockDevices::new(files, Sysfs::default());
    disks.list(&mut |disk| listed.push(disk.name.replace("/dev/", ""))).unwrap();
    assert_eq!(listed, names);
}

#[test]
fn a_machine_without_block_devices() {
    let root = TempDir::new().unwrap();
    let mut disks = BlockDevices::new(KernelFiles::under(root.path()), Sysfs::default());
    let absent = Err(agent_core::Errno("No such file or directory"));
    assert_eq!(disks.list(&mut |_| {}), absent);
    assert_eq!(disks.statistics(&mut |_| {}), absent);
}

#[test]
fn this_machine() {
    let mut disks = BlockDevices::new(KernelFiles::default(), Sysfs::default());
    assert_eq!(disks.list(&mut |disk| assert!(disk.name.starts_with("/dev/"))), Ok(()));
    assert_eq!(disks.statistics(&mut |disk| assert!(!disk.name.is_empty())), Ok(()));
}
