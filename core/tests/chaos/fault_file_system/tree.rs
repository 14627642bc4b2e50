//! Files and directories by number, and which names a power cut would leave. Pure: no locks, no kernel.
//!
//! A name comes, goes and changes durably with the flush of its directory. Names directly below the root are the exception: they
//! are the test's own, durable at once.

use std::collections::BTreeMap;

use super::image::{Cut, Image};

pub(crate) const ROOT: u64 = 1;

#[derive(Debug)]
pub(crate) enum Node {
    File(Image),
    Directory(Directory),
}

#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) names: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// What was done to `names` since the last flush: each step sets or removes names together.
    unflushed: Vec<Vec<(String, Option<u64>)>>,
}

impl Directory {
    fn change(&mut self, step: Vec<(String, Option<u64>)>) {
        apply(&mut self.names, &step);
        self.unflushed.push(step);
    }

    fn flush(&mut self) {
        self.unflushed.clear();
        self.durable.clone_from(&self.names);
    }

    /// File systems keep names in a journal: of what was not flushed, a part from the beginning survives.
    fn power_cut(&mut self, cut: &mut Cut) {
        for step in std::mem::take(&mut self.unflushed) {
            if !cut.survives() {
                break;
            }
            apply(&mut self.durable, &step);
        }
        self.names.clone_from(&self.durable);
        self.unflushed.clear();
    }
}

fn apply(names: &mut BTreeMap<String, u64>, step: &[(String, Option<u64>)]) {
    for (name, number) in step {
        match number {
            Some(number) => names.insert(name.clone(), *number),
            None => names.remove(name),
        };
    }
}

/// All that the file system holds.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<u64, Node>,
    next: u64,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = Node::Directory(Directory::default());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
        }
    }

    pub(crate) fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub(crate) fn image(&mut self, number: u64) -> Option<&mut Image> {
        match self.nodes.get_mut(&number) {
            Some(Node::File(image)) => Some(image),
            _ => None,
        }
    }

    pub(crate) fn directory(&self, number: u64) -> Option<&Directory> {
        match self.nodes.get(&number) {
            Some(Node::Directory(directory)) => Some(directory),
            _ => None,
        }
    }

    pub(crate) fn look_up(&self, parent: u64, name: &str) -> Option<u64> {
        self.directory(parent)?.names.get(name).copied()
    }

    /// The path of a file or directory below the root, as far as names lead to it.
    pub(crate) fn path(&self, number: u64) -> String {
        let mut path = String::new();
        let mut at = number;
        while at != ROOT {
            let found = self.nodes.iter().find_map(|(parent, node)| {
                let Node::Directory(directory) = node else {
                    return None;
                };
                let (name, _) = directory.names.iter().find(|(_, child)| **child == at)?;
                Some((*parent, name))
            });
            let Some((parent, name)) = found else { break };
            path = format!("/{name}{path}");
            at = parent;
        }
        path
    }

    pub(crate) fn add(&mut self, parent: u64, name: &str, node: Node) -> Option<u64> {
        let number = self.next;
        self.change(parent, vec![(name.to_owned(), Some(number))])?;
        self.next += 1;
        self.nodes.insert(number, node);
        Some(number)
    }

    pub(crate) fn remove(&mut self, parent: u64, name: &str) -> Option<()> {
        self.look_up(parent, name)?;
        self.change(parent, vec![(name.to_owned(), None)])
    }

    pub(crate) fn rename(
        &mut self,
        parent: u64,
        name: &str,
        new_parent: u64,
        new_name: &str,
    ) -> Option<()> {
        let number = self.look_up(parent, name)?;
        let gone = (name.to_owned(), None);
        let come = (new_name.to_owned(), Some(number));
        if parent == new_parent {
            return self.change(parent, vec![gone, come]);
        }
        self.change(new_parent, vec![come])?;
        self.change(parent, vec![gone])
    }

    fn change(&mut self, parent: u64, step: Vec<(String, Option<u64>)>) -> Option<()> {
        let Some(Node::Directory(directory)) = self.nodes.get_mut(&parent) else {
            return None;
        };
        directory.change(step);
        if parent == ROOT {
            directory.flush();
        }
        Some(())
    }

    pub(crate) fn flush_directory(&mut self, number: u64) {
        if let Some(Node::Directory(directory)) = self.nodes.get_mut(&number) {
            directory.flush();
        }
    }

    /// What the next boot finds. Everything gets a new number, so that the kernel remembers nothing of it.
    pub(crate) fn power_cut(&mut self, cut: &mut Cut) {
        let mut old = std::mem::take(&mut self.nodes);
        let root = old.remove(&ROOT).expect("the root is never removed");
        self.keep(ROOT, root, &mut old, cut);
    }

    fn keep(&mut self, number: u64, mut node: Node, old: &mut BTreeMap<u64, Node>, cut: &mut Cut) {
        match &mut node {
            Node::File(image) => image.power_cut(cut),
            Node::Directory(directory) => {
                directory.power_cut(cut);
                for child in directory.names.values_mut() {
                    // Two names of one file, after a rename that was cut in two, come out as one file and an empty one.
                    let kept = old.remove(child);
                    let kept = kept.unwrap_or_else(|| Node::File(Image::default()));
                    *child = self.next;
                    self.next += 1;
                    self.keep(*child, kept, old, cut);
                }
                directory.durable.clone_from(&directory.names);
            }
        }
        self.nodes.insert(number, node);
    }
}

mod tests {
    use super::*;

    fn names(tree: &Tree, directory: u64) -> Vec<&str> {
        let directory = tree.directory(directory).expect("a directory");
        directory.names.keys().map(String::as_str).collect()
    }

    #[test]
    fn names_are_durable_with_the_flush_of_their_directory() {
        let mut tree = Tree::new();
        let directory = Node::Directory(Directory::default());
        let data = tree.add(ROOT, "data", directory).expect("added");
        let kept = Node::File(Image::default());
        let kept = tree.add(data, "kept", kept).expect("added");
        tree.image(kept).expect("a file").write_through(0, b"kept");
        tree.flush_directory(data);
        let lost = Node::File(Image::default());
        let lost = tree.add(data, "lost", lost).expect("added");
        tree.image(lost).expect("a file").write_through(0, b"lost");
        tree.rename(data, "kept", data, "renamed").expect("renamed");
        assert_eq!(names(&tree, data), ["lost", "renamed"]);
        assert_eq!(tree.path(lost), "/data/lost");

        tree.power_cut(&mut Cut::clean());
        let data = tree.look_up(ROOT, "data").expect("durable at once");
        assert_eq!(names(&tree, data), ["kept"]);
        let kept = tree.look_up(data, "kept").expect("it is listed");
        assert_eq!(tree.image(kept).expect("a file").read(0, 100), b"kept");
    }

    #[test]
    fn a_removed_name_comes_back_with_its_file() {
        let mut tree = Tree::new();
        let directory = Node::Directory(Directory::default());
        let data = tree.add(ROOT, "data", directory).expect("added");
        let file = Node::File(Image::default());
        let file = tree.add(data, "file", file).expect("added");
        tree.image(file).expect("a file").write_through(0, b"bytes");
        tree.flush_directory(data);
        tree.remove(data, "file").expect("removed");
        tree.power_cut(&mut Cut::clean());
        let data = tree.look_up(ROOT, "data").expect("durable at once");
        let file = tree.look_up(data, "file").expect("back again");
        assert_eq!(tree.image(file).expect("a file").read(0, 100), b"bytes");
    }
}
