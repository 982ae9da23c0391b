//! The live view: looks at the queue, draws, and listens to keys.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};

use super::screen::Screen;
use super::view::View;
use super::{Sort, draw};
use crate::admin::ask_server;
use crate::admin::queue::{Extent, Filter, Order, OrderAnswer, OverviewAnswer};
use crate::admin::request::Request;
use crate::config::Config;
use crate::exit::Failure;

/// Watches until somebody quits.
pub(super) fn run(config: &Config, request: &Request, every: Duration, sort: Sort) -> Result<(), Failure> {
    let mut view = View::new(sort);
    view.look(ask_server(config, request.clone())?); // whether a server runs is said before the screen is taken
    let mut screen = Screen::take().map_err(|error| {
        Failure::usage(format!("the live view needs a terminal ({error}): say --once, or --json"))
    })?;
    let mut next = Instant::now() + every;
    loop {
        let (width, height) = Screen::size();
        let lines = draw::lines(&view, width, height);
        let marked =
            view.hop().map(draw::name).and_then(|name| lines.iter().position(|line| line.starts_with(&name)));
        screen.draw(&lines, marked).map_err(Failure::io)?;
        if poll(next.saturating_duration_since(Instant::now())).map_err(Failure::io)? {
            if let Event::Key(key) = read().map_err(Failure::io)?
                && key.kind != KeyEventKind::Release
                && !pressed(config, &mut view, key)
            {
                return Ok(());
            }
            continue;
        }
        next = Instant::now() + every;
        match ask_server::<OverviewAnswer>(config, request.clone()) {
            Ok(overview) => view.look(overview),
            Err(failure) => view.word = failure.message, // it may come back
        }
    }
}

/// Does what the key means; `false` to quit.
fn pressed(config: &Config, view: &mut View, key: KeyEvent) -> bool {
    view.word.clear();
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Char('s') | KeyCode::Right => view.turn(true),
        KeyCode::Left => view.turn(false),
        KeyCode::Down | KeyCode::Char('j') => view.step(1),
        KeyCode::Up | KeyCode::Char('k') => view.step(-1),
        KeyCode::Char('p') => view.word = pause(config, view),
        KeyCode::Char('r') => view.word = retry(config, view),
        _ => view.word = "s sort  ↑↓ choose  p pause or resume  r retry  q quit".into(),
    }
    true
}

fn pause(config: &Config, view: &View) -> String {
    let Some(hop) = view.hop() else { return "choose a hop first: ↑ or ↓".into() };
    let (name, hop) = (hop.name.clone(), (hop.state == "paused", hop.name.clone()));
    let (request, word) = match hop {
        (true, hop) => (Request::QueueResume { hop: Some(hop) }, "goes on"),
        (false, hop) => {
            (Request::QueuePause { hop: Some(hop), reason: "from queue top".into() }, "is paused")
        }
    };
    match ask_server::<serde_json::Value>(config, request) {
        Ok(_) => format!("{name} {word}"),
        Err(failure) => failure.message,
    }
}

fn retry(config: &Config, view: &View) -> String {
    let Some(hop) = view.hop() else { return "choose a hop first: ↑ or ↓".into() };
    let filter = Filter { hop: Some(hop.name.clone()), ..Filter::default() };
    let request = Request::QueueOrder { filter, order: Order::Retry, extent: Extent::default() };
    match ask_server::<OrderAnswer>(config, request) {
        Ok(done) => format!("{} entries of {} to be tried now", done.changed, hop.name),
        Err(failure) => failure.message,
    }
}
