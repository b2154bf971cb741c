//! Where a store on a server is, and where its requests go.

use std::fmt;
use std::time::Duration;

use rusty_s3::actions::{GetObject, PutObject, S3Action as _};
use rusty_s3::{Bucket, Credentials};

/// How long a signed URL of S3 is valid: more than the server's clock may be off.
const VALIDITY: Duration = Duration::from_mins(15);

/// The address of a store on a server.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a build has one")]
pub(crate) enum Address {
    /// A URL that doesn't end with a slash, and `Authorization` headers for reading and writing.
    Http {
        base: String,
        read: Option<String>,
        write: Option<String>,
    },
    S3 {
        bucket: Bucket,
        /// Empty, or ends with a slash.
        prefix: String,
        read: Option<Credentials>,
        write: Option<Credentials>,
    },
}

/// Where a request goes. The URL may be signed, so it is as secret as the header.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) authorization: Option<String>,
}

impl Address {
    pub(crate) fn is_https(&self) -> bool {
        match self {
            Self::Http { base, .. } => base.starts_with("https:"),
            Self::S3 { bucket, .. } => bucket.base_url().scheme() == "https",
        }
    }

    pub(crate) fn is_s3(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }

    pub(crate) fn to_get(&self, path: &str) -> Target {
        match self {
            Self::Http { base, read, .. } => Target::plain(base, path, read.as_ref()),
            Self::S3 {
                bucket,
                prefix,
                read,
                ..
            } => {
                let name = format!("{prefix}{path}");
                Target::signed(&GetObject::new(bucket, read.as_ref(), &name).sign(VALIDITY))
            }
        }
    }

    pub(crate) fn to_put(&self, path: &str) -> Target {
        match self {
            Self::Http { base, write, .. } => Target::plain(base, path, write.as_ref()),
            Self::S3 {
                bucket,
                prefix,
                write,
                ..
            } => {
                let name = format!("{prefix}{path}");
                Target::signed(&PutObject::new(bucket, write.as_ref(), &name).sign(VALIDITY))
            }
        }
    }
}

impl Target {
    fn plain(base: &str, path: &str, authorization: Option<&String>) -> Self {
        Self {
            url: format!("{base}/{path}"),
            authorization: authorization.cloned(),
        }
    }

    fn signed(url: &impl fmt::Display) -> Self {
        Self {
            url: url.to_string(),
            authorization: None,
        }
    }
}
