//! Images of volumes, and what a checker says of them.
//!
//! With the feature `dosfstools` they are made by mkfs.fat and checked by fsck.fat, and without it
//! by a few lines here and by what mounting them does.

/// A volume to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) kib: usize,
    /// 16 or 32.
    pub(crate) bits: usize,
    pub(crate) cluster_sectors: usize,
}

/// The least FAT16 volume: clusters of one sector, 512 entries in the root directory.
pub(crate) const FAT16: Format = Format { kib: 2200, bits: 16, cluster_sectors: 1 };
/// A small volume with 32-bit fields.
pub(crate) const FAT32: Format = Format { kib: 1024, bits: 32, cluster_sectors: 1 };
/// One with clusters of 2 KiB.
pub(crate) const FAT32_LARGE: Format = Format { kib: 4096, bits: 32, cluster_sectors: 4 };
/// One that is FAT32 to everybody: mtools goes by the number of clusters.
pub(crate) const FAT32_FULL: Format = Format { kib: 34 * 1024, bits: 32, cluster_sectors: 1 };

/// What a checker finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Clusters that no file uses.
    pub(crate) unused: bool,
    /// The two copies of the table differ.
    pub(crate) tables_differ: bool,
    /// The count of free clusters says that it is not known.
    pub(crate) count_unknown: bool,
    /// Everything else.
    pub(crate) damage: Vec<String>,
}

impl Report {
    /// There is nothing that should not be.
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the parts of a volume are, from its boot sector.
struct Parts {
    table: usize,
    table_bytes: usize,
    root: usize,
    data: usize,
    cluster_bytes: usize,
}

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let table = number(bytes, 14, 2) * 512;
        let table_bytes = match number(bytes, 22, 2) {
            0 => number(bytes, 36, 4) * 512,
            sectors => sectors * 512,
        };
        let root = table + 2 * table_bytes;
        let data = root + number(bytes, 17, 2) * 32;
        Self { table, table_bytes, root, data, cluster_bytes: usize::from(bytes[13]) * 512 }
    }
}

/// A new, empty volume.
pub(crate) fn new(format: Format) -> Vec<u8> {
    #[cfg(feature = "dosfstools")]
    let bytes = crate::dosfstools::mkfs(
        format.kib,
        &["-F", &format.bits.to_string(), "-s", &format.cluster_sectors.to_string()],
    );
    #[cfg(not(feature = "dosfstools"))]
    let bytes = plain(format);
    assert!(check(&bytes).is_clean());
    bytes
}

/// A volume made without mkfs.fat.
#[cfg(not(feature = "dosfstools"))]
fn plain(format: Format) -> Vec<u8> {
    let sectors = format.kib * 2;
    let (reserved, root_entries, is_16) =
        if format.bits == 16 { (4, 512, true) } else { (32, 0, false) };
    // A few more than it takes: what the table itself takes is left out.
    let table = (sectors / format.cluster_sectors * format.bits / 8).div_ceil(512) + 1;
    let mut bytes = vec![0; sectors * 512];
    let mut put = |at: usize, value: usize, width: usize| {
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    put(0, 0x90_3C_EB, 3);
    put(11, 512, 2);
    put(13, format.cluster_sectors, 1);
    put(14, reserved, 2);
    put(16, 2, 1);
    put(17, root_entries, 2);
    put(32, sectors, 4);
    put(510, 0xAA55, 2);
    if is_16 {
        put(22, table, 2);
        for copy in 0..2 {
            put((reserved + copy * table) * 512, 0xFFFF_FFF8, 4);
        }
        return bytes;
    }
    let clusters = (sectors - reserved - 2 * table) / format.cluster_sectors;
    put(36, table, 4);
    put(44, 2, 4);
    put(48, 1, 2);
    put(512, 0x4161_5252, 4);
    put(512 + 484, 0x6141_7272, 4);
    put(512 + 488, clusters - 1, 4);
    put(512 + 492, 2, 4);
    put(512 + 508, 0xAA55_0000, 4);
    for copy in 0..2 {
        let at = (reserved + copy * table) * 512;
        put(at, 0x0FFF_FFF8, 4);
        put(at + 4, 0x0FFF_FFFF, 4);
        put(at + 8, 0x0FFF_FFFF, 4);
    }
    bytes
}

/// Makes the directory `/sub` in a new volume: agents make no directories.
pub(crate) fn make_sub(bytes: &mut [u8]) {
    let parts = Parts::of(bytes);
    let is_16 = parts.data > parts.root;
    // The first free cluster, and where it is.
    let (cluster, width) = if is_16 { (2, 2) } else { (3, 4) };
    let place = parts.data + (cluster - 2) * parts.cluster_bytes;
    let mut entry = [0; 32];
    entry[..12].copy_from_slice(b"SUB        \x10");
    entry[26] = u8::try_from(cluster).unwrap();
    bytes[parts.root..][..32].copy_from_slice(&entry);
    entry[..3].copy_from_slice(b".  ");
    bytes[place..][..32].copy_from_slice(&entry);
    entry[1] = b'.';
    entry[26] = 0;
    bytes[place + 32..][..32].copy_from_slice(&entry);
    for copy in [parts.table, parts.table + parts.table_bytes] {
        bytes[copy + cluster * width..][..width]
            .copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x0F][..width]);
    }
    if !is_16 {
        let free = u32::try_from(number(bytes, 512 + 488, 4) - 1).unwrap();
        bytes[512 + 488..][..4].copy_from_slice(&free.to_le_bytes());
    }
    assert!(check(bytes).is_clean());
}

/// Changes what the table says of a cluster of a FAT16 volume.
pub(crate) fn link16(bytes: &mut [u8], cluster: usize, to: u16) {
    let parts = Parts::of(bytes);
    for copy in [parts.table, parts.table + parts.table_bytes] {
        bytes[copy + 2 * cluster..][..2].copy_from_slice(&to.to_le_bytes());
    }
}

/// The boot sector, the first copy of the table, and the first directories.
pub(crate) fn areas(bytes: &[u8]) -> [core::ops::Range<usize>; 3] {
    let parts = Parts::of(bytes);
    let table = parts.table..parts.table + parts.table_bytes;
    [0..90, table, parts.root..parts.root + 40_000]
}

/// Checks a volume.
pub(crate) fn check(bytes: &[u8]) -> Report {
    Image::of(bytes).check()
}

/// An image that is checked again and again, with a few changes.
pub(crate) struct Image {
    bytes: Vec<u8>,
    #[cfg(feature = "dosfstools")]
    _directory: tempfile::TempDir,
    #[cfg(feature = "dosfstools")]
    path: std::path::PathBuf,
}

impl Image {
    #[cfg(not(feature = "dosfstools"))]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec() }
    }

    #[cfg(feature = "dosfstools")]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let directory = crate::dosfstools::directory();
        let path = directory.path().join("disk");
        std::fs::write(&path, bytes).unwrap();
        Self { bytes: bytes.to_vec(), _directory: directory, path }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes sectors.
    pub(crate) fn write(&mut self, sector: u64, bytes: &[u8]) {
        let at = usize::try_from(sector * 512).unwrap();
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        #[cfg(feature = "dosfstools")]
        {
            let file = std::fs::File::options().write(true).open(&self.path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, sector * 512).unwrap();
        }
    }

    /// What fsck.fat says.
    #[cfg(feature = "dosfstools")]
    pub(crate) fn check(&self) -> Report {
        crate::dosfstools::fsck(&self.path)
    }

    /// What mounting it does: nothing to one that is as it should be.
    #[cfg(not(feature = "dosfstools"))]
    pub(crate) fn check(&self) -> Report {
        let parts = Parts::of(&self.bytes);
        let mut volume = match crate::try_mount(crate::disk::Memory::new(self.bytes.clone())) {
            Ok(volume) if volume.condition() == fat::Condition::Sound => volume,
            other => return Report { damage: vec![format!("{other:?}")], ..Report::default() },
        };
        let mended = core::mem::take(&mut volume.disk_mut().bytes);
        let (one, two) = self.bytes[parts.table..].split_at(parts.table_bytes);
        let count = number(&self.bytes, 512 + 488, 4);
        let has_count = parts.data == parts.root;
        let unknown = has_count && count == 0xFFFF_FFFF;
        let wrong = has_count && !unknown && count != number(&mended, 512 + 488, 4);
        Report {
            unused: mended[parts.table..parts.root] != self.bytes[parts.table..parts.root],
            tables_differ: *one != two[..parts.table_bytes],
            count_unknown: unknown,
            damage: if wrong { vec!["the count is wrong".to_owned()] } else { Vec::new() },
        }
    }
}
