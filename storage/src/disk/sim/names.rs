//! The directories of the simulated disk: which names there are, which of them are durable, and what changed in between.
//!
//! Knows nothing of what files hold beyond handing it on.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::content::Content;
use super::random::Random;

pub(super) type File = Rc<RefCell<Content>>;
pub(super) type Folder = Rc<RefCell<Directory>>;

#[derive(Clone)]
pub(super) enum Entry {
    File(File),
    Directory(Folder),
}

#[derive(Default)]
pub(super) struct Directory {
    now: BTreeMap<OsString, Entry>,
    durable: BTreeMap<OsString, Entry>,
    /// Oldest first: what no sync of the directory has covered.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Set(OsString, Entry),
    Remove(OsString),
    Rename(OsString, OsString),
}

fn apply(names: &mut BTreeMap<OsString, Entry>, change: &Change) {
    match change {
        Change::Set(name, entry) => {
            names.insert(name.clone(), entry.clone());
        }
        Change::Remove(name) => {
            names.remove(name);
        }
        Change::Rename(from, to) => {
            if let Some(entry) = names.remove(from) {
                names.insert(to.clone(), entry);
            }
        }
    }
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Directory {
    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        self.pending.clear();
    }

    pub(super) fn names(&self) -> Vec<PathBuf> {
        self.now.keys().map(PathBuf::from).collect()
    }
}

pub(super) fn directory(root: &Folder, path: &Path) -> io::Result<Folder> {
    let mut at = Rc::clone(root);
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let next = match at.borrow().now.get(name) {
            Some(Entry::Directory(directory)) => Rc::clone(directory),
            Some(Entry::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(absent()),
        };
        at = next;
    }
    Ok(at)
}

fn split(path: &Path) -> (&Path, &OsStr) {
    let name = path.file_name().expect("a path that ends in a name");
    (path.parent().unwrap_or(Path::new("")), name)
}

fn entry(root: &Folder, path: &Path) -> io::Result<Entry> {
    let (parent, name) = split(path);
    let parent = directory(root, parent)?;
    let entry = parent.borrow().now.get(name).cloned();
    entry.ok_or_else(absent)
}

pub(super) fn file(root: &Folder, path: &Path) -> io::Result<File> {
    match entry(root, path)? {
        Entry::File(file) => Ok(file),
        Entry::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
    }
}

pub(super) fn create_file(root: &Folder, path: &Path) -> io::Result<File> {
    let (parent, name) = split(path);
    let file = File::default();
    directory(root, parent)?
        .borrow_mut()
        .change(Change::Set(name.to_owned(), Entry::File(Rc::clone(&file))));
    Ok(file)
}

/// Missing parents come into being durably: they are the operator's.
pub(super) fn create_directory(root: &Folder, path: &Path) -> io::Result<()> {
    let (parent, name) = split(path);
    let mut at = Rc::clone(root);
    for part in parent.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let known = at.borrow().now.contains_key(name);
        if !known {
            let made = Entry::Directory(Folder::default());
            at.borrow_mut().now.insert(name.to_owned(), made.clone());
            at.borrow_mut().durable.insert(name.to_owned(), made);
        }
        let next = directory(&at, Path::new(name))?;
        at = next;
    }
    if !at.borrow().now.contains_key(name) {
        let made = Entry::Directory(Folder::default());
        at.borrow_mut().change(Change::Set(name.to_owned(), made));
    }
    Ok(())
}

pub(super) fn rename(root: &Folder, from: &Path, to: &Path) -> io::Result<()> {
    entry(root, from)?;
    let (parent, from) = split(from);
    let (new_parent, to) = split(to);
    assert_eq!(parent, new_parent, "storage renames within one directory");
    directory(root, parent)?
        .borrow_mut()
        .change(Change::Rename(from.to_owned(), to.to_owned()));
    Ok(())
}

pub(super) fn remove(root: &Folder, path: &Path) -> io::Result<()> {
    if let Entry::Directory(directory) = entry(root, path)?
        && !directory.borrow().now.is_empty()
    {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    let (parent, name) = split(path);
    directory(root, parent)?
        .borrow_mut()
        .change(Change::Remove(name.to_owned()));
    Ok(())
}

/// Paths and contents of all files below `folder`.
pub(super) fn files(folder: &Folder, at: &Path, out: &mut Vec<(PathBuf, File)>) {
    for (name, entry) in &folder.borrow().now {
        let path = at.join(name);
        match entry {
            Entry::File(file) => out.push((path, Rc::clone(file))),
            Entry::Directory(directory) => files(directory, &path, out),
        }
    }
}

/// Copies a tree so that nothing is shared with the original, names and files at risk included.
#[derive(Default)]
pub(super) struct Copy {
    files: HashMap<*const RefCell<Content>, File>,
    directories: HashMap<*const RefCell<Directory>, Folder>,
}

impl Copy {
    fn entry(&mut self, entry: &Entry) -> Entry {
        match entry {
            Entry::File(file) => Entry::File(Rc::clone(
                self.files
                    .entry(Rc::as_ptr(file))
                    .or_insert_with(|| Rc::new(RefCell::new(file.borrow().clone()))),
            )),
            Entry::Directory(directory) => Entry::Directory(self.directory(directory)),
        }
    }

    pub(super) fn directory(&mut self, folder: &Folder) -> Folder {
        if let Some(copied) = self.directories.get(&Rc::as_ptr(folder)) {
            return Rc::clone(copied);
        }
        let original = folder.borrow();
        let mut names = |names: &BTreeMap<OsString, Entry>| {
            names
                .iter()
                .map(|(name, entry)| (name.clone(), self.entry(entry)))
                .collect()
        };
        let now = names(&original.now);
        let durable = names(&original.durable);
        let pending = original.pending.iter().map(|change| match change {
            Change::Set(name, entry) => Change::Set(name.clone(), self.entry(entry)),
            other => other.clone(),
        });
        let pending = pending.collect();
        let copied = Rc::new(RefCell::new(Directory {
            now,
            durable,
            pending,
        }));
        self.directories
            .insert(Rc::as_ptr(folder), Rc::clone(&copied));
        copied
    }
}

/// What a power loss took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Creations, renames and removals.
    pub names: u64,
    /// Writes and truncations of which nothing is left.
    pub writes: u64,
    /// Writes of which a part is left.
    pub torn: u64,
}

/// The tree as it is found when power returns. A file system's own journal keeps changes of one directory in order: some
/// first ones of them survive, or all, or none.
pub(super) fn after_power_loss(
    folder: &Folder,
    random: &mut Random,
    grain: usize,
    lost: &mut Lost,
) -> Folder {
    let folder = folder.borrow();
    let mut names = folder.durable.clone();
    let changes = folder.pending.len() as u64;
    let kept = match random.below(3) {
        0 => 0,
        1 => changes,
        _ => random.below(changes + 1),
    };
    lost.names += changes - kept;
    for change in folder
        .pending
        .iter()
        .take(usize::try_from(kept).expect("few"))
    {
        apply(&mut names, change);
    }
    for entry in names.values_mut() {
        match entry {
            Entry::File(file) => {
                let (found, writes, torn) = file.borrow().after_power_loss(random, grain);
                lost.writes += writes;
                lost.torn += torn;
                *file = Rc::new(RefCell::new(found));
            }
            Entry::Directory(directory) => {
                *directory = after_power_loss(directory, random, grain, lost);
            }
        }
    }
    Rc::new(RefCell::new(Directory {
        now: names.clone(),
        durable: names,
        pending: Vec::new(),
    }))
}
