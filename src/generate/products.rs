//! Products of a shop: records with a nested object whose keys depend on the category.

use super::line::Line;
use super::random::{Random, mix};
use super::words::{BRAND_ENDS, BRAND_STARTS, COLORS, MATERIALS, STYLES};

/// Makes products.
#[derive(Debug)]
pub struct Products {
    seed: u64,
    stream: u64,
}

/// What a kind of product is called in a category.
const CATEGORIES: [(&str, [&str; 6]); 8] = [
    ("kitchen", ["Kettle", "Pan", "Whisk", "Teapot", "Grater", "Bread Knife"]),
    ("garden", ["Rake", "Trowel", "Hose", "Planter", "Watering Can", "Bird Bath"]),
    ("audio", ["Headphones", "Speaker", "Turntable", "Microphone", "Earbuds", "Amplifier"]),
    ("books", ["Atlas", "Novel", "Cookbook", "Field Guide", "Almanac", "Primer"]),
    ("clothing", ["Scarf", "Raincoat", "Socks", "Cardigan", "Beanie", "Gloves"]),
    ("toys", ["Puzzle", "Kite", "Spinning Top", "Marble Run", "Blocks", "Yo-yo"]),
    ("sports", ["Yoga Mat", "Racket", "Jump Rope", "Kettlebell", "Swim Goggles", "Climbing Chalk"]),
    ("office", ["Desk Lamp", "Stapler", "Notebook", "Fountain Pen", "Letter Tray", "Monitor Stand"]),
];

impl Products {
    /// Products of one seed, drawn from one stream.
    pub fn new(seed: u64, stream: u64) -> Products {
        Products { seed, stream }
    }

    /// Writes one product and a line feed.
    pub fn write(&self, row: u64, out: &mut Vec<u8>) {
        let random = &mut Random::of(self.stream, row);
        let (category, nouns) = random.pick(&CATEGORIES);
        let line = &mut Line(out);
        write_id(row, line.raw(r#"{"productId":""#));
        line.raw(r#"","name":""#).raw(random.pick(&STYLES)).raw(" ").raw(random.pick(&nouns));
        line.raw(" ").int(u64::from(1 + random.below(99)) * 10);
        line.raw(r#"","category":""#).raw(category);
        line.raw(r#"","brand":""#).raw(random.pick(&BRAND_STARTS)).raw(random.pick(&BRAND_ENDS));
        line.raw(r#"","price":"#).hundredths(list_price(self.seed, row));
        let stock = if random.percent(10) { 0 } else { random.below(500) };
        line.raw(r#","stock":"#).int(u64::from(stock));
        write_attributes(category, line.raw(r#","attributes":"#), random);
        line.raw(r#","rating":"#);
        if random.percent(15) {
            line.raw("null");
        } else {
            line.hundredths(10 * (25 + random.below(26)));
        }
        line.raw("}\n");
    }
}

/// Writes the id of a product of a number from 0.
#[inline]
pub fn write_id(product: u64, line: &mut Line<'_>) {
    line.raw("p-").at_least_four(product.saturating_add(1));
}

/// The list price of a product, in hundredths: 1 to 1,311, the cheaper the more frequent, often ending in .99.
pub fn list_price(seed: u64, product: u64) -> u32 {
    let random = &mut Random::of(mix(seed) ^ mix(0x7072_6963_6573), product);
    let base = 128 << random.below(10);
    let price = base + random.below(base);
    let whole = price / 100 * 100;
    match random.below(8) {
        0..=3 => whole + 99,
        4 => whole + 95,
        5 => whole.max(100),
        6 => whole + 50,
        _ => price,
    }
}

fn write_attributes(category: &str, line: &mut Line<'_>, random: &mut Random) {
    line.raw("{");
    match category {
        "books" => {
            line.raw(r#""pages":"#).int(u64::from(48 + random.below(900)));
            line.raw(r#","language":""#).raw(random.pick(&["en", "de", "fr", "ja", "zh", "ar", "pt"])).raw("\"");
            line.raw(r#","paperback":"#).bool(random.percent(60));
        }
        "clothing" => {
            line.raw(r#""color":""#).raw(random.pick(&COLORS));
            line.raw(r#"","material":""#).raw(random.pick(&MATERIALS)).raw(r#"","sizes":["#);
            line.raw(random.pick(&["", r#""M""#, r#""S","M""#, r#""S","M","L""#, r#""XS","S","M","L","XL""#])).raw("]");
        }
        "audio" => {
            line.raw(r#""color":""#).raw(random.pick(&COLORS));
            line.raw(r#"","wireless":"#).bool(random.percent(70));
            line.raw(r#","batteryHours":"#);
            if random.percent(30) {
                line.raw("null");
            } else {
                line.int(u64::from(4 + random.below(60)));
            }
        }
        _ => {
            line.raw(r#""color":""#).raw(random.pick(&COLORS));
            line.raw(r#"","weightG":"#).int(u64::from(20 + random.below(4_000)));
            if random.percent(60) {
                line.raw(r#","dimensions":{"w":"#).hundredths(10 * random.below(1_000));
                line.raw(r#","h":"#).hundredths(10 * random.below(1_000));
                line.raw(r#","d":"#).hundredths(10 * random.below(1_000)).raw("}");
            }
        }
    }
    line.raw("}");
}
