//! The list of a release's static files, made once when the release arrives.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// Files of one release; more would be a mistake in `static` (a whole disk, say).
const FILES: usize = 100_000;
/// Contents up to here name the ETag; larger files are told by size and time.
const HASHED: u64 = 32 << 20;

/// A file that can be served.
#[derive(Debug, Clone)]
pub(crate) struct SiteFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) mime: String,
    /// Strong, with its quotes; the same on every server that has this release.
    pub(crate) etag: String,
    /// To the second, as HTTP dates are.
    pub(crate) modified: SystemTime,
}

/// Lists `root`. Names that begin with a dot are left out (`.git`, `.env`), and so are links that lead
/// outside. Errors name the path.
pub(crate) fn list(root: &Path) -> io::Result<HashMap<String, SiteFile>> {
    let mut files = HashMap::new();
    let root = root.canonicalize().map_err(|e| named(root, &e))?;
    let mut directories = vec![(root.clone(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        let entries = std::fs::read_dir(&directory).map_err(|e| named(&directory, &e))?;
        for entry in entries {
            let entry = entry.map_err(|e| named(&directory, &e))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            let Ok(real) = path.canonicalize() else {
                continue;
            };
            if !real.starts_with(&root) {
                tracing::warn!(
                    "{}: leads outside {}, not served",
                    path.display(),
                    root.display()
                );
                continue;
            }
            let url = format!("{prefix}/{name}");
            let metadata = real.metadata().map_err(|e| named(&real, &e))?;
            // A link to a directory could lead in a circle.
            if metadata.is_dir() && !path.is_symlink() {
                directories.push((path, url));
            } else if metadata.is_file() {
                files.insert(url, describe(real, &metadata)?);
            }
            if files.len() > FILES {
                let what = format!("{}: more than {FILES} files", root.display());
                return Err(io::Error::other(what));
            }
        }
    }
    Ok(files)
}

fn describe(path: PathBuf, metadata: &std::fs::Metadata) -> io::Result<SiteFile> {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let seconds = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let etag = if metadata.len() <= HASHED {
        format!("\"{}\"", hash(&path).map_err(|e| named(&path, &e))?)
    } else {
        format!("\"{:x}-{seconds:x}\"", metadata.len())
    };
    let mime = mime_guess::from_path(&path).first_or_octet_stream();
    let text = mime.type_() == "text" || mime.subtype() == "javascript" || mime.subtype() == "json";
    let mime = if text {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_string()
    };
    Ok(SiteFile {
        path,
        size: metadata.len(),
        mime,
        etag,
        modified,
    })
}

/// The first 80 bits of SHA-256: enough to tell versions of one file apart.
fn hash(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
    Ok(hasher
        .finalize()
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_links_outside_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("static");
        std::fs::create_dir_all(root.join("css")).unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        std::fs::write(root.join("css/a.css"), "body{}").unwrap();
        std::fs::write(root.join(".git/config"), "x").unwrap();
        std::fs::write(root.join(".env"), "x").unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("out")).unwrap();
        std::os::unix::fs::symlink("css/a.css", root.join("in.css")).unwrap();
        let files = list(&root).unwrap();
        let mut names: Vec<&str> = files.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["/css/a.css", "/in.css"]);
        let file = &files["/css/a.css"];
        assert_eq!(
            (file.size, file.mime.as_str()),
            (6, "text/css; charset=utf-8")
        );
        assert_eq!(file.etag, files["/in.css"].etag);
    }

    #[test]
    fn a_missing_directory_is_named() {
        assert!(
            list(Path::new("/nowhere/static"))
                .unwrap_err()
                .to_string()
                .contains("/nowhere")
        );
    }
}
