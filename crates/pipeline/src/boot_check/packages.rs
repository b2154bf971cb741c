//! The packages with libraries that a stack's build image has and its run image lacks.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use versions::target::Arch;

/// A line for each package: its name and the numbers of the stacks. The command `cargo xtask
/// stack-packages` writes it, and names the source in it.
pub(super) const TABLE: &str = include_str!("build_only_packages.txt");

/// The files of installed packages (dpkg(1)): `NAME.list`, or `NAME:ARCH.list`.
const INFO: &str = "var/lib/dpkg/info";

/// The last package that a run image installs (`setup.sh` of heroku/base-images). A build image is made from
/// the run image, so dpkg wrote the lists of its own packages later.
///
/// Heroku has added libraries to the run images of existing stacks, such as `libatomic1` in 2025. An older Mixpack
/// has an older table, but these times show which packages the run image has.
const LAST_OF_RUN_IMAGE: &str = "ca-certificates-java";

/// Returns the packages of `stack` (`heroku-24`) in the table.
pub(super) fn build_only(stack: &str) -> impl Iterator<Item = &'static str> {
    let number = stack.strip_prefix("heroku-").unwrap_or_default().to_owned();
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(move |line| {
        let mut words = line.split(' ');
        let name = words.next()?;
        words.any(|stack| stack == number).then_some(name)
    })
}

/// Returns the libraries that only the build image has, with their packages. `root` is `/`. Empty if the image
/// isn't one of Heroku's.
pub(super) fn build_only_files(root: &Path, stack: &str, arch: Arch) -> HashMap<PathBuf, String> {
    let info = root.join(INFO);
    let modified = |name: &str| -> Option<SystemTime> {
        info.join(format!("{name}.list"))
            .metadata()
            .ok()?
            .modified()
            .ok()
    };
    let Some(run_image) = modified(LAST_OF_RUN_IMAGE) else {
        return HashMap::new();
    };
    let mut files = HashMap::new();
    for package in build_only(stack) {
        for name in [format!("{package}:{arch}"), package.to_owned()] {
            if modified(&name).is_none_or(|time| time <= run_image) {
                continue;
            }
            let list = fs::read_to_string(info.join(format!("{name}.list"))).unwrap_or_default();
            let libraries = list.lines().filter(|path| path.contains(".so"));
            files.extend(libraries.map(|path| (without_usr(path), package.to_owned())));
        }
    }
    files
}

/// `/lib` is a link to `/usr/lib`, and a package may name either.
pub(super) fn without_usr(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    match path.strip_prefix("/usr") {
        Ok(rest) => Path::new("/").join(rest),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::Duration;

    #[test]
    fn table_has_packages_of_each_stack_and_names_its_source() {
        for stack in ["heroku-22", "heroku-24", "heroku-26"] {
            let packages: Vec<&str> = build_only(stack).collect();
            assert!(
                packages.contains(&"libtiffxx6") || stack == "heroku-22",
                "{stack}"
            );
            // Heroku has added these to the run images.
            for moved in ["libatomic1", "liblttng-ust1t64", "libmemcachedutil2t64"] {
                assert!(!packages.contains(&moved), "{stack}: {moved}");
            }
            assert!(packages.len() > 20, "{stack}: {packages:?}");
            assert!(packages.iter().all(|name| !name.ends_with("-dev")));
        }
        assert!(build_only("heroku-24").any(|name| name == "libquadmath0"));
        assert_eq!(build_only("heroku-18").count(), 0);
        assert_eq!(build_only("cnb").count(), 0);
        assert!(TABLE.starts_with("# heroku/base-images "));
    }

    fn files(list: &str, age: u64) -> HashMap<PathBuf, String> {
        let root = tempfile::tempdir().unwrap();
        let info = root.path().join(INFO);
        fs::create_dir_all(&info).unwrap();
        let write = |name: &str, text: &str, seconds: u64| {
            let path = info.join(name);
            fs::write(&path, text).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::open(&path).unwrap().set_modified(time).unwrap();
        };
        write("ca-certificates-java.list", "", 1000);
        write(
            list,
            "/.\n/usr/lib/x86_64-linux-gnu/libquadmath.so.0\n/usr/share/doc\n",
            age,
        );
        build_only_files(root.path(), "heroku-24", Arch::Amd64)
    }

    #[test]
    fn libraries_of_packages_in_the_build_image_alone_are_found() {
        for list in ["libquadmath0:amd64.list", "libquadmath0.list"] {
            let found = files(list, 1001);
            let path = Path::new("/lib/x86_64-linux-gnu/libquadmath.so.0");
            assert_eq!(found.get(path).map(String::as_str), Some("libquadmath0"));
            assert_eq!(found.len(), 1);
        }
        assert!(files("libstdc++6:amd64.list", 1001).is_empty());
    }

    #[test]
    fn package_that_the_run_image_has_by_now_does_not_count() {
        assert!(files("libquadmath0:amd64.list", 999).is_empty());
    }

    #[test]
    fn image_that_is_not_herokus_has_no_such_libraries() {
        let root = tempfile::tempdir().unwrap();
        assert!(build_only_files(root.path(), "heroku-24", Arch::Amd64).is_empty());
    }
}
