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

/// Looks `path` (origin-form, perhaps with a query) up in `files`, whose keys are decoded URL paths:
/// `/style.css`, `/docs/index.html`.
pub fn locate<'f, F>(
    path: &str,
    files: &'f HashMap<String, F>,
    index: &[String],
) -> Location<'f, F> {
    if files.is_empty() {
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
    if path.ends_with('/') {
        return index
            .iter()
            .find_map(|name| files.get(&format!("{path}{name}")))
            .map_or(Location::App, Location::File);
    }
    match files.get(path.as_ref()) {
        Some(file) => Location::File(file),
        None if is_directory(&path, files, index) => Location::AddSlash,
        None => Location::App,
    }
}

/// A path with `.`, `..`, empty segments or NUL is none that we list.
fn is_plain(path: &str) -> bool {
    !path.contains('\0') && !path.contains("//") && !path.contains("/.") && path.starts_with('/')
}

fn is_directory<F>(path: &str, files: &HashMap<String, F>, index: &[String]) -> bool {
    index
        .iter()
        .any(|name| files.contains_key(&format!("{path}/{name}")))
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
        let files = files();
        assert_eq!(
            &locate(path, &files, &["index.html".to_owned()]),
            expected,
            "{path}"
        );
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
            let files = files();
            if let Location::File(file) = locate(&path, &files, &["index.html".to_owned()]) {
                prop_assert!(files.values().any(|known| known == file));
            }
        }
    }
}
