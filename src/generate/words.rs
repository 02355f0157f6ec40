//! The words and syllables that names and texts are made of. All of them are plain inside a JSON string, save those
//! of [`ESCAPED`].

/// How the names of a part of the world are put together: start, end, between, start, end.
#[derive(Clone, Copy, Debug)]
pub struct Culture {
    /// ISO 3166 codes of the countries of its people.
    pub countries: &'static [&'static str],
    /// How a name begins.
    pub starts: &'static [&'static str],
    /// How it goes on.
    pub ends: &'static [&'static str],
    /// What stands between two names.
    pub between: &'static str,
}

/// The cultures, the more frequent ones several times.
pub const CULTURES: [Culture; 20] = [
    ENGLISH, ENGLISH, ENGLISH, ENGLISH, EUROPEAN, EUROPEAN, EUROPEAN, EUROPEAN, LATIN, LATIN, HAN, HAN, KANA, HANGUL,
    CYRILLIC, GREEK, ARABIC, HEBREW, DEVANAGARI, THAI,
];

const ENGLISH: Culture = Culture {
    countries: &["US", "US", "US", "GB", "CA", "AU", "NZ", "IE", "ZA"],
    starts: &["Bel", "Cor", "Dar", "Fen", "Gal", "Hol", "Jas", "Kel", "Lor", "Mer", "Nor", "Pel", "Ros", "Tam", "Vel"],
    ends: &["abel", "adin", "ara", "brook", "den", "ella", "ia", "mond", "o'vey", "ric", "stan", "wick", "yn", "-ash"],
    between: " ",
};
const EUROPEAN: Culture = Culture {
    countries: &["DE", "DE", "FR", "SE", "PL", "CZ", "TR", "HU", "IS", "DK"],
    starts: &["Bär", "Çel", "Élo", "Grü", "Håk", "Jør", "Łuk", "Mün", "Öst", "Śli", "Þór", "Žel", "Kő", "Räu"],
    ends: &["bæk", "dé", "ßen", "ström", "ülü", "ňa", "ère", "mann", "ðra", "szó", "ęta", "öğ"],
    between: " ",
};
const LATIN: Culture = Culture {
    countries: &["BR", "MX", "ES", "PT", "AR", "CO", "IT", "VN"],
    starts: &["Bel", "Cão", "Fé", "Íta", "Jo", "Lú", "Mari", "Nuñ", "Pié", "Sán", "Tô", "Và", "Xim"],
    ends: &["ção", "dez", "ella", "ões", "ío", "rão", "tín", "viña", "zú", "ở", "inha"],
    between: " ",
};
const HAN: Culture = Culture {
    countries: &["CN", "CN", "CN", "TW", "SG", "HK"],
    starts: &["青", "石", "云", "林", "白", "禾", "江", "木", "雨", "松"],
    ends: &["山", "舟", "溪", "月", "竹", "峰", "雪", "桥", "𠮷"],
    between: "",
};
const KANA: Culture = Culture {
    countries: &["JP"],
    starts: &["ハル", "ミナ", "ソラ", "カゼ", "ユキ", "モリ", "あお", "つき"],
    ends: &["ノ", "サワ", "ミ", "ベ", "ヒラ", "オカ", "うら", "ガミ"],
    between: " ",
};
const HANGUL: Culture = Culture {
    countries: &["KR"],
    starts: &["하", "솔", "별", "새", "온", "누", "달", "빛"],
    ends: &["나", "람", "미", "빈", "솜", "울", "결"],
    between: "",
};
const CYRILLIC: Culture = Culture {
    countries: &["UA", "BG", "RS", "KZ", "RU"],
    starts: &["Бел", "Вес", "Зор", "Кал", "Лад", "Мир", "Сне", "Яр", "Їжа"],
    ends: &["ана", "енко", "ица", "ов", "ослав", "ура", "ян", "ћ"],
    between: " ",
};
const GREEK: Culture = Culture {
    countries: &["GR", "CY"],
    starts: &["Αλ", "Βερ", "Θαλ", "Καλ", "Λυ", "Μελ", "Φαι", "Ώρ"],
    ends: &["άνης", "ία", "ίδης", "ώνη", "ος", "ούλα"],
    between: " ",
};
const ARABIC: Culture = Culture {
    countries: &["EG", "MA", "AE", "SA", "JO"],
    starts: &["نور", "سما", "ريم", "بحر", "قمر", "فجر", "زهر"],
    ends: &["ان", "ية", "اوي", "ين", "ة"],
    between: " ",
};
const HEBREW: Culture = Culture {
    countries: &["IL"],
    starts: &["אור", "טל", "גל", "רון", "שחר", "ים"],
    ends: &["ית", "אל", "ן", "ה", "י"],
    between: " ",
};
const DEVANAGARI: Culture = Culture {
    countries: &["IN", "IN", "NP"],
    starts: &["आका", "नील", "मे", "सूर", "चाँद", "वर्षा"],
    ends: &["श", "मा", "घा", "ज्या", "नी", "ल"],
    between: " ",
};
const THAI: Culture = Culture {
    countries: &["TH"],
    starts: &["ดาว", "ฝน", "ทะเล", "ฟ้า", "ลม"],
    ends: &["ใส", "เย็น", "งาม", "ดี", "ทอง"],
    between: " ",
};

/// How invented brands and mailbox names begin.
pub const BRAND_STARTS: [&str; 16] = [
    "nor", "vel", "kest", "brum", "ald", "tiv", "zor", "mell", "quar", "fenn", "hask", "ori", "plin", "ruv", "sel",
    "tamb",
];
/// How invented brands and mailbox names go on.
pub const BRAND_ENDS: [&str; 12] =
    ["ane", "ova", "ick", "umi", "ero", "ith", "andel", "ory", "exa", "oon", "ivar", "otte"];

/// What a product's name begins with.
pub const STYLES: [&str; 12] = [
    "Compact",
    "Classic",
    "Café",
    "Nordic",
    "Everyday",
    "Folding",
    "Großer",
    "Mini",
    "Pro",
    "Señor",
    "Travel",
    "Quiet \\\"Q\\\"",
];
/// Colours.
pub const COLORS: [&str; 9] = ["red", "black", "white", "olive", "navy", "teal", "grey", "amber", "crème"];
/// What clothes are made of.
pub const MATERIALS: [&str; 6] = ["wool", "cotton", "linen", "silk", "recycled polyester", "hemp"];

/// A language that posts are written in.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// Its tag, as in a post's `langs`.
    pub tag: &'static str,
    /// Some words.
    pub words: &'static [&'static str],
    /// What stands between two words.
    pub between: &'static str,
    /// What ends a sentence.
    pub stop: &'static str,
}

/// The languages, the more frequent ones several times.
pub const LANGUAGES: [Language; 16] = [
    LANG_EN, LANG_EN, LANG_EN, LANG_EN, LANG_EN, LANG_JA, LANG_JA, LANG_JA, LANG_PT, LANG_DE, LANG_ZH, LANG_AR,
    LANG_KO, LANG_RU, LANG_HI, LANG_TH,
];

const LANG_EN: Language = Language {
    tag: "en",
    words: &[
        "the", "morning", "train", "was", "late", "again", "and", "coffee", "never", "tasted", "better", "a", "small",
        "bird", "sat", "on", "my", "window", "who", "painted", "this", "sky", "today", "I", "finally", "fixed", "old",
        "radio", "it's", "raining", "don't", "forget", "umbrella",
    ],
    between: " ",
    stop: ". ",
};
const LANG_JA: Language = Language {
    tag: "ja",
    words: &[
        "今日は",
        "朝から",
        "雨が",
        "降って",
        "います",
        "新しい",
        "本を",
        "読んだ",
        "コーヒー",
        "を飲む",
        "猫が",
        "窓の",
        "そばで",
        "眠い",
        "電車",
    ],
    between: "",
    stop: "。",
};
const LANG_PT: Language = Language {
    tag: "pt",
    words: &[
        "não",
        "sei",
        "amanhã",
        "chuva",
        "coração",
        "café",
        "você",
        "também",
        "lição",
        "à",
        "noite",
        "canção",
        "pão",
        "é",
        "verão",
    ],
    between: " ",
    stop: "! ",
};
const LANG_DE: Language = Language {
    tag: "de",
    words: &[
        "heute",
        "schön",
        "Straße",
        "über",
        "Frühstück",
        "und",
        "Brötchen",
        "mit",
        "Käse",
        "größer",
        "als",
        "gestern",
        "wäre",
        "Zug",
        "spät",
    ],
    between: " ",
    stop: ". ",
};
const LANG_ZH: Language = Language {
    tag: "zh",
    words: &[
        "今天",
        "天气",
        "很好",
        "我们",
        "一起",
        "去",
        "公园",
        "喝茶",
        "下雨",
        "了",
        "这",
        "本书",
        "真",
        "有意思",
        "早上",
        "火车",
    ],
    between: "",
    stop: "。",
};
const LANG_AR: Language = Language {
    tag: "ar",
    words: &["صباح", "الخير", "القهوة", "اليوم", "المطر", "جميل", "كتاب", "جديد", "في", "المدينة", "شكرا", "البحر"],
    between: " ",
    stop: "، ",
};
const LANG_KO: Language = Language {
    tag: "ko",
    words: &["오늘", "아침", "커피", "정말", "좋아요", "비가", "와요", "새", "책을", "읽었다", "고양이", "기차"],
    between: " ",
    stop: ". ",
};
const LANG_RU: Language = Language {
    tag: "ru",
    words: &["сегодня", "утром", "дождь", "и", "кофе", "новая", "книга", "очень", "тихо", "на", "улице", "поезд"],
    between: " ",
    stop: ". ",
};
const LANG_HI: Language = Language {
    tag: "hi",
    words: &["आज", "सुबह", "चाय", "बारिश", "नई", "किताब", "बहुत", "अच्छी", "है", "शहर", "में"],
    between: " ",
    stop: "। ",
};
const LANG_TH: Language = Language {
    tag: "th",
    words: &["วันนี้", "ฝนตก", "กาแฟ", "อร่อย", "มาก", "หนังสือ", "ใหม่", "รถไฟ", "ตอนเช้า"],
    between: "",
    stop: " ",
};

/// Emoji, some of several code points.
pub const EMOJI: [&str; 12] = ["😀", "🚀", "☕", "🌧️", "🐈", "📚", "🎉", "👩‍🚀", "🇯🇵", "👍🏽", "❤️", "🦋"];

/// Words that are written with escapes, and the number of bytes of UTF-8 that each stands for.
pub const ESCAPED: [(&str, usize); 9] = [
    (r"\n", 1),
    (r#"\"well\""#, 6),
    (r"C:\\temp", 7),
    (r"\u00e9t\u00e9", 5),
    (r"\ud83d\ude80", 4),
    (r"and\/or", 6),
    (r"\t", 1),
    (r"\u4f60\u597d", 6),
    (r"\u0026", 1),
];

/// Hashtags, without the `#`.
pub const HASHTAGS: [&str; 10] =
    ["coffee", "読書", "rainyday", "музыка", "photography", "猫", "café", "opensource", "صباح", "maps"];
