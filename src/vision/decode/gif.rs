//! The first frame of a GIF, on the whole of its canvas.

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::{Rgb, RgbImage};

use super::limits::{Admission, Size};
use super::refusal::Refusal;

/// What the frame does not cover shows, as in Pillow, the colour of the transparent index, or of index 0.
pub(super) fn decode(bytes: &[u8], admission: &mut Admission) -> Result<RgbImage, Refusal> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(refuse)?;
    let none = || Refusal::damaged("GIF", "it has no frame");
    let colourless = decoder.global_palette().is_none();
    let frame = decoder.next_frame_info().map_err(|error| match error {
        DecodingError::Format(error) if colourless && error.to_string().contains("color table") => {
            Refusal::unread("a GIF without a colour table")
        }
        error => refuse(error),
    })?;
    let frame = frame.ok_or_else(none)?;
    // A frame that goes over the edge makes the canvas larger.
    let end = |offset: u16, length: u16| u32::from(offset) + u32::from(length);
    let (right, bottom) = (end(frame.left, frame.width), end(frame.top, frame.height));
    let (left, top, frame_width) = (frame.left.into(), frame.top.into(), usize::from(frame.width));
    let transparent = frame.transparent;
    let own_palette = frame.palette.clone();
    let width = right.max(decoder.width().into());
    let height = bottom.max(decoder.height().into());
    let pixels = u64::from(width) * u64::from(height);
    admission.admit(&Size { width, height, decoded_bytes: pixels, working_bytes: 0 })?;

    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(refuse)?;
    let palette = own_palette.or_else(|| decoder.global_palette().map(<[u8]>::to_vec));
    let palette = palette.unwrap_or_default();
    let colour = |index: u8| Rgb(*palette.as_chunks::<3>().0.get(usize::from(index)).unwrap_or(&[0; 3]));
    let mut canvas = RgbImage::from_pixel(width, height, colour(transparent.unwrap_or(0)));
    for (y, row) in (top..).zip(indices.chunks_exact(frame_width.max(1))) {
        for (x, index) in (left..).zip(row) {
            canvas.put_pixel(x, y, colour(*index));
        }
    }
    Ok(canvas)
}

fn refuse(error: DecodingError) -> Refusal {
    match error {
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Refusal::truncated("GIF", error.to_string())
        }
        error => Refusal::damaged("GIF", error.to_string()),
    }
}
