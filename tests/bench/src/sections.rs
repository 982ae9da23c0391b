//! `docs/benchmarks.md` has a section for each command of this program; writing one leaves the others as they are.

use std::path::PathBuf;

/// The page.
pub(crate) fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md")
}

/// The section with this title as it stands in a page; empty if there is none.
pub(crate) fn kept(page: &str, title: &str) -> String {
    parts(page, title).map_or_else(String::new, |(_, section, _)| section.to_owned())
}

/// Puts a section, which begins with its title, in the place of the one that is there, or at the end.
pub(crate) fn write(title: &str, section: &str) {
    let page = std::fs::read_to_string(file()).unwrap_or_default();
    std::fs::write(file(), replaced(&page, title, section)).expect("docs/benchmarks.md");
}

fn replaced(page: &str, title: &str, section: &str) -> String {
    match parts(page, title) {
        Some((before, _, after)) => [before, section, after].concat(),
        None => [page, section].concat(),
    }
}

/// What is before, in and behind the section.
fn parts<'a>(page: &'a str, title: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let from = page.find(title)?;
    let inside = from + title.len();
    let to = page[inside..].find("\n## ").map_or(page.len(), |end| inside + end);
    Some((&page[..from], &page[from..to], &page[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLE: &str = "\n## Two\n";

    #[test]
    fn a_section_takes_the_place_of_the_one_before_it_and_leaves_the_others() {
        let page = "# Page\n\n## One\n\na\n";
        let first = replaced(page, TITLE, &format!("{TITLE}\nold\n"));
        let more = format!("{first}\n## Behind\n\nb\n");
        let second = replaced(&more, TITLE, &format!("{TITLE}\nnew\n"));
        assert_eq!(second, format!("{page}{TITLE}\nnew\n\n## Behind\n\nb\n"));
        assert_eq!((kept(&second, TITLE), kept(page, TITLE)), (format!("{TITLE}\nnew\n"), String::new()));
    }
}
