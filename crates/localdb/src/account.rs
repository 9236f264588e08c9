//! Postgres refuses to run as root: as root, it runs as somebody else.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;

/// An unprivileged user to run a server program as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user's id.
    pub uid: u32,
    /// The user's primary group.
    pub gid: u32,
}

impl Account {
    /// Whom to become: nobody else (`None`) unless this process is root, then
    /// the user `postgres`, else `nobody`.
    ///
    /// # Errors
    /// [`Error::NoAccount`] when root and neither user exists.
    pub fn to_drop_to() -> Result<Option<Self>, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::in_passwd(&users, name))
            .map(Some)
            .ok_or(Error::NoAccount)
    }

    /// The owner of a file that exists, unless that is root.
    pub(crate) fn owning(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        (found.uid() != 0).then(|| Self {
            uid: found.uid(),
            gid: found.gid(),
        })
    }

    /// Makes a command run as this user, with no supplementary groups.
    pub fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Whether this user can enter a directory; asked by trying, since modes,
    /// access lists and mounts all have a say.
    pub(crate) fn can_enter(self, dir: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"cd -- "$1""#, "sh"]).arg(dir);
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.run(&mut command);
        command.status().is_ok_and(|status| status.success())
    }

    fn in_passwd(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let uid = parse_id(fields.nth(1)?)?;
            let gid = parse_id(fields.next()?)?;
            (uid != 0).then_some(Self { uid, gid })
        })
    }
}

/// Ids are unsigned, but macOS writes nobody's as `-2`.
fn parse_id(text: &str) -> Option<u32> {
    text.parse::<u32>()
        .ok()
        .or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n\
        postgresql:x:7:7::/:/bin/sh\n\
        postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash\n\
        nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";

    #[test]
    fn finds_the_whole_name_and_both_ids() {
        assert_eq!(
            Account::in_passwd(USERS, "postgres"),
            Some(Account { uid: 101, gid: 104 })
        );
        assert_eq!(
            Account::in_passwd(USERS, "nobody").map(|found| found.uid),
            Some(u32::MAX - 1)
        );
        assert_eq!(Account::in_passwd(USERS, "daemon"), None);
    }

    #[test]
    fn root_is_never_an_account_to_drop_to() {
        assert_eq!(Account::in_passwd(USERS, "root"), None);
        assert_eq!(
            Account::in_passwd("postgres:x:0:0::/:/bin/sh", "postgres"),
            None
        );
    }
}
