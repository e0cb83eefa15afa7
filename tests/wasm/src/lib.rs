//! The least that a WebAssembly host needs to classify an image: memory to write into, and one call. A host calls from
//! one thread.

use pretrained::{Classifier, Device, Limits, StateDict};
use std::cell::RefCell;

thread_local! {
    static MODEL: RefCell<Option<Classifier>> = const { RefCell::new(None) };
    /// What the last call says: a line of text.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Room for so many bytes, which `load` or `classify` take back.
#[unsafe(no_mangle)]
pub extern "C" fn room(bytes: usize) -> *mut u8 {
    Box::leak(vec![0; bytes].into_boxed_slice()).as_mut_ptr()
}

/// Takes a checkpoint of so many bytes at a place that `room` gave. Returns 1 where it is a model that runs.
///
/// # Safety
/// The place is one that `room` gave for as many bytes, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn load(at: *mut u8, bytes: usize) -> i32 {
    // SAFETY: the caller's.
    let bytes = unsafe { taken(at, bytes) };
    let loaded = StateDict::from_bytes("model", bytes, &Limits::default())
        .and_then(|state| Classifier::builder().state_dict(state).device(Device::cpu()).build());
    answer(loaded.map(|classifier| {
        let name = classifier.name().to_owned();
        MODEL.with_borrow_mut(|model| *model = Some(classifier));
        name
    }))
}

/// Classifies an image file of so many bytes at a place that `room` gave. Returns 1 where it could.
///
/// # Safety
/// As of `load`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn classify(at: *mut u8, bytes: usize) -> i32 {
    // SAFETY: the caller's.
    let bytes = unsafe { taken(at, bytes) };
    let image = pretrained::vision::decode("image", &bytes, &Default::default());
    answer(image.and_then(|image| {
        MODEL.with_borrow_mut(|model| {
            let model = model.as_mut().ok_or_else(|| pretrained::Error::Usage("no model is loaded".into()))?;
            let best = model.classify(&image, 1)?.into_iter().next();
            let best = best.ok_or_else(|| pretrained::Error::Usage("it has no classes".into()))?;
            Ok(format!("{} {:.6}", best.label.unwrap_or_default(), best.probability))
        })
    }))
}

/// Where the last call's answer begins.
#[unsafe(no_mangle)]
pub extern "C" fn said() -> *const u8 {
    SAID.with_borrow(|said| said.as_ptr())
}

/// How many bytes it has.
#[unsafe(no_mangle)]
pub extern "C" fn said_bytes() -> usize {
    SAID.with_borrow(String::len)
}

fn answer(result: pretrained::Result<String>) -> i32 {
    let (text, code) = match result {
        Ok(text) => (text, 1),
        Err(error) => (error.to_string(), 0),
    };
    SAID.with_borrow_mut(|said| *said = text);
    code
}

/// # Safety
/// As of `load`.
unsafe fn taken(at: *mut u8, bytes: usize) -> Vec<u8> {
    // SAFETY: the caller's: a boxed slice of so many bytes began there.
    unsafe { Vec::from_raw_parts(at, bytes, bytes) }
}
