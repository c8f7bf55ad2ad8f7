//! The capability to tell what drives the guest's devices: those on PCI, by sysfs.

use agent_core::{Device, Devices, PciId};
use rustix::io::Errno;

use super::{errno::words, kernel_files::KernelFiles};

/// Where there is a directory for each device.
const DIRECTORY: &str = "sys/bus/pci/devices";

/// The devices that the kernel has found on PCI.
#[derive(Debug)]
pub(super) struct PciDevices {
    files: KernelFiles,
}

impl PciDevices {
    pub(super) const fn new(files: KernelFiles) -> Self {
        Self { files }
    }

    fn id(&self, device: &str, file: &str) -> Result<u16, Errno> {
        let id = self.files.value(format!("{device}/{file}"))?;
        let digits = id.strip_prefix("0x").ok_or(Errno::BADMSG)?;
        u16::from_str_radix(digits, 16).map_err(|_| Errno::BADMSG)
    }

    fn pci_id(&self, device: &str) -> Result<PciId, Errno> {
        Ok(PciId { vendor: self.id(device, "vendor")?, device: self.id(device, "device")? })
    }

    /// Shows a device if it has a driver, and is not taken away while it is looked at.
    fn show(&self, device: &str, visit: &mut dyn FnMut(&Device<'_>)) -> Result<(), Errno> {
        let Ok(driver) = self.files.path(format!("{device}/driver")).read_link() else {
            return Ok(());
        };
        let pci = match self.pci_id(device) {
            Err(Errno::NOENT) => return Ok(()),
            pci => pci?,
        };
        let name = driver.file_name().unwrap_or_default().to_string_lossy();
        // Drivers of the kernel's own tree have no version any more.
        let version = self.files.value(format!("{device}/driver/module/version")).ok();
        visit(&Device {
            driver_name: &name,
            driver_version: version.as_deref(),
            driver_date_ns: None,
            pci: Some(pci),
        });
        Ok(())
    }
}

impl Devices for PciDevices {
    /// In the order of their addresses. A machine without PCI has none.
    fn list(&mut self, visit: &mut dyn FnMut(&Device<'_>)) -> Result<(), agent_core::Errno> {
        let mut names = match self.files.names(DIRECTORY) {
            Err(Errno::NOENT) => return Ok(()),
            names => names.map_err(words)?,
        };
        names.sort_unstable();
        names
            .iter()
            .try_for_each(|name| self.show(&format!("{DIRECTORY}/{name}"), visit).map_err(words))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use agent_core::Errno as Words;
    use tempfile::TempDir;

    use super::*;

    fn device(root: &TempDir, address: &str, ids: [&str; 2], driver: Option<&str>) {
        let directory = root.path().join(DIRECTORY).join(address);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("vendor"), ids[0]).unwrap();
        fs::write(directory.join("device"), ids[1]).unwrap();
        if let Some(driver) = driver {
            let drivers = root.path().join("sys/bus/pci/drivers").join(driver);
            fs::create_dir_all(&drivers).unwrap();
            symlink(drivers, directory.join("driver")).unwrap();
        }
    }

    #[test]
    fn devices_with_a_driver() {
        let root = TempDir::new().unwrap();
        device(&root, "0000:00:02.0", ["0x1af4\n", "0x1041\n"], Some("virtio-pci"));
        device(&root, "0000:00:01.0", ["0x8086\n", "0x100e\n"], Some("e1000"));
        device(&root, "0000:00:00.0", ["0x8086\n", "0x29c0\n"], None);
        // One that goes away.
        device(&root, "0000:00:03.0", ["0x8086\n", "0x100e\n"], Some("e1000"));
        let gone = root.path().join(DIRECTORY).join("0000:00:03.0/device");
        fs::remove_file(gone).unwrap();
        let module = root.path().join("sys/bus/pci/drivers/e1000/module");
        fs::create_dir(&module).unwrap();
        fs::write(module.join("version"), "7.3.21-k8-NAPI\n").unwrap();

        let mut found = Vec::new();
        let listed = PciDevices::new(KernelFiles::under(root.path())).list(&mut |device| {
            let pci = device.pci.unwrap();
            assert_eq!(device.driver_date_ns, None);
            found.push((
                device.driver_name.to_owned(),
                device.driver_version.map(str::to_owned),
                pci.vendor,
                pci.device,
            ));
        });
        assert_eq!(listed, Ok(()));
        let version = Some("7.3.21-k8-NAPI".to_owned());
        let expected = [
            ("e1000".into(), version, 0x8086, 0x100E),
            ("virtio-pci".into(), None, 0x1AF4, 0x1041),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn ids_that_are_none() {
        for [vendor, device_id] in
            [["", "0x1\n"], ["0x1\n", "1\n"], ["0x10000\n", "0x1\n"], ["0x1\n", "0x-1\n"]]
        {
            let root = TempDir::new().unwrap();
            device(&root, "0000:00:02.0", [vendor, device_id], Some("any"));
            let listed = PciDevices::new(KernelFiles::under(root.path())).list(&mut |_| {});
            assert_eq!(listed, Err(Words("Bad message")), "{vendor} {device_id}");
        }
    }

    #[test]
    fn a_machine_without_pci_has_none() {
        let root = TempDir::new().unwrap();
        let mut devices = PciDevices::new(KernelFiles::under(root.path()));
        assert_eq!(devices.list(&mut |_| panic!("none is there")), Ok(()));
    }
}
