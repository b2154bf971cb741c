//! A `.cnb` file: a container image with one layer, the buildpack, as an OCI image layout in a tar
//! archive (Cloud Native Buildpacks' distribution specification, "Buildpackage").

use std::io;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::files::{Files, Tar, gzip};
use super::{DESCRIPTOR, Descriptor, Target};
use crate::process::Result;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The `.cnb` file of these files for machines of `arch`.
pub(super) fn pack(descriptor: &Descriptor, arch: &str, files: &Files) -> Result<Vec<u8>> {
    let targets: Vec<&Target> = descriptor
        .targets
        .iter()
        .filter(|target| target.os == "linux" && target.arch == arch)
        .collect();
    if targets.is_empty() {
        return Err(format!("{DESCRIPTOR} has no target linux/{arch}").into());
    }
    let info = &descriptor.buildpack;
    let layer = files.layer(&info.id, &info.version)?;
    let diff_id = digest(&layer);
    let mut of_layer = json!({
        "api": descriptor.api,
        "targets": targets,
        "layerDiffID": diff_id,
    });
    for (key, value) in [("homepage", &info.homepage), ("name", &info.name)] {
        if let Some(value) = value {
            of_layer[key] = value.as_str().into();
        }
    }
    let layers = json!({ &info.id: { &info.version: of_layer } });

    let mut layout = Layout::default();
    let layer = layout.blob(LAYER, &gzip(&layer)?)?;
    let config = json!({
        "architecture": arch,
        "os": "linux",
        "config": {"Labels": {
            "io.buildpacks.buildpackage.metadata": serde_json::to_string(info)?,
            "io.buildpacks.buildpack.layers": layers.to_string(),
        }},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = layout.blob(CONFIG, config.to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [layer],
    });
    let mut manifest = layout.blob(MANIFEST, manifest.to_string().as_bytes())?;
    manifest["platform"] = json!({"os": "linux", "architecture": arch});
    Ok(layout.finish(&manifest)?)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image layout that is being written.
#[derive(Default)]
struct Layout {
    tar: Tar,
}

impl Layout {
    /// Adds content; gives its descriptor.
    fn blob(&mut self, media_type: &str, content: &[u8]) -> io::Result<Value> {
        let digest = digest(content);
        let path = format!("blobs/{}", digest.replace(':', "/"));
        self.tar.file(&path, content, false)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": content.len()}))
    }

    fn finish(mut self, manifest: &Value) -> io::Result<Vec<u8>> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
        let version = json!({"imageLayoutVersion": "1.0.0"});
        for (name, content) in [("index.json", index), ("oci-layout", version)] {
            self.tar.file(name, content.to_string().as_bytes(), false)?;
        }
        self.tar.finish()
    }
}
