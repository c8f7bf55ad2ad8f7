//! Mounting a volume: finding it, and putting in order what a cut of power left.

use agent_core::{Errno, Handles};

use crate::disk::{Disk, SECTOR_SIZE};
use crate::filesystem::Label;
use crate::medium::Medium;
use crate::partition::{MountError, find};
use crate::survey::{Findings, Unused};
use crate::volume::{Condition, Volume};

/// The memory for moving sectors, and for marking clusters when a volume is mounted: `SIZE` is a
/// whole number of sectors, two or more.
///
/// Every byte marks eight clusters; a volume that has more clusters than can be marked at once is
/// walked over so many times more. And where one copy of the table and a sector fit, both copies
/// are written by one request, so that a guest that is killed does not leave them different: that
/// takes up to 131 584 bytes for FAT16, and four bytes for each cluster for FAT32.
pub type Scratch<const SIZE: usize> = [u8; SIZE];

/// Why a volume cannot be used as it is.
enum Unusable {
    Damaged,
    Disk(Errno),
}

impl<'s, D: Disk, const FILES: usize> Volume<'s, D, FILES> {
    /// Mounts the first FAT volume of a disk. Takes back clusters that no file uses, unless the
    /// disk cannot be written.
    ///
    /// # Errors
    ///
    /// Where there is no such volume, or the disk fails. A damaged volume is no error, see
    /// [`Volume::condition`].
    pub fn mount<const SIZE: usize>(
        mut disk: D,
        scratch: &'s mut Scratch<SIZE>,
        label: Label<'s>,
    ) -> Result<Self, MountError> {
        const {
            assert!(
                SIZE >= 2 * SECTOR_SIZE && SIZE.is_multiple_of(SECTOR_SIZE),
                "the scratch memory is a whole number of sectors, two or more"
            );
        }
        let (geometry, partition) = find(&mut disk)?;
        let mut medium = Medium::new(disk, geometry, scratch);
        let condition = match prepare(&mut medium) {
            Ok(()) => Condition::Sound,
            Err(Unusable::Damaged) => Condition::Damaged,
            Err(Unusable::Disk(errno)) => return Err(MountError::Disk(errno)),
        };
        medium.read_only |= condition == Condition::Damaged;
        Ok(Self {
            medium,
            files: [const { None }; FILES],
            handles: Handles::new(),
            label,
            partition,
            condition,
            frozen: false,
        })
    }
}

/// Goes over the volume and puts it in order.
fn prepare<D: Disk>(medium: &mut Medium<'_, D>) -> Result<(), Unusable> {
    let mut findings = medium.survey(Unused::Count).map_err(|_| Unusable::Damaged)?;
    if !medium.read_only {
        findings = mend(medium, findings).map_err(Unusable::Disk)?;
    }
    medium.table.free = findings.free;
    medium.unowned = findings.free.saturating_add(findings.unused);
    if let Some(first) = findings.first_free {
        // The search begins after it.
        medium.table.hint = first.saturating_sub(1);
    }
    if medium.read_only { Ok(()) } else { medium.tell_count().map_err(Unusable::Disk) }
}

/// Makes the copies of the table one, and frees what no file uses.
fn mend<D: Disk>(medium: &mut Medium<'_, D>, findings: Findings) -> Result<Findings, Errno> {
    medium.even_tables()?;
    if findings.unused == 0 {
        return Ok(findings);
    }
    let found = medium.survey(Unused::TakeBack)?;
    medium.flush()?;
    Ok(Findings { unused: 0, ..found })
}
