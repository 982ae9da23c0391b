//! Random mail, random states of the index, random texts.

use proptest::prelude::*;
use proptest::sample::Index as Place;

use super::mail::{Form, WORDS, message};
use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// A message of words with something between them.
    Add(Vec<(usize, usize)>, Form, bool),
    Expunge(Place),
    /// Into another mailbox, as a copy or not.
    Carry(Place, bool),
    Index,
    Drop,
    /// The process ends, and begins anew.
    Reopen,
    /// A file of the index, a place in it, and whether it is cut off there.
    Damage(Place, Place, bool),
    /// A folder of another account's index takes the place.
    Foreign,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let form = (0..4usize, 0..3usize, 0..5usize).prop_map(|(charset, transfer, around)| Form {
        charset,
        transfer,
        around,
    });
    let words = proptest::collection::vec((0..WORDS.len(), 0..4usize), 0..8);
    let step = prop_oneof![
        8 => (words, form, any::<bool>()).prop_map(|(words, form, with)| Step::Add(words, form, with)),
        2 => any::<Place>().prop_map(Step::Expunge),
        2 => (any::<Place>(), any::<bool>()).prop_map(|(place, copy)| Step::Carry(place, copy)),
        4 => Just(Step::Index),
        1 => Just(Step::Drop),
        1 => Just(Step::Reopen),
        2 => (any::<Place>(), any::<Place>(), any::<bool>()).prop_map(|(f, at, cut)| Step::Damage(f, at, cut)),
        1 => Just(Step::Foreign),
    ];
    proptest::collection::vec(step, 1..24)
}

fn text(words: &[(usize, usize)]) -> String {
    words.iter().map(|(word, gap)| [WORDS[*word], [" ", "\r\n", "", " x "][*gap]].concat()).collect()
}

/// Pieces of texts and words, in any case; some are nowhere.
fn needles(texts: &[String], cuts: &[(Place, Place, usize)]) -> Vec<Needle> {
    let mut needles = Vec::new();
    let more =
        WORDS.iter().map(|word| (*word).to_owned()).chain(["nowhere", "", "\u{fc}ber"].map(str::to_owned));
    let pieces = cuts.iter().filter(|_| !texts.is_empty()).map(|(text, from, length)| {
        let letters: Vec<char> = texts[text.index(texts.len())].chars().collect();
        let from = from.index(letters.len() + 1);
        letters[from..].iter().take(*length).collect()
    });
    for (nth, text) in pieces.chain(more).enumerate() {
        let text: String = if nth % 2 == 0 { text.to_uppercase() } else { text };
        needles.push(Needle { text: fold(&text), headers: nth % 3 == 0 });
    }
    needles
}

async fn take(world: &mut World, step: Step, texts: &mut Vec<String>) {
    let infos = world.infos().await;
    let pick = |place: Place| infos.get(place.index(infos.len().max(1))).cloned();
    match step {
        Step::Add(words, form, with_structure) => {
            let text = text(&words);
            world.add(&message(&text, form), with_structure).await;
            texts.push(text);
        }
        Step::Expunge(place) => {
            if let Some((mailbox, info)) = pick(place) {
                world.mailboxes().expunge(world.account, mailbox, &[info.uid]).await.unwrap();
            }
        }
        Step::Carry(place, copy) => {
            let mailboxes = world.mailboxes();
            let now = Timestamp::from_millis(1);
            let other = match mailboxes.find(world.account, "Other").await.unwrap() {
                Some(other) => other,
                None => mailboxes.create(world.account, "Other", None, now).await.unwrap(),
            };
            if let Some((mailbox, info)) = pick(place) {
                let (from, to) = ((world.account, mailbox), (world.account, other));
                match copy {
                    true => mailboxes.copy(from, &[info.uid], to, now).await.unwrap(),
                    false => mailboxes.move_messages(from, &[info.uid], to, now).await.unwrap(),
                };
            }
        }
        Step::Index => {
            tokio::time::sleep(Duration::from_millis(2)).await;
            world.index_now().await;
            let held =
                world.infos().await.into_iter().map(|(_, info)| info.email).collect::<HashSet<_>>().len();
            let status = world.status().await.unwrap();
            // Where it was damaged, the run that met it began anew at most once.
            if status.state == IndexState::Current {
                assert_eq!(status.messages, held as u64);
            }
        }
        Step::Drop => {
            world.index.remove(world.account).await.unwrap();
            assert!(world.status().await.is_none() && !world.folder().exists());
        }
        Step::Reopen => {
            let folder = world.index.folder().to_owned();
            world.index = opened(world.mailboxes(), &folder);
        }
        Step::Damage(file, at, cut) => damage(world, file, at, cut),
        Step::Foreign => {
            let other = World::new().await;
            other.add_text("another's words and needle").await;
            other.index_now().await;
            let (from, to) = (other.folder(), world.folder());
            let _ = std::fs::remove_dir_all(&to);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::rename(from, to).unwrap();
            let folder = world.index.folder().to_owned();
            world.index = opened(world.mailboxes(), &folder);
        }
    }
}

/// Damages a file, of an index that is not open.
fn damage(world: &World, file: Place, at: Place, cut: bool) {
    world.index.shared.readers.forget(world.account);
    let Ok(files) = std::fs::read_dir(world.folder()) else { return };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let Some(path) = files.get(file.index(files.len().max(1))) else { return };
    let mut octets = std::fs::read(path).unwrap();
    let place = at.index(octets.len().max(1));
    match octets.get_mut(place) {
        Some(octet) if !cut => *octet ^= 0x10,
        _ => octets.truncate(place),
    }
    std::fs::write(path, octets).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_ruled_out_that_has_the_text(
        steps in steps(),
        cuts in proptest::collection::vec((any::<Place>(), any::<Place>(), 0..9usize), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut world, mut texts) = (World::new().await, Vec::new());
            for step in steps {
                take(&mut world, step, &mut texts).await;
                world.check(&needles(&texts, &cuts)).await;
            }
            // In the end, it is of use again, whatever happened.
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_millis(2)).await;
                world.index_now().await;
            }
            let messages = world.infos().await.len();
            assert_eq!(world.ruled_out("surely nowhere", true).await, messages);
            assert_eq!(world.status().await.unwrap().state, IndexState::Current);
        });
    }
}
