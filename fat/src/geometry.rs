//! Where on the disk each part of a volume lies: the boot sector, checked.
//!
//! Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (below: FAT §), and what Linux and
//! dosfstools make of it where they differ.

use crate::bytes::{parts, u16_at, u32_at};
use crate::disk::SECTOR_SIZE;

/// The number of the first cluster (FAT §"Boot Sector and BPB": 0 and 1 are reserved).
pub(crate) const FIRST_CLUSTER: u32 = 2;

/// Clusters up to which a volume without 32-bit fields is FAT12 (FAT §"FAT Type Determination").
const FAT12_CLUSTERS: u32 = 4084;
/// The most clusters of a FAT16 volume.
const FAT16_CLUSTERS: u32 = 65_524;
/// The most clusters of a FAT32 volume: what lies above in 28 bits is reserved.
const FAT32_CLUSTERS: u32 = 0x0FFF_FFF5;

/// How wide the entries of the file allocation table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// FAT16
    Bits16,
    /// FAT32
    Bits32,
}

/// Where the root directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// In sectors of its own, before the clusters.
    Fixed { first: u32, sectors: u32 },
    /// In a chain of clusters, like every other directory.
    Chain { first: u32 },
}

/// A volume's layout. Sectors are counted from its own start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The sector of the disk at which it starts.
    pub(crate) start: u64,
    pub(crate) width: Width,
    pub(crate) cluster_sectors: u32,
    /// The first sector of the first table.
    pub(crate) table: u32,
    pub(crate) table_sectors: u32,
    /// How many tables there are: one or two, the second being a copy.
    pub(crate) tables: u32,
    pub(crate) root: Root,
    /// The first sector of the first cluster.
    pub(crate) data: u32,
    pub(crate) clusters: u32,
    pub(crate) sectors: u32,
    /// The sector that counts the free clusters.
    pub(crate) info: Option<u32>,
}

/// Why a boot sector describes no volume that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVolume {
    /// It is none of a FAT volume.
    Foreign,
    /// It is one, of a kind that is not handled: FAT12, or sectors that are not of 512 bytes.
    Unsupported,
}

impl Geometry {
    /// Reads the boot sector of a volume that starts at sector `start` of the disk, with room for
    /// `room` sectors.
    pub(crate) fn parse(boot: &[u8; SECTOR_SIZE], start: u64, room: u64) -> Result<Self, NoVolume> {
        Self::parse_fields(boot, start, room).unwrap_or(Err(NoVolume::Foreign))
    }

    fn parse_fields(
        boot: &[u8; SECTOR_SIZE],
        start: u64,
        room: u64,
    ) -> Option<Result<Self, NoVolume>> {
        let jump = matches!(boot[0], 0xEB | 0xE9);
        let bytes_per_sector = u16_at(boot, 11);
        let cluster_sectors = u32::from(boot[13]);
        let reserved = u32::from(u16_at(boot, 14));
        let tables = u32::from(boot[16]);
        let root_entries = u32::from(u16_at(boot, 17));
        let plausible = jump
            && u16_at(boot, 510) == 0xAA55
            && bytes_per_sector.is_power_of_two()
            && (512..=4096).contains(&bytes_per_sector)
            && cluster_sectors.is_power_of_two()
            && reserved > 0
            && matches!(tables, 1 | 2);
        if !plausible {
            return None;
        }
        if usize::from(bytes_per_sector) != SECTOR_SIZE {
            return Some(Err(NoVolume::Unsupported));
        }
        let sectors = match u32::from(u16_at(boot, 19)) {
            0 => u32_at(boot, 32),
            few => few,
        };
        if u64::from(sectors) > room {
            return None;
        }
        // Not by the count of clusters, as the specification has it: a small volume with 32-bit
        // fields is FAT32 to every implementation that there is.
        let (width, table_sectors) = match (u32::from(u16_at(boot, 22)), u32_at(boot, 36)) {
            (0, 0) => return None,
            (0, sectors) => (Width::Bits32, sectors),
            (sectors, _) => (Width::Bits16, sectors),
        };
        let after_tables = table_sectors.checked_mul(tables)?.checked_add(reserved)?;
        let root_sectors = root_entries.checked_mul(32)?.div_ceil(512);
        let data = after_tables.checked_add(root_sectors)?;
        let clusters = sectors.checked_sub(data)?.checked_div(cluster_sectors)?;
        let (most, entry_bytes) = match width {
            Width::Bits16 if clusters <= FAT12_CLUSTERS => {
                return Some(Err(NoVolume::Unsupported));
            }
            Width::Bits16 => (FAT16_CLUSTERS, 2),
            Width::Bits32 => (FAT32_CLUSTERS, 4),
        };
        let table_bytes = u64::from(clusters).saturating_add(2).saturating_mul(entry_bytes);
        if clusters == 0
            || clusters > most
            || table_bytes.div_ceil(512) > u64::from(table_sectors)
            || (width == Width::Bits16) != (root_entries > 0)
        {
            return None;
        }
        let mut geometry = Self {
            start,
            width,
            cluster_sectors,
            table: reserved,
            table_sectors,
            tables,
            root: Root::Fixed { first: after_tables, sectors: root_sectors },
            data,
            clusters,
            sectors,
            info: None,
        };
        if width == Width::Bits32 {
            geometry.parse_fat32(boot, reserved)?;
        }
        Some(Ok(geometry))
    }

    /// What only FAT32 has (FAT §"FAT32 structure starting at offset 36").
    fn parse_fat32(&mut self, boot: &[u8; SECTOR_SIZE], reserved: u32) -> Option<()> {
        if u16_at(boot, 42) != 0 {
            return None;
        }
        // Bit 7: the tables are not copies of each other, and the low bits number the one in use.
        let flags = u16_at(boot, 40);
        if flags & 0x80 != 0 {
            let active = u32::from(flags & 0x0F);
            if active >= self.tables {
                return None;
            }
            self.table = self.table.checked_add(active.checked_mul(self.table_sectors)?)?;
            self.tables = 1;
        }
        let first = u32_at(boot, 44);
        if !self.has(first) {
            return None;
        }
        self.root = Root::Chain { first };
        let info = u32::from(u16_at(boot, 48));
        self.info = (info > 0 && info < reserved).then_some(info);
        Some(())
    }

    /// Whether the volume has a cluster of this number.
    pub(crate) fn has(&self, cluster: u32) -> bool {
        cluster.checked_sub(FIRST_CLUSTER).is_some_and(|index| index < self.clusters)
    }

    /// The number after the last cluster's.
    pub(crate) fn end(&self) -> u32 {
        self.clusters.saturating_add(FIRST_CLUSTER)
    }

    /// The first sector of a cluster that the volume has.
    pub(crate) fn sector_of(&self, cluster: u32) -> u32 {
        cluster
            .saturating_sub(FIRST_CLUSTER)
            .saturating_mul(self.cluster_sectors)
            .saturating_add(self.data)
    }

    /// Bytes in a cluster.
    pub(crate) fn cluster_bytes(&self) -> u32 {
        // At most 128 sectors.
        self.cluster_sectors.saturating_mul(512)
    }

    /// How many clusters so many bytes take.
    pub(crate) fn clusters_for(&self, bytes: u32) -> u32 {
        parts(bytes, self.cluster_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot_sector(fields: &[(usize, &[u8])]) -> [u8; SECTOR_SIZE] {
        // 32 MiB of FAT16 with clusters of 2 KiB.
        let mut boot = [0; SECTOR_SIZE];
        let base: &[(usize, &[u8])] = &[
            (0, &[0xEB, 0x3C, 0x90]),
            (11, &[0, 2]),
            (13, &[4]),
            (14, &[4, 0]),
            (16, &[2]),
            (17, &[0, 2]),
            (19, &[0, 0]),
            (22, &[64, 0]),
            (32, &[0, 0, 1, 0]),
            (510, &[0x55, 0xAA]),
        ];
        for (at, bytes) in base.iter().chain(fields) {
            crate::bytes::put(&mut boot, *at, bytes);
        }
        boot
    }

    #[test]
    fn a_boot_sector_is_read() {
        let geometry = Geometry::parse(&boot_sector(&[]), 2048, 65_536).unwrap();
        assert_eq!(geometry.width, Width::Bits16);
        assert_eq!(geometry.table, 4);
        assert_eq!(geometry.root, Root::Fixed { first: 132, sectors: 32 });
        assert_eq!(geometry.data, 164);
        assert_eq!(geometry.clusters, (65_536 - 164) / 4);
        assert_eq!(geometry.sector_of(3), 168);
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |fields: &[(usize, &[u8])], expected| {
            let boot = boot_sector(fields);
            assert_eq!(Geometry::parse(&boot, 0, 65_536).unwrap_err(), expected, "{fields:?}");
        };
        check(&[(0, &[0])], NoVolume::Foreign);
        check(&[(11, &[0, 0])], NoVolume::Foreign);
        check(&[(11, &[0, 8])], NoVolume::Unsupported);
        check(&[(13, &[3])], NoVolume::Foreign);
        check(&[(13, &[0])], NoVolume::Foreign);
        check(&[(13, &[64])], NoVolume::Unsupported);
        check(&[(13, &[1]), (22, &[255, 255])], NoVolume::Foreign);
        check(&[(14, &[0, 0])], NoVolume::Foreign);
        check(&[(16, &[0])], NoVolume::Foreign);
        check(&[(16, &[3])], NoVolume::Foreign);
        check(&[(17, &[0, 0])], NoVolume::Foreign);
        check(&[(22, &[1, 0])], NoVolume::Foreign);
        check(&[(22, &[0, 0])], NoVolume::Foreign);
        check(&[(32, &[1, 0, 1, 0])], NoVolume::Foreign);
        check(&[(32, &[100, 0, 0, 0])], NoVolume::Foreign);
        check(&[(22, &[0, 0]), (36, &[255, 255, 255, 255])], NoVolume::Foreign);
        check(&[(510, &[0, 0])], NoVolume::Foreign);
    }
}
