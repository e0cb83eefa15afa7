//! A JPEG's segments (ITU-T T.81, annex B): what kind it is, how it is divided into scans, and where it ends.

use std::borrow::Cow;

use super::super::orientation::Metadata;
use super::super::refusal::Refusal;

/// Every scan goes through all blocks again, however short it is; encoders write about ten.
const MOST_SCANS: usize = 256;

/// What stands in the segments up to the end-of-image marker; entropy-coded data is passed over.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    pub frame: Option<Frame>,
    /// More than one frame: a hierarchical file.
    pub several_frames: bool,
    pub scans: Vec<Scan>,
    pub jfif: bool,
    /// The colour transform of Adobe's segment: 0 none, 1 YCbCr, 2 YCCK.
    pub adobe: Option<u8>,
    /// Where in the file Adobe's segments give a transform that is none of these.
    unknown_transforms: Vec<usize>,
    pub restarts: bool,
    /// Segments before the first scan that hold quantisation tables, Huffman tables or the distance of restart markers: the
    /// marker's second byte, and what follows the length.
    pub tables: Vec<(u8, &'a [u8])>,
    /// Where in the file the first scan's data begin.
    pub data: Option<usize>,
    pub metadata: Metadata<'a>,
    /// Whether the segments lead to an end-of-image marker.
    pub has_end: bool,
}

/// A start-of-frame segment.
#[derive(Debug)]
pub(super) struct Frame {
    /// The marker's second byte, which is the coding process.
    pub process: u8,
    pub precision: u8,
    pub width: u32,
    pub height: u32,
    pub components: Vec<Component>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub id: u8,
    /// Horizontal and vertical sampling factors.
    pub h: u32,
    pub v: u32,
    /// Which quantisation table it has.
    pub table: u8,
}

/// A start-of-scan segment.
#[derive(Debug)]
pub(super) struct Scan {
    /// Indices into the frame's components.
    pub components: Vec<usize>,
    /// Which Huffman tables each of them has: for first coefficients in the upper four bits, for others in the lower.
    pub selectors: Vec<u8>,
    /// The first coefficient and the last; in lossless coding, the predictor and 0.
    pub band: (u8, u8),
    /// How many low bits are left to later scans; in lossless coding, how many bits were cut off.
    pub low_bits: u8,
}

impl<'a> Header<'a> {
    /// Follows the segments. Exif may hold a whole JPEG as a thumbnail, so a search for markers would not do.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut header = Header::default();
        let mut at = 2;
        while let Some(skipped) = bytes.get(at..).and_then(|rest| memchr::memchr(0xff, rest)) {
            at += skipped + 1;
            match bytes.get(at) {
                None => break,
                Some(0xd9) => {
                    header.has_end = true;
                    break;
                }
                // A stuffed 0xff of the entropy-coded data, a restart marker or a fill byte: no segment follows.
                Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
                Some(0xff) => {}
                Some(&marker) => {
                    let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { break };
                    let length = usize::from(u16::from_be_bytes([high, low])).max(2);
                    let Some(segment) = bytes.get(at + 3..at + 1 + length) else { break };
                    if marker == 0xee && segment.starts_with(b"Adobe") && segment.get(11).is_some_and(|byte| *byte > 2)
                    {
                        header.unknown_transforms.push(at + 3 + 11);
                    }
                    header.take(marker, segment)?;
                    at += 1 + length;
                    if marker == 0xda {
                        header.data.get_or_insert(at);
                    }
                }
            }
        }
        Ok(header)
    }

    fn take(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), Refusal> {
        let first_scan_is_to_come = self.scans.is_empty();
        if first_scan_is_to_come && matches!(marker, 0xc4 | 0xdb | 0xdd) {
            self.tables.push((marker, segment));
        }
        match marker {
            // Start of frame, but for the markers among these numbers that mean something else; F7 is JPEG-LS.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xf7 => {
                self.several_frames |= self.frame.is_some();
                self.frame = Some(Frame::read(marker, segment)?);
            }
            0xda => {
                let Some(frame) = &self.frame else { return Err(damaged("a scan comes before the frame header")) };
                self.scans.push(Scan::read(frame, segment)?);
                if self.scans.len() > MOST_SCANS {
                    return Err(Refusal::unread(format!("a JPEG of more than {MOST_SCANS} scans")));
                }
            }
            0xdd => self.restarts |= segment.iter().any(|byte| *byte != 0),
            0xde => self.several_frames = true,
            0xe0 if first_scan_is_to_come => self.jfif |= segment.starts_with(b"JFIF\0"),
            // A block over the length of a segment goes on in the next one.
            0xe1 if first_scan_is_to_come && segment.starts_with(b"Exif\0\0") => match &mut self.metadata.exif {
                Some(block) => block.to_mut().extend_from_slice(&segment[6..]),
                None => self.metadata.exif = Some(Cow::Borrowed(segment)),
            },
            0xe1 => {
                self.metadata.xmp = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0").or(self.metadata.xmp);
            }
            0xee if first_scan_is_to_come && segment.starts_with(b"Adobe") => {
                self.adobe = segment.get(11).copied().or(self.adobe);
            }
            _ => {}
        }
        Ok(())
    }

    /// The file with the usual transform where Adobe's segments give an unknown one: libjpeg takes the one for the other,
    /// and neither decoder reads such a file.
    pub fn with_known_transforms<'b>(&self, bytes: &'b [u8], frame: &Frame) -> Cow<'b, [u8]> {
        let mut bytes = Cow::Borrowed(bytes);
        for at in &self.unknown_transforms {
            bytes.to_mut()[*at] = if frame.components.len() == 4 { 2 } else { 1 };
        }
        bytes
    }

    /// Whether every component has been given to its last bit, as far as scans announce it.
    pub fn scans_are_complete(&self, frame: &Frame) -> bool {
        (0..frame.components.len()).all(|component| {
            let mut complete = 0u64;
            for scan in self.scans.iter().filter(|scan| scan.components.contains(&component)) {
                if frame.process != 0xc2 {
                    return true;
                }
                if scan.low_bits == 0 {
                    complete |= (scan.band.0..=scan.band.1.min(63)).fold(0, |bits, k| bits | 1 << k.min(63));
                }
            }
            complete == u64::MAX
        })
    }
}

impl Frame {
    fn read(process: u8, segment: &[u8]) -> Result<Self, Refusal> {
        let &[precision, y1, y0, x1, x0, count, ref specs @ ..] = segment else {
            return Err(damaged("the frame header is too short"));
        };
        let specs = specs.as_chunks::<3>().0;
        let specs = specs.get(..usize::from(count)).ok_or_else(|| damaged("the frame header is too short"))?;
        let component = |&[id, factors, table]: &[u8; 3]| Component {
            id,
            h: (factors >> 4).into(),
            v: (factors & 15).into(),
            table,
        };
        Ok(Frame {
            process,
            precision,
            width: u16::from_be_bytes([x1, x0]).into(),
            height: u16::from_be_bytes([y1, y0]).into(),
            components: specs.iter().map(component).collect(),
        })
    }

    /// The largest horizontal and vertical sampling factors.
    pub fn most(&self) -> (u32, u32) {
        let most = |factor: fn(&Component) -> u32| self.components.iter().map(factor).max().unwrap_or(1);
        (most(|c| c.h), most(|c| c.v))
    }

    /// Sampling factors as cjpeg's `-sample` takes them.
    pub fn sampling(&self) -> String {
        let factors: Vec<String> = self.components.iter().map(|c| format!("{}x{}", c.h, c.v)).collect();
        factors.join(",")
    }
}

impl Scan {
    fn read(frame: &Frame, segment: &[u8]) -> Result<Self, Refusal> {
        let short = || damaged("a scan header is too short");
        let count = usize::from(*segment.first().ok_or_else(short)?);
        let specs = segment.get(1..1 + 2 * count).ok_or_else(short)?;
        let &[first, last, bits] = segment.get(1 + 2 * count..4 + 2 * count).ok_or_else(short)? else {
            return Err(short());
        };
        let index = |id: u8| frame.components.iter().position(|component| component.id == id);
        let components: Option<Vec<usize>> = specs.as_chunks::<2>().0.iter().map(|&[id, _]| index(id)).collect();
        let components = components.ok_or_else(|| damaged("a scan names a component that the frame does not have"))?;
        let selectors = specs.as_chunks::<2>().0.iter().map(|&[_, selector]| selector).collect();
        Ok(Scan { components, selectors, band: (first, last), low_bits: bits & 15 })
    }
}

fn damaged(why: &str) -> Refusal {
    Refusal::damaged("JPEG", why)
}
