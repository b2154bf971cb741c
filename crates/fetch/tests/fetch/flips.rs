use fetch::{Archive, Class, Client, Format, Settings};
use mirror::faults::{Behaviour, FaultServer};
use mirror::noise::noise;
use proptest::prelude::*;

use crate::support::{Place, ZipEntry, file, gzip, published, settings, special, tar, zip};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn modified_archive_is_rejected_and_leaves_nothing(
        is_zip in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let content = noise(0, 900);
        let (format, body) = if is_zip {
            let entries = [ZipEntry::File("a/b", 0o755, &content), ZipEntry::Link("a/c", "b")];
            (Format::Zip, zip(&entries))
        } else {
            let link = special(tar::EntryType::Symlink, "a/c", "b");
            (Format::TarGz, gzip(&tar(&[file("a/b", &content), link])))
        };
        let mut changed = body.clone();
        for (index, flip) in flips {
            changed[index.index(body.len())] ^= flip;
        }
        prop_assume!(changed != body);
        let server = FaultServer::start([("/it", Behaviour::Ok(changed))]).unwrap();
        let place = Place::new();
        let archive = Archive {
            url: server.url("/it"),
            format,
            strip_components: 0,
            checksum: Some(published(&body)),
        };
        let client = Client::new(Settings { attempts: 1, ..settings() });
        let error = client.archive(&archive, &place.dest(), &()).unwrap_err();
        // A flip may also create a gzip stream that expects more bytes than there are.
        prop_assert!(matches!(error.class(), Class::Integrity | Class::Failing), "{error:?}");
        place.assert_untouched("flipped");
    }
}
