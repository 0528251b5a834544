//! Pure: what a request's path means: a file of the release, or the app.
//!
//! A release never changes, so its files are listed once. A path is looked up in that list and never
//! joined to a directory: there is no traversal to guard against, and a request for the app costs no
//! system call (nginx's `try_files` asks the file system each time).

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Location<'f, F> {
    File(&'f F),
    /// A directory asked for without its slash: relative links in its index would break.
    AddSlash,
    App,
}

/// What is found at a decoded URL path: `/style.css`, `/docs/` (its index) or `/docs`.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<F> {
    File(F),
    AddSlash,
}

/// All paths at which something is found.
pub type Paths<F> = HashMap<String, Entry<F>>;

/// The paths of a release's files. `index`: names tried in a directory, in order.
pub fn paths<F: Clone>(files: HashMap<String, F>, index: &[String]) -> Paths<F> {
    let mut paths: Paths<F> = HashMap::with_capacity(files.len());
    // The last wins, so the first name of the list comes last.
    for name in index.iter().rev() {
        for (path, file) in &files {
            if let Some(directory) = path
                .strip_suffix(name.as_str())
                .filter(|d| d.ends_with('/'))
            {
                paths.insert(directory.to_owned(), Entry::File(file.clone()));
                if let Some(bare) = directory.strip_suffix('/').filter(|bare| !bare.is_empty()) {
                    paths.insert(bare.to_owned(), Entry::AddSlash);
                }
            }
        }
    }
    paths.extend(
        files
            .into_iter()
            .map(|(path, file)| (path, Entry::File(file))),
    );
    paths
}

/// Looks `path` (origin-form, perhaps with a query) up.
pub fn locate<'f, F>(path: &str, paths: &'f Paths<F>) -> Location<'f, F> {
    if paths.is_empty() {
        return Location::App;
    }
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    // What is not text names no file of ours; the app may know it.
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return Location::App;
    };
    if !is_plain(&path) {
        return Location::App;
    }
    match paths.get(path.as_ref()) {
        Some(Entry::File(file)) => Location::File(file),
        Some(Entry::AddSlash) => Location::AddSlash,
        None => Location::App,
    }
}

/// A path with `.`, `..`, empty segments or NUL is none that we list.
fn is_plain(path: &str) -> bool {
    !path.contains('\0') && !path.contains("//") && !path.contains("/.") && path.starts_with('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files() -> HashMap<String, u8> {
        let names = ["/style.css", "/docs/index.html", "/a b.txt", "/ü.txt"];
        names
            .iter()
            .zip(1..)
            .map(|(name, n)| ((*name).to_owned(), n))
            .collect()
    }

    #[track_caller]
    fn check(path: &str, expected: &Location<'_, u8>) {
        let paths = paths(files(), &["index.html".to_owned()]);
        assert_eq!(&locate(path, &paths), expected, "{path}");
    }

    #[test]
    fn files_directories_and_the_rest() {
        check("/style.css", &Location::File(&1));
        check("/style.css?v=3", &Location::File(&1));
        check("/st%79le.css", &Location::File(&1));
        check("/docs/", &Location::File(&2));
        check("/docs", &Location::AddSlash);
        check("/a%20b.txt", &Location::File(&3));
        check("/%C3%BC.txt", &Location::File(&4));
        check("/", &Location::App);
        check("/missing", &Location::App);
        check("*", &Location::App);
    }

    #[test]
    fn tricks_find_no_file() {
        for path in [
            "/docs/../style.css",
            "/docs/%2e%2e/style.css",
            "//style.css",
            "/./style.css",
            "/style.css%00",
            "/style.css/",
            "/%ff",
            "/..%2f..%2fetc/passwd",
            "/style.css\\",
        ] {
            check(path, &Location::App);
        }
    }

    proptest! {
        #[test]
        fn only_listed_files_are_ever_found(path in "/[ -~]{0,30}") {
            let paths = paths(files(), &["index.html".to_owned()]);
            if let Location::File(file) = locate(&path, &paths) {
                prop_assert!(files().values().any(|known| known == file));
            }
        }
    }
}
