//! What a caller chooses of an import.

/// How a graph is imported, where its file leaves that open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Height and width of the image. By default those in the file, and 224 pixels each where it leaves them free.
    pub sides: Option<[usize; 2]>,
    /// The output that gives the classes, by its name in the file; see [`outputs`](super::outputs). By default the only one.
    pub output: Option<String>,
}
