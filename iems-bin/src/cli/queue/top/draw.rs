//! The lines of the view. Pure: everything that a peer chose is made printable, everything is cut to the width.

use super::super::super::output::{printable, span};
use super::view::View;
use crate::admin::queue::HopAnswer;

/// Lines before the first hop.
const HEAD: usize = 5;

/// At most `height` lines of at most `width` characters.
pub(super) fn lines(view: &View, width: usize, height: usize) -> Vec<String> {
    let mut lines = head(view);
    let hops = view.hops();
    let room = height.saturating_sub(HEAD + 1);
    let at = hops.iter().position(|hop| Some(&hop.name) == view.chosen.as_ref());
    let first = at.map_or(0, |at| (at + 1).saturating_sub(room));
    lines.extend(hops.iter().skip(first).take(room).map(|hop| row(view, hop)));
    if !view.word.is_empty() {
        lines.push(printable(&view.word));
    }
    let cut = |line: String| line.chars().take(width).collect::<String>().trim_end().to_owned();
    lines.into_iter().map(cut).take(height).collect()
}

fn head(view: &View) -> Vec<String> {
    let Some(all) = &view.overview else { return vec!["looking…".into()] };
    let oldest = all.oldest.map_or_else(|| "-".into(), span);
    let rate = view.rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}/min"));
    let state = match (&all.paused, all.running) {
        (Some(paused), _) => format!("everything is paused since {} {}", paused.since, paused.reason),
        (None, true) => format!("{} of {} workers", all.workers, all.most_workers),
        (None, false) => "no server runs".into(),
    };
    let depth = &all.depth;
    vec![
        format!("iems queue  {}  {}", all.at, printable(&state)),
        format!(
            "{} entries: {} waiting, {} deferred, {} held, {} scheduled; {} hops; oldest {oldest}",
            depth.depth, depth.waiting, depth.deferred, depth.held, depth.scheduled, all.hops
        ),
        format!("delivered {} ({rate}), put off {}, failed {}", all.delivered, all.put_off, all.failed),
        String::new(),
        format!(
            "{:<36} {:<8} {:>8} {:>8} {:>6} {:>7} {:>8} {:>7}  {}",
            "HOP", "STATE", "DEPTH", "DEFERRED", "HELD", "OLDEST", "RATE", "LINKS", "WHY"
        ),
    ]
}

/// How the line of a hop begins.
pub(super) fn name(hop: &HopAnswer) -> String {
    let name: String = printable(&hop.name).chars().take(36).collect();
    format!("{name:<36}")
}

fn row(view: &View, hop: &HopAnswer) -> String {
    let name = name(hop);
    let rate = view.rates.get(&hop.name).map_or_else(|| "-".into(), |rate| format!("{rate:.0}"));
    let why = hop.waits.first().map_or("", |why| why.brief.as_str());
    format!(
        "{name} {:<8} {:>8} {:>8} {:>6} {:>7} {rate:>8} {:>7}  {}",
        hop.state,
        hop.depth.depth,
        hop.depth.deferred,
        hop.depth.held,
        hop.oldest.map_or_else(|| "-".into(), span),
        format!("{}/{}", hop.links, hop.links_allowed),
        printable(why),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Sort;
    use super::*;
    use crate::admin::queue::OverviewAnswer;

    fn view() -> View {
        let hop = |name: &str, depth: u64, oldest: u64| {
            serde_json::json!({
                "name": name, "channel": "smtp", "hop": name, "site": null, "waiting": depth, "deferred": 0,
                "held": 0, "depth": depth, "oldest": oldest, "state": "open", "waits": [], "workers": 0, "links": 0,
                "links_allowed": 5, "attempts": 0, "delivered": 0,
            })
        };
        let overview = serde_json::json!({
            "at": "2026-09-21T14:13:20Z", "running": true, "waiting": 30, "deferred": 0, "held": 0, "depth": 30,
            "hops": 3, "oldest": 90, "workers": 1, "most_workers": 200, "paused": null, "delivered": 7, "put_off": 0,
            "failed": 0, "first": [hop("smtp:a.example", 5, 90), hop("smtp:b\u{1b}[2J.example", 20, 8), hop("smtp:c.example", 5, 7)],
        });
        let mut view = View::new(Sort::Depth);
        view.look(serde_json::from_value::<OverviewAnswer>(overview).unwrap());
        view
    }

    #[test]
    fn everything_fits_and_nothing_moves_the_cursor() {
        let mut view = view();
        view.word = "x".repeat(500);
        for (width, height) in [(80, 24), (20, 7), (1, 1), (0, 0), (200, 6)] {
            let lines = lines(&view, width, height);
            assert!(lines.len() <= height && lines.iter().all(|line| line.chars().count() <= width));
            assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
        }
    }

    #[test]
    fn the_chosen_hop_stays_chosen_and_in_sight() {
        let mut view = view();
        let first = |view: &View| view.hops()[0].name.clone();
        assert!(first(&view).starts_with("smtp:b"));
        view.step(1);
        view.step(2);
        assert_eq!(view.hop().unwrap().name, "smtp:c.example");
        assert!(lines(&view, 80, HEAD + 2).last().unwrap().contains("smtp:c.example"));
        view.turn(true);
        assert_eq!((view.sort, first(&view).as_str()), (Sort::Oldest, "smtp:a.example"));
        assert_eq!(view.hop().unwrap().name, "smtp:c.example");
        view.turn(false);
        view.turn(false);
        assert_eq!(view.sort, Sort::Name);
    }
}
