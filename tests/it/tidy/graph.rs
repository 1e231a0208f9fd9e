//! The sources as a graph: every file of the program, and which other files it uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use syn::visit::Visit;

/// A module: its path from the crate's root, such as `["sync", "guard"]`.
pub type Module = Vec<String>;

/// What one file uses: the paths from the crate's root, and those of other crates.
#[derive(Debug, Default)]
pub struct Uses {
    /// Of this crate, such as `["model", "change", "Change"]`.
    pub own: BTreeSet<Module>,
    /// Of the standard library and other crates, such as `["std", "fs", "read"]`.
    pub foreign: BTreeSet<Module>,
    /// Whether it has an `async` function, block or closure.
    pub is_async: bool,
}

/// What each module of the program uses, outside its tests.
pub fn graph(sources: &[(std::path::PathBuf, String)]) -> BTreeMap<Module, Uses> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources
        .iter()
        .map(|(path, text)| (module(path.strip_prefix(&folder).unwrap()), text))
        .filter(|(module, _)| !is_test(module))
        .map(|(module, text)| {
            let uses = uses(&module, text);
            (module, uses)
        })
        .collect()
}

/// Files that are compiled for tests alone.
fn is_test(module: &Module) -> bool {
    module.iter().any(|part| part == "tests") || module.ends_with(&["properties".into()])
}

fn module(path: &Path) -> Module {
    let mut parts: Module = path
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        parts.pop();
    }
    parts
}

/// What a source uses that stands in this module.
pub fn uses(module: &Module, text: &str) -> Uses {
    let file = syn::parse_file(text).unwrap();
    let mut collector = Collector {
        module: module.clone(),
        names: names(&file),
        uses: Uses::default(),
    };
    collector.visit_file(&file);
    collector.uses
}

/// The modules that a file declares: paths in it may begin with them.
fn names(file: &syn::File) -> BTreeSet<String> {
    let declared = file.items.iter().filter_map(|item| {
        if let syn::Item::Mod(item) = item {
            Some(item.ident.to_string())
        } else {
            None
        }
    });
    declared.collect()
}

struct Collector {
    module: Module,
    names: BTreeSet<String>,
    uses: Uses,
}

impl Collector {
    fn add(&mut self, path: Vec<String>) {
        let mut rest = path.as_slice();
        let mut base = match rest.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            Some(first) if self.names.contains(first) => self.module.clone(),
            Some(_) if path.len() > 1 => {
                self.uses.foreign.insert(path);
                return;
            }
            _ => return,
        };
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = after;
        }
        base.extend_from_slice(rest);
        self.uses.own.insert(base);
    }

    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(before.to_vec()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.add(segments.map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    /// What stands in a macro's brackets is no syntax tree: its paths are found by their tokens.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let text = item.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|character: char| {
            !(character.is_alphanumeric() || character == '_' || character == ':')
        });
        for word in words.filter(|word| word.contains("::")) {
            self.add(word.split("::").map(str::to_owned).collect());
        }
        syn::visit::visit_macro(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            syn::visit::visit_item_fn(self, item);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.uses.is_async |= signature.asyncness.is_some();
        syn::visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, expression: &'ast syn::ExprAsync) {
        self.uses.is_async = true;
        syn::visit::visit_expr_async(self, expression);
    }
}
