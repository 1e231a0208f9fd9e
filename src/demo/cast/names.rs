//! Names of people, and the logins formed from them.

/// A name in its own script, and its letters for logins.
pub(super) type Written = (&'static str, &'static str);

/// Given names and surnames that go together.
pub(super) struct Culture {
    pub(super) given: &'static [Written],
    pub(super) surnames: &'static [Written],
    pub(super) language: &'static str,
}

/// The origin of names.
pub(super) const CULTURES: &[Culture] = &[
    Culture {
        given: &[
            ("Emma", "emma"),
            ("Noah", "noah"),
            ("Olivia", "olivia"),
            ("Liam", "liam"),
            ("Mary-Jane", "maryjane"),
            ("Max", "max"),
        ],
        surnames: &[
            ("Brown", "brown"),
            ("Davis", "davis"),
            ("O'Brien", "obrien"),
            ("Smith-Jones", "smithjones"),
            ("Reed", "reed"),
            ("Green", "green"),
        ],
        language: "en",
    },
    Culture {
        given: &[
            ("Åsa", "asa"),
            ("Bjørn", "bjorn"),
            ("Håkon", "hakon"),
            ("Søren", "soren"),
            ("Þórdís", "thordis"),
            ("Linnéa", "linnea"),
        ],
        surnames: &[
            ("Åkesson", "akesson"),
            ("Jørgensen", "jorgensen"),
            ("Håland", "haland"),
            ("Eriksson", "eriksson"),
            ("Olsen", "olsen"),
        ],
        language: "sv",
    },
    Culture {
        given: &[
            ("Günther", "guenther"),
            ("Petra", "petra"),
            ("Jürgen", "juergen"),
            ("Clara", "clara"),
            ("Wolfgang", "wolfgang"),
        ],
        surnames: &[
            ("Müller", "mueller"),
            ("Weiß", "weiss"),
            ("Schröder", "schroeder"),
            ("von der Heide", "vonderheide"),
            ("Keller", "keller"),
        ],
        language: "de",
    },
    Culture {
        given: &[
            ("Chloé", "chloe"),
            ("Élodie", "elodie"),
            ("Jean-Luc", "jeanluc"),
            ("Véronique", "veronique"),
            ("Loïc", "loic"),
        ],
        surnames: &[
            ("François", "francois"),
            ("Lefèvre", "lefevre"),
            ("D'Angelo", "dangelo"),
            ("Bélanger", "belanger"),
            ("Noël", "noel"),
        ],
        language: "fr",
    },
    Culture {
        given: &[
            ("María", "maria"),
            ("Joaquín", "joaquin"),
            ("Inés", "ines"),
            ("Óscar", "oscar"),
            ("João", "joao"),
        ],
        surnames: &[
            ("García", "garcia"),
            ("Nuñez", "nunez"),
            ("de la Cruz", "delacruz"),
            ("Quirós", "quiros"),
            ("Araújo", "araujo"),
        ],
        language: "es",
    },
    Culture {
        given: &[
            ("Kateřina", "katerina"),
            ("Łukasz", "lukasz"),
            ("Małgorzata", "malgorzata"),
            ("Tomáš", "tomas"),
            ("Žofie", "zofie"),
        ],
        surnames: &[
            ("Dvořák", "dvorak"),
            ("Łęcki", "lecki"),
            ("Škoda", "skoda"),
            ("Kowalski", "kowalski"),
            ("Žižek", "zizek"),
        ],
        language: "cs",
    },
    Culture {
        given: &[
            ("İbrahim", "ibrahim"),
            ("Ümit", "umit"),
            ("Çağla", "cagla"),
            ("Şebnem", "sebnem"),
        ],
        surnames: &[
            ("Yılmaz", "yilmaz"),
            ("Öztürk", "ozturk"),
            ("Çelik", "celik"),
            ("Şahin", "sahin"),
        ],
        language: "tr",
    },
    Culture {
        given: &[
            ("Дмитрий", "dmitri"),
            ("Мария", "maria"),
            ("Ольга", "olga"),
            ("Иван", "ivan"),
        ],
        surnames: &[
            ("Иванов", "ivanov"),
            ("Соколов", "sokolov"),
            ("Кузнецов", "kuznetsov"),
            ("Орлов", "orlov"),
        ],
        language: "ru",
    },
    Culture {
        given: &[
            ("Γιώργος", "giorgos"),
            ("Ελένη", "eleni"),
            ("Νίκος", "nikos"),
        ],
        surnames: &[
            ("Παπαδόπουλος", "papadopoulos"),
            ("Γεωργίου", "georgiou"),
            ("Ιωάννου", "ioannou"),
        ],
        language: "el",
    },
    Culture {
        given: &[
            ("太郎", "taro"),
            ("花子", "hanako"),
            ("美咲", "misaki"),
            ("陽斗", "haruto"),
        ],
        surnames: &[
            ("山田", "yamada"),
            ("佐藤", "sato"),
            ("田中", "tanaka"),
            ("髙橋", "takahashi"),
        ],
        language: "ja",
    },
    Culture {
        given: &[("伟", "wei"), ("芳", "fang"), ("美玲", "meiling")],
        surnames: &[("王", "wang"), ("李", "li"), ("欧阳", "ouyang")],
        language: "zh",
    },
    Culture {
        given: &[("지훈", "jihun"), ("서연", "seoyeon"), ("민준", "minjun")],
        surnames: &[("김", "kim"), ("박", "park"), ("이", "lee")],
        language: "ko",
    },
    Culture {
        given: &[
            ("محمد", "mohammed"),
            ("فاطمة", "fatima"),
            ("يوسف", "yousef"),
        ],
        surnames: &[
            ("العربي", "alarabi"),
            ("حداد", "haddad"),
            ("منصور", "mansour"),
        ],
        language: "ar",
    },
    Culture {
        given: &[("שרה", "sarah"), ("אברהם", "avraham"), ("נועה", "noa")],
        surnames: &[("כהן", "cohen"), ("לוי", "levi"), ("פרידמן", "friedman")],
        language: "he",
    },
    Culture {
        given: &[("अर्जुन", "arjun"), ("प्रिया", "priya"), ("आरव", "aarav")],
        surnames: &[("शर्मा", "sharma"), ("गुप्ता", "gupta"), ("वर्मा", "varma")],
        language: "hi",
    },
    Culture {
        given: &[("สมชาย", "somchai"), ("มาลี", "malee")],
        surnames: &[("ใจดี", "jaidee"), ("ศรีสุข", "srisuk")],
        language: "th",
    },
    Culture {
        given: &[("Nguyệt", "nguyet"), ("Đức", "duc"), ("Thảo", "thao")],
        surnames: &[("Nguyễn", "nguyen"), ("Trần", "tran"), ("Đặng", "dang")],
        language: "vi",
    },
];

/// The departments of the studio: number and name.
pub(super) const DEPARTMENTS: &[(&str, &str)] = &[
    ("110", "Production"),
    ("210", "Modelling"),
    ("220", "Rigging"),
    ("310", "Animation"),
    ("320", "Lighting"),
    ("330", "FX"),
    ("340", "Matte Painting"),
    ("350", "Compositing"),
    ("410", "Editorial"),
    ("510", "Pipeline"),
];

/// Job titles.
pub(super) const TITLES: &[&str] = &[
    "Artist",
    "Senior Artist",
    "Lead",
    "Supervisor",
    "TD",
    "Coordinator",
    "Producer",
    "Intern",
];
