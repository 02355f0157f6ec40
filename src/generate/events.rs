//! Events of an invented social network, in the manner of a network's live feed: nested records of several kinds,
//! with keys that are missing, null or of varying depth, and text in many languages.
//!
//! Most events are commits: somebody created, changed or deleted a record in one of the collections (posts, likes,
//! reposts, follows, blocks, profiles). The rest tell of changed identities and accounts.

use super::clock::{Clock, Moment};
use super::line::Line;
use super::random::{Random, Skew, mix};
use super::words::{EMOJI, ESCAPED, HASHTAGS, LANGUAGES};

/// The people who act.
const ACTORS: u32 = 100_000;
/// 2025-01-01, as days since 1970-01-01.
const FIRST_DAY: u32 = 20_089;
/// Events are up to two seconds early or late.
const DISORDER: u32 = 2_000;

const POST: &str = "app.plaza.feed.post";
const LIKE: &str = "app.plaza.feed.like";
const REPOST: &str = "app.plaza.feed.repost";
const FOLLOW: &str = "app.plaza.graph.follow";
const BLOCK: &str = "app.plaza.graph.block";
const PROFILE: &str = "app.plaza.actor.profile";

/// Makes events.
#[derive(Debug)]
pub struct Events {
    stream: u64,
    /// Names the actors; another word gives other people.
    people: u64,
    actors: Skew,
    clock: Clock,
}

/// What all parts of one event need.
struct Event<'a, 'b> {
    events: &'a Events,
    random: Random,
    moment: Moment,
    /// Microseconds since 1970-01-01.
    time_us: u64,
    line: Line<'b>,
}

impl Events {
    /// Events drawn from one stream.
    pub fn new(stream: u64) -> Events {
        Events {
            stream,
            people: mix(!stream),
            actors: Skew::new(ACTORS, 32),
            clock: Clock::new(FIRST_DAY, 31, DISORDER),
        }
    }

    /// Writes one event and a line feed.
    pub fn write(&self, row: u64, out: &mut Vec<u8>) {
        let mut random = Random::of(self.stream, row);
        let actor = self.actors.pick(&mut random);
        let moment = self.clock.moment(row, &mut random);
        let millisecond = u64::from(FIRST_DAY) * 86_400_000 + moment.0;
        let time_us = millisecond * 1_000 + u64::from(random.below(1_000));
        let what = random.below(256);
        let mut event = Event { events: self, random, moment, time_us, line: Line(out) };
        event.line.raw(r#"{"did":""#);
        event.did(actor);
        event.line.raw(r#"","time_us":"#).int(time_us).raw(r#","kind":""#);
        match what {
            0..=59 => event.create(POST),
            60..=61 => event.update(POST),
            62..=65 => event.delete(POST),
            66..=165 => event.create(LIKE),
            166..=175 => event.delete(LIKE),
            176..=203 => event.create(REPOST),
            204..=229 => event.create(FOLLOW),
            230..=235 => event.delete(FOLLOW),
            236..=239 => event.create(BLOCK),
            240..=247 => event.update(PROFILE),
            248..=252 => event.identity(actor, row),
            _ => event.account(actor, row),
        }
        event.line.raw("}\n");
    }
}

impl Event<'_, '_> {
    fn create(&mut self, collection: &str) {
        self.begin_commit("create", collection);
        self.record(collection);
    }

    fn update(&mut self, collection: &str) {
        self.begin_commit("update", collection);
        self.record(collection);
    }

    fn delete(&mut self, collection: &str) {
        self.begin_commit("delete", collection);
        self.line.raw(r#","prev":"#);
        self.hash();
        self.line.raw("}");
        self.signature();
    }

    fn begin_commit(&mut self, operation: &str, collection: &str) {
        let line = &mut self.line;
        line.raw(r#"commit","commit":{"rev":""#).base32::<11>(self.time_us).raw(r#"","operation":""#).raw(operation);
        line.raw(r#"","collection":""#).raw(collection).raw(r#"","key":""#);
        if collection == PROFILE {
            line.raw("self\"");
        } else {
            line.base32::<13>(self.time_us * 1_024 + u64::from(self.random.below(1_024))).raw("\"");
        }
    }

    fn record(&mut self, collection: &str) {
        self.line.raw(r#","record":{"$type":""#).raw(collection).raw(r#"","createdAt":""#);
        self.created_at();
        self.line.raw("\"");
        match collection {
            POST => self.post(),
            PROFILE => self.profile(),
            FOLLOW | BLOCK => {
                self.line.raw(r#","subject":""#);
                self.anyone();
                self.line.raw("\"");
            }
            _ => {
                self.line.raw(r#","subject":"#);
                self.reference();
                // Seen in somebody's repost: a key that few records have.
                if self.random.percent(8) {
                    self.line.raw(r#","via":"#);
                    self.reference();
                }
            }
        }
        self.line.raw(r#"},"hash":"#);
        self.hash();
        self.line.raw("}");
    }

    fn post(&mut self) {
        let reply = self.random.percent(35);
        let language = self.random.pick(&LANGUAGES);
        match self.random.below(20) {
            0 => {}
            1 => {
                self.line.raw(r#","langs":null"#);
            }
            n => {
                let second = if n == 2 { r#"","en"]"# } else { "\"]" };
                self.line.raw(r#","langs":[""#).raw(language.tag).raw(second);
            }
        }

        // A square makes short texts the most frequent. `bytes` counts the text as a reader decodes it.
        self.line.raw(r#","text":""#);
        let length = self.random.below(14) as usize * self.random.below(14) as usize;
        let mut bytes = 0;
        while bytes < length {
            let word = match self.random.below(32) {
                0 => self.random.pick(&EMOJI),
                1 => {
                    let (escaped, decoded) = self.random.pick(&ESCAPED);
                    self.line.raw(escaped);
                    bytes += decoded;
                    continue;
                }
                2..=4 => language.stop,
                _ => self.random.pick(language.words),
            };
            bytes += self.word(word) + self.word(language.between);
        }
        let tags = if reply { 0 } else { self.random.below(8).saturating_sub(5) };
        let mut facets = [("", 0, 0); 2];
        for facet in facets.iter_mut().take(tags as usize) {
            let tag = self.random.pick(&HASHTAGS);
            let start = bytes + self.word(" ");
            bytes = start + self.word("#") + self.word(tag);
            *facet = (tag, start, bytes);
        }
        self.line.raw("\"");

        if reply {
            self.line.raw(r#","reply":{"parent":"#);
            self.reference();
            if self.random.percent(50) {
                self.line.raw(r#","root":"#);
                self.reference();
            } else {
                self.line.raw(r#","root":null"#);
            }
            self.line.raw("}");
        } else {
            if self.random.percent(10) {
                self.line.raw(r#","reply":null"#);
            }
            self.facets(&facets[..tags as usize]);
            self.embed();
        }
    }

    /// Writes a word and gives its length in bytes.
    fn word(&mut self, word: &str) -> usize {
        self.line.raw(word);
        word.len()
    }

    /// The places of hashtags in the text, as byte offsets into it.
    fn facets(&mut self, facets: &[(&str, usize, usize)]) {
        if facets.is_empty() {
            if self.random.percent(5) {
                self.line.raw(r#","facets":[]"#);
            }
            return;
        }
        self.line.raw(r#","facets":["#);
        for (nth, (tag, start, end)) in facets.iter().enumerate() {
            self.line.raw(if nth == 0 { "" } else { "," });
            self.line.raw(r#"{"index":{"byteStart":"#).int(*start as u64).raw(r#","byteEnd":"#).int(*end as u64);
            self.line.raw(r#"},"tag":""#).raw(tag).raw("\"}");
        }
        self.line.raw("]");
    }

    fn embed(&mut self) {
        match self.random.below(16) {
            0..=2 => {
                self.line.raw(r#","embed":{"$type":"app.plaza.embed.images","images":["#);
                for nth in 0..1 + self.random.below(3) / 2 {
                    self.line.raw(if nth == 0 { "" } else { "," }).raw(r#"{"alt":""#);
                    self.line.raw(self.random.pick(&["", "", "a quiet street", "窓と猫", "\\\"untitled\\\""]));
                    self.line.raw(r#"","ratio":["#).int(u64::from(1 + self.random.below(16)));
                    self.line.raw(",").int(u64::from(1 + self.random.below(9)));
                    self.line.raw(r#"],"size":"#).int(u64::from(20_000 + self.random.below(900_000))).raw("}");
                }
                self.line.raw("]}");
            }
            3 => {
                self.line.raw(r#","embed":{"$type":"app.plaza.embed.link","uri":"https:\/\/example.org\/"#);
                self.line.base32::<8>(self.random.next()).raw(r#"","title":""#);
                self.line.raw(self.random.pick(&HASHTAGS)).raw(r#"","thumb":null}"#);
            }
            4 => {
                self.line.raw(r#","embed":{"$type":"app.plaza.embed.quote","post":"#);
                self.reference();
                self.line.raw("}");
            }
            5 => {
                self.line.raw(r#","embed":null"#);
            }
            _ => {}
        }
    }

    fn profile(&mut self) {
        let language = self.random.pick(&LANGUAGES);
        self.line.raw(r#","displayName":""#);
        self.line.raw(self.random.pick(language.words)).raw(" ").raw(self.random.pick(&EMOJI));
        self.line.raw(r#"","description":"#);
        if self.random.percent(25) {
            self.line.raw("null");
        } else {
            self.line.raw("\"");
            for _ in 0..1 + self.random.below(8) {
                self.line.raw(self.random.pick(language.words)).raw(language.between);
            }
            self.line.raw("\"");
        }
        self.line.raw(r#","avatar":{"mime":"image/png","size":"#).int(u64::from(9_000 + self.random.below(90_000)));
        self.line.raw("}");
        if self.random.percent(40) {
            self.line.raw(r#","pinned":"#);
            self.reference();
        }
    }

    fn identity(&mut self, actor: u32, row: u64) {
        self.line.raw(r#"identity","identity":{"did":""#);
        self.did(actor);
        self.line.raw(r#"","rev":""#).base32::<11>(self.time_us).raw(r#"","handle":"#);
        if self.random.percent(10) {
            self.line.raw("null");
        } else {
            self.line.raw("\"").base32::<9>(self.random.next()).raw(".example.com\"");
        }
        self.line.raw(r#","seq":"#).int(row).raw(r#","time":""#);
        self.created_at();
        self.line.raw("\"}");
        self.signature();
    }

    fn account(&mut self, actor: u32, row: u64) {
        let active = self.random.percent(60);
        self.line.raw(r#"account","account":{"active":"#).bool(active).raw(r#","did":""#);
        self.did(actor);
        self.line.raw(r#"","rev":""#).base32::<11>(self.time_us);
        self.line.raw(r#"","seq":"#).int(row).raw(r#","time":""#);
        self.created_at();
        self.line.raw("\"");
        if !active {
            let status = self.random.pick(&["deactivated", "deleted", "suspended"]);
            self.line.raw(r#","status":""#).raw(status).raw("\"");
        }
        self.line.raw("}");
        self.signature();
    }

    /// When the record says that it was made: a little before the event, by one of several formats.
    fn created_at(&mut self) {
        let before = if self.random.percent(2) { self.random.next() % 864_000_000 } else { self.random.next() % 3_000 };
        let moment = self.moment.before(before);
        self.line.bytes(self.events.clock.date(moment)).raw("T").clock(moment.second_of_day());
        let (thousandths, end) = match self.random.below(16) {
            0 => (false, "Z"),
            1 => (true, "+00:00"),
            2 => (true, "123Z"),
            _ => (true, "Z"),
        };
        if thousandths {
            self.line.thousandths(moment.millisecond());
        }
        self.line.raw(end);
    }

    /// A post of somebody's. It need not be among the events.
    fn reference(&mut self) {
        self.line.raw(r#"{"hash":"#);
        self.hash();
        self.line.raw(r#","uri":"plaza://"#);
        self.anyone();
        let key = self.time_us * 1_024 - (self.random.next() >> 12);
        self.line.raw("/").raw(POST).raw("/").base32::<13>(key).raw("\"}");
    }

    fn anyone(&mut self) {
        let actor = self.events.actors.pick(&mut self.random);
        self.did(actor);
    }

    /// An identifier in the method that the standard of decentralised identifiers keeps for examples.
    fn did(&mut self, actor: u32) {
        let word = mix(self.events.people.wrapping_add(u64::from(actor)));
        self.line.raw("did:example:").base32::<13>(word).base32::<11>(mix(word));
    }

    fn hash(&mut self) {
        self.line.raw("\"h1");
        for _ in 0..3 {
            self.line.base32::<12>(self.random.next());
        }
        self.line.raw("\"");
    }

    fn signature(&mut self) {
        self.line.raw(r#","sig":""#);
        for _ in 0..5 {
            self.line.hex(self.random.next());
        }
        self.line.raw("\"");
    }
}
