//! PyTorch's zip archive: `NAME/data.pkl` describes the tensors, `NAME/data/KEY` are their storages.
//!
//! A TorchScript archive is the same with a module tree in data.pkl, and beside it constants.pkl, which is not read, and
//! `code/`, of which nothing is read but the [settings of modules](script).

use super::module::Tree;
use super::tensors::Storage;
use super::{script, select};
use crate::checkpoint::source::Source;
use crate::checkpoint::{Format, StateDict, foreign_file, pickle};
use crate::error::Result;
use bytes::Bytes;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

/// Reads the checkpoint that `source` is.
///
/// Stored entries become slices of the file. Their CRCs are not compared: that would pass over every byte once more.
pub(in crate::checkpoint) fn open(source: &Source) -> Result<StateDict> {
    let mut archive = Archive::open(source)?;
    let folder = archive.folder()?;
    if let Some(order) = archive.entry(&format!("{folder}byteorder"))?
        && order.trim_ascii() != b"little"
    {
        let order = order.escape_ascii().to_string();
        return Err(source.fault(format!("its byte order is `{order}`; only little-endian checkpoints are read")));
    }
    let name = format!("{folder}data.pkl");
    let Some(data) = archive.entry(&name)? else {
        return Err(source.fault(format!("has no entry {name}")));
    };
    let format = if archive.has_code(&folder) { Format::TorchScript } else { Format::TorchZip };
    let tree = if format == Format::TorchScript { Tree::Script } else { Tree::Pickled };
    let pickle = pickle::read(source, &name, &data, 0)?;
    select::refuse(source, &pickle)?;

    let mut storages: HashMap<String, Bytes> = HashMap::new();
    let mut fetch = |storage: &Storage| {
        let bytes = match storages.get(storage.key) {
            Some(bytes) => bytes.clone(),
            None => {
                let entry = format!("{folder}data/{}", storage.key);
                let bytes = archive.entry(&entry)?.ok_or_else(|| {
                    source.fault(format!("has no entry {entry}, which its tensors need; the file is incomplete"))
                })?;
                storages.insert(storage.key.to_owned(), bytes.clone());
                bytes
            }
        };
        match storage.count.checked_mul(storage.elements.size()) {
            Some(expected) if expected <= bytes.len() => Ok(bytes),
            _ => Err(source.fault(format!(
                "its entry {folder}data/{} should hold {} elements of {} bytes and has {} bytes; the file is damaged",
                storage.key,
                storage.count,
                storage.elements.size(),
                bytes.len()
            ))),
        }
    };
    let mut dict = select::state_dict(source, &pickle, format, tree, &mut fetch)?;
    if tree == Tree::Script
        && let Some(modules) = dict.modules_mut()
    {
        // Whatever cannot be read of the code is not known.
        script::settle(source, modules, |file| archive.entry(&format!("{folder}code/{file}")).ok().flatten())?;
    }
    Ok(dict)
}

struct Archive<'a> {
    source: &'a Source<'a>,
    zip: ZipArchive<Cursor<Bytes>>,
}

impl<'a> Archive<'a> {
    fn open(source: &'a Source) -> Result<Self> {
        // Where the archive begins is not to be guessed: PyTorch puts zip64 records before the end record even where
        // it needs none, and the guess takes their 76 bytes for the first entry where that is as long.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(source.bytes.clone())).map_err(|error| {
            source.fault(format!("is a zip archive that cannot be read ({error}); was the download cut short?"))
        })?;
        if zip.has_duplicate_names() {
            return Err(source.fault("is a zip archive with two entries of one name, which torch.save never writes"));
        }
        Ok(Self { source, zip })
    }

    /// The folder, with its slash, that everything lies in.
    fn folder(&self) -> Result<String> {
        let names = || self.zip.file_names_raw().filter_map(|name| std::str::from_utf8(name).ok());
        let mut folders = names()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .filter(|folder| folder.is_empty() || folder.strip_suffix('/').is_some_and(|folder| !folder.contains('/')));
        let Some(folder) = folders.next() else {
            let hint = foreign_file::by_entries(names()).map_or_else(String::new, |hint| format!("; {hint}"));
            return Err(self
                .source
                .fault(format!("is a zip archive, but not one that torch.save wrote: no data.pkl{hint}")));
        };
        if folders.next().is_some() {
            return Err(self.source.fault("is a zip archive with several data.pkl, which torch.save never writes"));
        }
        Ok(folder.to_owned())
    }

    /// Whether there is code beside the pickle, as in what `torch.jit.save` writes.
    fn has_code(&self, folder: &str) -> bool {
        let (code, constants) = (format!("{folder}code/"), format!("{folder}constants.pkl"));
        let mut names = self.zip.file_names_raw();
        names.any(|name| name == constants.as_bytes() || name.starts_with(code.as_bytes()))
    }

    /// The content of the entry called `name`; `None` where there is none.
    fn entry(&mut self, name: &str) -> Result<Option<Bytes>> {
        let source = self.source;
        let fault = |reason: String| source.fault(format!("its entry {name} cannot be read: {reason}"));
        let Some(index) = self.zip.index_for_name_raw(name.as_bytes()) else { return Ok(None) };
        let entry = self.zip.by_index_raw(index).map_err(|error| fault(error.to_string()))?;
        let (declared, packed, method) = (entry.size(), entry.compressed_size(), entry.compression());
        if entry.encrypted() {
            return Err(fault("it is encrypted".into()));
        }
        match method {
            CompressionMethod::Stored => {
                let range = entry.data_start().filter(|_| declared == packed).and_then(|start| {
                    let start = usize::try_from(start).ok()?;
                    let end = start.checked_add(usize::try_from(packed).ok()?)?;
                    (end <= source.bytes.len()).then_some(start..end)
                });
                let range =
                    range.ok_or_else(|| fault("its two sizes differ, or it does not lie within the file".into()))?;
                Ok(Some(source.bytes.slice(range)))
            }
            CompressionMethod::Deflated => {
                drop(entry);
                source.expand(|| format!("entry {name}"), declared)?;
                let entry = self.zip.by_index(index).map_err(|error| fault(error.to_string()))?;
                // What the entry claims may be anything up to the limit, but deflate makes at most 1032 times as much.
                let likely = declared.min(packed.saturating_mul(1032));
                let mut bytes = Vec::new();
                bytes
                    .try_reserve_exact(usize::try_from(likely).unwrap_or(usize::MAX))
                    .map_err(|e| fault(e.to_string()))?;
                entry.take(declared.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| fault(e.to_string()))?;
                if bytes.len() as u64 != declared {
                    return Err(fault(format!("it claims {declared} bytes and holds {} or more", bytes.len())));
                }
                Ok(Some(bytes.into()))
            }
            other => Err(fault(format!("it is compressed by {other}, which torch.save never does"))),
        }
    }
}
