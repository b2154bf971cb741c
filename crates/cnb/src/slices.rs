//! The division of the app's directory into layers of the image, by how often their files change: slices of `launch.toml`
//! (Buildpack API). A registry stores, and machines transfer, only layers with changes.

use libcnb::data::launch::Slice;
use planning::record::Record;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use workdir::workspace::Places;

/// Directories that the commands of JavaScript package managers fill, relative to the app.
const PACKAGES: [&str; 2] = ["node_modules", "assets/node_modules"];

/// Returns a slice for compiled code of the app, and one for dependencies and the release's Erlang. All other files are in the
/// last layer. `components` are the names of packages.
pub(crate) fn slices<'c>(
    app: &Path,
    record: &Record,
    components: impl Iterator<Item = &'c str>,
    places: &Places,
) -> [Slice; 2] {
    let root = Path::new(&record.app_dir);
    let build = root.join("_build");
    let mut libs = vec![build.join(&record.mix_env).join("lib")];
    let mut code = Vec::new();
    let mut rest = vec![build, root.join("deps")];
    if let Some(release) = &record.release_dir {
        let release = Path::new(release);
        libs.push(release.join("lib"));
        code.push(release.join("releases"));
        rest.push(release.to_owned());
    }
    let mut others: BTreeSet<String> = components.map(str::to_owned).collect();
    for toolchain in [&places.erlang, &places.elixir] {
        others.extend(applications(&toolchain.join("lib")).map(|(name, _)| name));
    }
    for lib in libs {
        let own = applications(&app.join(&lib)).filter(|(name, _)| !others.contains(name));
        code.extend(own.map(|(_, directory)| lib.join(directory)));
    }
    rest.extend(PACKAGES.map(|packages| root.join(packages)));
    [code, rest].map(|paths| Slice {
        path_globs: paths
            .iter()
            .filter_map(|path| path.to_str())
            .map(str::to_owned)
            .collect(),
    })
}

/// The OTP applications in a directory, with the names of their directories: `NAME` or `NAME-VERSION`.
fn applications(lib: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = fs::read_dir(lib).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let directory = entry.file_name().into_string().ok()?;
        let name = directory.split('-').next()?.to_owned();
        Some((name, directory.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_app_and_its_dependencies_are_in_different_slices() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path();
        let places = Places {
            erlang: app.join("erlang"),
            elixir: app.join("elixir"),
            ..Places::in_slug()
        };
        for path in [
            "erlang/lib/kernel-10.2.7",
            "elixir/lib/elixir",
            "_build/prod/lib/shop",
            "_build/prod/lib/shop_web",
            "_build/prod/lib/plug",
            "_build/prod/rel/shop/lib/shop-0.1.0",
            "_build/prod/rel/shop/lib/plug-1.19.2",
            "_build/prod/rel/shop/lib/kernel-10.2.7",
            "_build/prod/rel/shop/lib/elixir-1.18.3",
        ] {
            fs::create_dir_all(app.join(path)).unwrap();
        }
        let record = "mixpack = '0.2.0'\nstack = 'ubuntu-24.04'\nmix_env = 'prod'\nphoenix = true\n\
                      release = 'shop'\nrelease_dir = '_build/prod/rel/shop'\n[tools]\n[processes]\n";
        let record = toml::from_str(record).unwrap();
        let slices = slices(app, &record, ["plug"].into_iter(), &places);
        let [code, rest] = slices.map(|slice| BTreeSet::from_iter(slice.path_globs));
        let expected = [
            "_build/prod/rel/shop/releases",
            "./_build/prod/lib/shop",
            "./_build/prod/lib/shop_web",
            "_build/prod/rel/shop/lib/shop-0.1.0",
        ];
        assert_eq!(code, expected.map(str::to_owned).into());
        let expected = [
            "./_build",
            "./deps",
            "./node_modules",
            "./assets/node_modules",
            "_build/prod/rel/shop",
        ];
        assert_eq!(rest, expected.map(str::to_owned).into());
    }
}
