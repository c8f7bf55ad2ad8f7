//! Paths: from the root, part by part, to a file or a directory.

use agent_core::Errno;

use crate::directory::Directory;
use crate::disk::Disk;
use crate::entry::Entry;
use crate::medium::Medium;
use crate::name::Name;

/// The longest path: Linux's `PATH_MAX`, without the zero at its end.
const LONGEST_PATH: usize = 4095;

/// What a path leads to.
pub(crate) enum Target<'p> {
    Directory,
    File(Entry),
    /// Nothing, in a directory that is there; and the name that it would have.
    Missing(Directory, &'p [u8]),
}

impl<D: Disk> Medium<'_, D> {
    /// Follows a path; one that does not begin with a slash begins at the root all the same.
    pub(crate) fn resolve<'p>(&mut self, path: &'p [u8]) -> Result<Target<'p>, Errno> {
        if path.is_empty() {
            return Err(Errno::NOT_FOUND);
        }
        if path.len() > LONGEST_PATH {
            return Err(Errno::NAME_TOO_LONG);
        }
        let wants_directory = path.ends_with(b"/");
        let mut directory = Directory::Root;
        let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            match part {
                b"." => continue,
                b".." => {
                    directory = self.parent(directory)?;
                    continue;
                }
                _ => {}
            }
            let found = match Name::parse(part)? {
                Some(name) => self.find(directory, &name)?,
                None => None,
            };
            match found {
                Some(entry) if entry.is_directory => directory = Directory::of(entry.content.first),
                Some(_) if !is_last || wants_directory => return Err(Errno::NOT_DIRECTORY),
                Some(entry) => return Ok(Target::File(entry)),
                None if !is_last => return Err(Errno::NOT_FOUND),
                None => return Ok(Target::Missing(directory, part)),
            }
        }
        Ok(Target::Directory)
    }
}
