//! The address of a store on a server, and of its requests.

use std::time::SystemTime;

use crate::sigv4::{self, Credentials};

/// The address of a store on a server.
#[derive(Clone)]
pub(crate) enum Address {
    /// A URL that doesn't end with a slash, and `Authorization` headers for reading and writing.
    Http {
        base: String,
        read: Option<String>,
        write: Option<String>,
    },
    S3 {
        bucket: Bucket,
        read: Option<Credentials>,
        write: Option<Credentials>,
    },
}

/// A prefix in an S3 bucket. No part contains characters that URLs encode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// The host, with the port if it isn't the scheme's default.
    pub(crate) host: String,
    /// Empty, or begins with a slash and doesn't end with one. Contains the bucket unless the host does.
    pub(crate) path: String,
    pub(crate) region: String,
}

/// The credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The target of a request. The URL may be signed, so it is as secret as the header.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) authorization: Option<String>,
}

impl Address {
    pub(crate) fn is_https(&self) -> bool {
        match self {
            Self::Http { base, .. } => base.starts_with("https:"),
            Self::S3 { bucket, .. } => bucket.scheme == "https",
        }
    }

    pub(crate) fn is_s3(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }

    /// Returns the target of a request for a path below the store.
    pub(crate) fn target(&self, method: &str, path: &str, access: Access) -> Target {
        match self {
            Self::Http { base, read, write } => Target {
                url: format!("{base}/{path}"),
                authorization: access.of(read, write).clone(),
            },
            Self::S3 {
                bucket,
                read,
                write,
            } => Target {
                url: bucket.url(method, path, access.of(read, write).as_ref()),
                authorization: None,
            },
        }
    }
}

impl Access {
    fn of<T>(self, read: T, write: T) -> T {
        match self {
            Self::Read => read,
            Self::Write => write,
        }
    }
}

impl Bucket {
    fn url(&self, method: &str, path: &str, credentials: Option<&Credentials>) -> String {
        let path = format!("{}/{path}", self.path);
        let origin = (&*self.scheme, &*self.host);
        match credentials {
            None => format!("{}://{}{path}", self.scheme, self.host),
            Some(credentials) => {
                let now = SystemTime::now();
                sigv4::presign(method, origin, &path, &self.region, credentials, now)
            }
        }
    }
}
