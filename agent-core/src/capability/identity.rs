//! The capability to tell what the guest is.

use super::Errno;

/// What the guest is called, what it runs, and who uses it.
pub trait Identity {
    /// The guest's name, as in DNS.
    ///
    /// # Errors
    ///
    /// Why it cannot be told.
    fn host_name(&mut self) -> Result<&str, Errno>;

    /// The system that it runs, in the words of `os-release(5)` and `uname(2)`.
    ///
    /// Whoever gives an [`id`](OsInfo::id) gives a [`kernel_release`](OsInfo::kernel_release), too:
    /// oVirt's vdsm reads the second where the first is.
    ///
    /// # Errors
    ///
    /// Why it cannot be told.
    fn os_info(&mut self) -> Result<OsInfo<'_>, Errno>;

    /// The time zone. A guest that knows of none is on [UTC](Timezone::UTC).
    fn timezone(&mut self) -> Timezone<'_> {
        Timezone::UTC
    }

    /// Shows everybody who is logged in to `visit`. A guest without log-ins has nobody.
    fn users(&mut self, visit: &mut dyn FnMut(&User<'_>)) {
        let _ = visit;
    }
}

/// A system; what is unknown is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OsInfo<'i> {
    /// `ID`: lower case, without spaces, such as `debian`.
    pub id: Option<&'i str>,
    /// `NAME`: without version.
    pub name: Option<&'i str>,
    /// `PRETTY_NAME`: with version.
    pub pretty_name: Option<&'i str>,
    /// `VERSION`: perhaps with a code name.
    pub version: Option<&'i str>,
    /// `VERSION_ID`: the number alone.
    pub version_id: Option<&'i str>,
    /// `VARIANT`
    pub variant: Option<&'i str>,
    /// `VARIANT_ID`
    pub variant_id: Option<&'i str>,
    /// The release of the kernel, such as `6.1.0-18-amd64`.
    pub kernel_release: Option<&'i str>,
    /// When and how the kernel was built.
    pub kernel_version: Option<&'i str>,
    /// The architecture, such as `x86_64`.
    pub machine: Option<&'i str>,
}

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timezone<'i> {
    /// Its abbreviation, such as `CET`.
    pub zone: Option<&'i str>,
    /// How far it is ahead of UTC now, in seconds.
    pub offset_s: i32,
}

impl Timezone<'_> {
    /// Coordinated universal time.
    pub const UTC: Self = Self { zone: Some("UTC"), offset_s: 0 };
}

/// Somebody who is logged in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct User<'i> {
    /// Who.
    pub name: &'i str,
    /// Since when, in seconds since 1970-01-01 00:00 UTC.
    pub login_time_s: f64,
}
