"""Draws the small images of tests/vision/preparation.rs and writes what Pillow and numpy make of them, as goldens.

Run with Pillow 12.2 or later (QOI came with it), numpy, and the programs cjpeg (libjpeg-turbo-progs) and tiffcp
(libtiff-tools): python tests/data/make_images.py
Writes tests/data/images/* and tests/data/vision_goldens.safetensors:
  decode/FILE                     u8 [height, width, 3]: the upright RGB pixels
  resize/FILTER/WxH/FILE          u8: resized straight to WxH; .../grey/FILE likewise from convert("L")
  crop/SIDE/WxH/FILE              u8: torchvision's Resize(SIDE) and CenterCrop((H, W))
  preset/NAME/FILE                f32 [channels, height, width]: every STEP-th value of the network's input
  preset_sum/NAME/FILE            f64 [channels]: the sum over all of it
"""

import io
import json
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

HERE = Path(__file__).parent
IMAGES = HERE / "images"
STEP = 17
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}
goldens = {}
random = np.random.default_rng(20260101)


def scene(width, height, noise=20):
    """A colour gradient with sharp shapes in it and noise over it."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    levels = np.stack([255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), 128 + 100 * np.sin(x / 5 + y / 9)], 2)
    picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([width * 0.1, height * 0.2, width * 0.5, height * 0.7], fill=(250, 250, 240))
    draw.rectangle([width * 0.6, height * 0.5, width * 0.9, height * 0.9], fill=(10, 0, 30))
    levels = np.asarray(picture).astype(float) + random.uniform(-noise, noise, (height, width, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def expect(name, pixels):
    goldens[f"decode/{name}"] = np.ascontiguousarray(pixels)


def keep(name, data, pixels=None):
    """Writes a file and records what Pillow reads from it, or `pixels` where Pillow doesn't read it as we do."""
    (IMAGES / name).write_bytes(data)
    if pixels is None:
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        pixels = np.asarray(upright.convert("RGB"))
    expect(name, pixels)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width, height, depth, colour, rows, interlace=0, extra=b""):
    """A PNG by hand, for what Pillow doesn't write."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_png():
    rgb = scene(23, 17)
    alpha = Image.fromarray(random.integers(0, 256, (17, 23), dtype=np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    grey = rgb.convert("L")
    grey_alpha = Image.merge("LA", [grey, alpha])
    keep("rgb.png", encode(rgb, "PNG"))
    keep("rgba.png", encode(rgba, "PNG"))
    keep("grey.png", encode(grey, "PNG"))
    keep("grey_alpha.png", encode(grey_alpha, "PNG"))
    keep("bilevel.png", encode(grey.convert("1"), "PNG"))
    palette = rgb.quantize(40)
    keep("palette.png", encode(palette, "PNG"))
    keep("palette_transparent.png", encode(palette, "PNG", transparency=bytes(range(0, 240, 6))))
    keep("palette_4_bits.png", encode(rgb.quantize(11), "PNG", bits=4))
    keep("colour_key.png", encode(rgb, "PNG", transparency=rgb.getpixel((3, 4))))
    exif = Image.Exif()
    exif[0x0112] = 6
    keep("orientation_6.png", encode(rgb, "PNG", exif=exif))
    keep("animated.png", encode(rgb, "PNG", save_all=True, append_images=[ImageOps.invert(rgb)], duration=100))

    deep = random.integers(0, 65536, (9, 11, 4), dtype=np.uint16)
    for name, colour, channels in [("grey_16", 0, 1), ("rgb_16", 2, 3), ("grey_alpha_16", 4, 2), ("rgba_16", 6, 4)]:
        values = deep[:, :, :channels]
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        high = (values >> 8).astype(np.uint8)
        # Pillow cuts 16-bit grey off at 255; ours scales it.
        keep(name + ".png", png(11, 9, 16, colour, rows), np.repeat(high[:, :, :1], 3, 2) if channels < 3 else high[:, :, :3])
    levels = np.asarray(rgb)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in levels[y::dy, x::dx])
    keep("interlaced.png", png(23, 17, 8, 2, rows, interlace=1))


def write_jpeg():
    picture = scene(40, 30, noise=8)
    keep("rgb_444.jpg", encode(picture, "JPEG", quality=92, subsampling=0))
    keep("rgb_422.jpg", encode(picture, "JPEG", quality=92, subsampling=1))
    keep("rgb_420.jpg", encode(picture, "JPEG", quality=92, subsampling=2))
    keep("odd_420.jpg", encode(picture.crop((0, 0, 37, 23)), "JPEG", quality=92, subsampling=2))
    keep("narrow_420.jpg", encode(picture.crop((0, 0, 5, 23)), "JPEG", quality=92, subsampling=2))
    keep("progressive.jpg", encode(picture, "JPEG", quality=92, progressive=True))
    keep("restarts.jpg", encode(picture, "JPEG", quality=92, restart_marker_blocks=2))
    keep("kept_rgb.jpg", encode(picture, "JPEG", quality=92, keep_rgb=True))
    keep("grey.jpg", encode(picture.convert("L"), "JPEG", quality=92))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        keep(f"orientation_{orientation}.jpg", encode(picture.crop((0, 0, 24, 16)), "JPEG", quality=92, subsampling=0, exif=exif))

    # Pillow's conversion leaves black empty; take some from the other inks so that the fourth channel matters.
    inks = np.asarray(picture.convert("CMYK")).astype(int)
    black = inks[:, :, :3].min(2) // 2
    inks = np.dstack([inks[:, :, :3] - black[:, :, None], black]).astype(np.uint8)
    cmyk = encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=95, subsampling=0)
    keep("cmyk.jpg", cmyk)
    # YCCK: the first three channels in YCbCr, and Adobe's mark says so. Pillow inverts what it writes.
    levels = Image.fromarray(255 - inks[:, :, :3]).convert("YCbCr")
    stored = np.dstack([np.asarray(levels), 255 - inks[:, :, 3]])
    ycck = bytearray(encode(Image.fromarray(255 - stored, "CMYK"), "JPEG", quality=95, subsampling=0))
    mark = ycck.index(b"Adobe")
    assert ycck[mark + 11] == 0
    ycck[mark + 11] = 2
    keep("ycck.jpg", bytes(ycck))


def write_others():
    rgb = scene(23, 17)
    grey = rgb.convert("L")
    palette = rgb.quantize(40)
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(random.integers(0, 256, (17, 23), dtype=np.uint8)))
    inverse = ImageOps.invert(rgb)

    keep("palette.gif", encode(palette, "GIF"))
    keep("transparent.gif", encode(palette, "GIF", transparency=palette.getpixel((2, 3))))
    keep("animated.gif", encode(palette, "GIF", save_all=True, append_images=[inverse.quantize(40)], duration=100))
    keep("lossless.webp", encode(rgb, "WEBP", lossless=True))
    keep("lossless_alpha.webp", encode(rgba, "WEBP", lossless=True, exact=True))
    keep("animated.webp", encode(rgb, "WEBP", lossless=True, save_all=True, append_images=[inverse], duration=100))
    smooth = scene(40, 30, noise=8)
    keep("lossy.webp", encode(smooth, "WEBP", quality=90))
    exif = Image.Exif()
    exif[0x0112] = 8
    keep("orientation_8.webp", encode(rgb, "WEBP", lossless=True, exif=exif))

    keep("rgb.bmp", encode(rgb, "BMP"))
    keep("rgba.bmp", encode(rgba, "BMP"))
    keep("palette.bmp", encode(palette, "BMP"))
    keep("grey.bmp", encode(grey, "BMP"))
    keep("bilevel.bmp", encode(grey.convert("1"), "BMP"))
    keep("rgb.tga", encode(rgb, "TGA"))
    keep("rle.tga", encode(palette.convert("RGB"), "TGA", compression="tga_rle"))
    keep("rgba.tga", encode(rgba, "TGA"))
    keep("grey.tga", encode(grey, "TGA"))
    keep("palette.tga", encode(palette, "TGA"))
    keep("without_footer.tga", encode(rgb, "TGA")[:-26])
    keep("rgb.ppm", encode(rgb, "PPM"))
    keep("grey.pgm", encode(grey, "PPM"))
    keep("bilevel.pbm", encode(grey.convert("1"), "PPM"))
    keep("rgb.qoi", encode(rgb, "QOI"))
    keep("rgba.qoi", encode(rgba, "QOI"))
    keep("png_inside.ico", encode(scene(32, 32).convert("RGBA"), "ICO", sizes=[(16, 16), (32, 32)]))
    keep("bmp_inside.ico", encode(scene(32, 32).convert("RGBA"), "ICO", sizes=[(32, 32)], bitmap_format="bmp"))

    keep("rgb.tif", encode(rgb, "TIFF"))
    keep("lzw.tif", encode(rgb, "TIFF", compression="tiff_lzw"))
    keep("deflate.tif", encode(rgb, "TIFF", compression="tiff_adobe_deflate"))
    keep("packbits.tif", encode(rgb, "TIFF", compression="packbits"))
    keep("rgba.tif", encode(rgba, "TIFF"))
    keep("grey.tif", encode(grey, "TIFF"))
    keep("bilevel.tif", encode(grey.convert("1"), "TIFF"))
    keep("cmyk.tif", encode(rgb.convert("CMYK"), "TIFF"))
    keep("orientation_3.tif", encode(rgb, "TIFF", tiffinfo={0x0112: 3}))
    deep = random.integers(0, 65536, (9, 11), dtype=np.uint16)
    grey_16 = np.repeat((deep >> 8).astype(np.uint8)[:, :, None], 3, 2)
    keep("grey_16.tif", encode(Image.fromarray(deep), "TIFF"), grey_16)

    colours = random.integers(0, 65536, (5, 7, 4), dtype=np.uint16)
    header = b"farbfeld" + struct.pack(">II", 7, 5)
    keep("rgba_16.ff", header + colours.astype(">u2").tobytes(), (colours[:, :, :3] >> 8).astype(np.uint8))
    # Radiance: value = mantissa * 2 ** (exponent - 136); exponents up to 129 go over 1.
    light = random.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    light[:, :, 3] = random.integers(124, 130, (5, 7))
    scale = np.exp2(light[:, :, 3:].astype(float) - 136)
    pixels = (np.clip(light[:, :, :3] * scale, 0, 1) * 255 + 0.5).astype(np.uint8)
    keep("light.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 5 +X 7\n" + light.tobytes(), pixels)

    dot = Image.new("RGB", (1, 1), (200, 30, 90))
    for kind, ending in [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp"), ("TIFF", "tif")]:
        options = {"lossless": True} if kind == "WEBP" else {}
        keep(f"dot.{ending}", encode(dot, kind, **options))


def resize(image, size, filter):
    """Resizes across and then down, as Pillow did up to 12; since 13 it works down first where that is faster."""
    across = image.resize((size[0], image.height), filter)
    return across.resize(size, filter)


def torchvision_resize(image, side):
    width, height = image.size
    long = int(side * max(width, height) / min(width, height))
    size = (side, long) if width <= height else (long, side)
    return resize(image, size, Image.Resampling.BILINEAR)


def torchvision_center_crop(image, width, height):
    if width > image.width or height > image.height:
        left, top = max(width - image.width, 0) // 2, max(height - image.height, 0) // 2
        padded = Image.new(image.mode, (max(width, image.width), max(height, image.height)))
        padded.paste(image, (left, top))
        image = padded
    top, left = int(round((image.height - height) / 2.0)), int(round((image.width - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def normalise(image, mean, std):
    levels = np.asarray(image, dtype=np.float32)
    levels = levels.reshape(*levels.shape[:2], -1) / np.float32(255)
    return ((levels - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)


def presets(image):
    cropped = torchvision_center_crop(torchvision_resize(image, 256), 224, 224)
    yield "torchvision", normalise(cropped, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    # OneFlow's model zoo normalises levels of 0..255, in double precision.
    levels = np.asarray(resize(image, (224, 224), Image.Resampling.BICUBIC)).astype(float)
    values = (levels - [123.68, 116.779, 103.939]) / [58.393, 57.12, 57.375]
    yield "oneflow", values.transpose(2, 0, 1).astype(np.float32)
    yield "mnist", normalise(resize(image.convert("L"), (28, 28), Image.Resampling.BILINEAR), [0], [1])
    small = resize(image, (112, 112), Image.Resampling.BILINEAR)
    yield "cifar10", normalise(small, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])


def write_preprocess():
    sources = {
        "scene.png": scene(101, 67, noise=40),
        "tall.png": scene(9, 130),
        "wide.png": scene(130, 9),
        "dot.png": Image.open(IMAGES / "dot.png"),
    }
    for name, image in sources.items():
        if name != "dot.png":
            keep(name, encode(image, "PNG", optimize=True))
        for filter, code in FILTERS.items():
            for width, height in [(40, 31), (101, 9), (20, 67), (30, 72), (120, 7), (1, 1)]:
                key = f"{filter}/{width}x{height}"
                # Colour for the one picture, small sizes in grey for all.
                if name == "scene.png":
                    goldens[f"resize/{key}/{name}"] = np.asarray(resize(image, (width, height), code))
                if width * height < 1250:
                    grey = resize(image.convert("L"), (width, height), code)
                    goldens[f"resize_grey/{key}/{name}"] = np.asarray(grey)[:, :, None]
        for side, width, height in [(40, 31, 32), (41, 32, 31), (20, 26, 26), (21, 15, 30), (9, 9, 9)]:
            cropped = torchvision_center_crop(torchvision_resize(image, side), width, height)
            goldens[f"crop/{side}/{width}x{height}/{name}"] = np.asarray(cropped)
        for preset, values in presets(image):
            goldens[f"preset/{preset}/{name}"] = np.ascontiguousarray(values[:, ::STEP, ::STEP])
            goldens[f"preset_sum/{preset}/{name}"] = values.astype(float).sum((1, 2))


def run(program, options, image, suffix):
    """What a program makes of an image file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / ("in" + suffix), Path(folder) / "out"
        if isinstance(image, bytes):
            source.write_bytes(image)
        else:
            image.save(source)
        out = ["-outfile", target, source] if program == "cjpeg" else [source, target]
        subprocess.run([program, *options, *out], check=True, capture_output=True)
        return target.read_bytes()


def cjpeg(image, *options, scans=None):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans:
            script.write(scans)
            script.flush()
            options += ("-scans", script.name)
        return run("cjpeg", ["-quality", "92", *options], image, ".pgm" if image.mode == "L" else ".ppm")


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def exif_block(orientation, kind=3, order=">"):
    """A TIFF structure with one tag, of type SHORT (3) or LONG (4)."""
    value = struct.pack(order + "HH", orientation, 0) if kind == 3 else struct.pack(order + "I", orientation)
    head = b"MM\0*" if order == ">" else b"II*\0"
    return head + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1) + value + bytes(4)


def xmp_packet(orientation):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def lossless_jpeg(levels, predictor, adobe=None):
    """ITU-T T.81, annex H, for 8 bits: one scan, no restarts, every category a code of 4 or 5 bits."""
    levels = np.asarray(levels).astype(int)
    levels = levels.reshape(*levels.shape[:2], -1)
    height, width, channels = levels.shape
    a, b, c = (np.zeros_like(levels) for _ in range(3))
    a[:, 1:], b[1:], c[1:, 1:] = levels[:, :-1], levels[:-1], levels[:-1, :-1]
    guess = [None, a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1][predictor].copy()
    guess[0, 1:], guess[1:, 0], guess[0, 0] = a[0, 1:], b[1:, 0], 128
    bits = []
    for difference in (levels - guess).reshape(-1).tolist():
        category = abs(difference).bit_length()
        bits.append(format(category, "04b"))
        if category:
            bits.append(format(difference if difference > 0 else difference + (1 << category) - 1, f"0{category}b"))
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    names = b"RGB" if channels == 3 else b"\1"
    frame = struct.pack(">BHHB", 8, height, width, channels) + b"".join(bytes([n, 0x11, 0]) for n in names)
    table = b"\0" + bytes([0, 0, 0, 12] + 12 * [0]) + bytes(range(12))
    scan = bytes([channels]) + b"".join(bytes([n, 0]) for n in names) + bytes([predictor, 0, 0])
    mark = b"" if adobe is None else segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    return b"\xff\xd8" + mark + segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, scan) + data + b"\xff\xd9"


def write_odd_jpeg():
    picture = scene(37, 27, noise=8)
    grey = picture.convert("L")
    # Scans of one component each, in every sampling, with restarts, and in another order.
    for name, sampling in [("444", "1x1"), ("422", "2x1"), ("440", "1x2"), ("420", "2x2"), ("410", "4x2,1x1,1x1")]:
        keep(f"separate_{name}.jpg", cjpeg(picture, "-sample", sampling, scans="0;1;2;"))
    keep("separate_420_restarts.jpg", cjpeg(picture, "-sample", "2x2", "-restart", "3B", scans="0;1;2;"))
    keep("separate_420_blue_first.jpg", cjpeg(picture, "-sample", "2x2", scans="1;0;2;"))
    keep("separate_420_luma_alone.jpg", cjpeg(picture, "-sample", "2x2", scans="0;1 2;"))
    keep("separate_420_chroma_first.jpg", cjpeg(picture, "-sample", "2x2", scans="1 2;0;"))
    keep("separate_422_one_pixel.jpg", cjpeg(picture.crop((0, 0, 1, 1)), "-sample", "2x1", scans="0;1;2;"))
    # Luma sampled less than chroma, and factors that have nothing to do with each other.
    for sampling in ["1x1,2x2,2x2", "1x1,2x1,2x1", "1x1,2x1,1x1", "1x2,2x1,1x1", "2x2,2x1,1x2", "3x1,1x1,1x1"]:
        keep(f"sampled_{sampling.replace(',', '_')}.jpg", cjpeg(picture, "-sample", sampling))
    keep("sampled_1x1_2x2_2x2_progressive.jpg", cjpeg(picture, "-sample", "1x1,2x2,2x2", "-progressive"))
    keep("sampled_1x1_2x2_2x2_separate.jpg", cjpeg(picture, "-sample", "1x1,2x2,2x2", scans="0;1;2;"))
    keep("grey_sampled_2x2.jpg", cjpeg(grey, "-grayscale", "-sample", "2x2"))
    spectral = "0:0-0,0,0;1:0-0,0,0;2:0-0,0,0;0:1-5,0,2;0:6-63,0,2;1:1-63,0,1;2:1-63,0,1;0:1-63,2,1;0:1-63,1,0;1:1-63,1,0;2:1-63,1,0;"
    keep("progressive_420_separate.jpg", cjpeg(picture, "-sample", "2x2", "-restart", "2B", scans=spectral))
    keep("quality_1.jpg", cjpeg(picture, "-quality", "1", "-sample", "1x1"))

    # Colours are told by JFIF, by Adobe, by the components' names, in this order.
    plain = encode(picture, "JPEG", quality=92, subsampling=0)
    tables = plain[plain.index(b"\xff\xdb"):]
    jfif = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    adobe = [segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])) for transform in range(3)]
    keep("colour_jfif_and_adobe_0.jpg", b"\xff\xd8" + jfif + adobe[0] + tables)
    keep("colour_adobe_0.jpg", b"\xff\xd8" + adobe[0] + tables)
    keep("colour_adobe_2.jpg", b"\xff\xd8" + adobe[2] + tables)
    keep("colour_unmarked.jpg", b"\xff\xd8" + tables)
    named = cjpeg(picture, "-rgb", "-sample", "1x1")
    keep("colour_named_rgb.jpg", named)
    start = named.index(b"\xff\xdb")
    keep("colour_named_rgb_and_jfif.jpg", b"\xff\xd8" + jfif + named[start:])

    keep("lossless_grey.jpg", lossless_jpeg(grey, 1))
    for predictor in range(1, 8):
        keep(f"lossless_rgb_{predictor}.jpg", lossless_jpeg(picture, predictor, adobe=0))

    # Files that were recovered from a disk end in what filled their last sector. Pillow reads some of them.
    for name, whole, filling in [
        ("420_zeros", encode(picture, "JPEG", quality=92, subsampling=2), bytes(700)),
        ("420_ff", encode(picture, "JPEG", quality=92, subsampling=2), b"\xff" * 300),
        ("420_text", encode(picture, "JPEG", quality=92, subsampling=2), b"and then the words of some other file"),
        ("420_separate", cjpeg(picture, "-sample", "2x2", scans="0;1;2;"), bytes(64)),
        ("progressive", encode(picture, "JPEG", quality=92, progressive=True), bytes(64)),
    ]:
        pixels = np.asarray(Image.open(io.BytesIO(whole)).convert("RGB"))
        keep(f"no_end_{name}.jpg", whole[:-2] + filling, pixels)

    upright = encode(picture.crop((0, 0, 24, 16)), "JPEG", quality=92, subsampling=0)
    exif = lambda *arguments: segment(0xE1, b"Exif\0\0" + exif_block(*arguments))
    keep("orientation_6_long.jpg", upright[:2] + exif(6, 4) + upright[2:])
    keep("orientation_8_long_intel.jpg", upright[:2] + exif(8, 4, "<") + upright[2:])
    keep("orientation_6_first_of_two.jpg", upright[:2] + exif(6) + exif(3) + upright[2:])
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(8))
    keep("orientation_8_xmp.jpg", upright[:2] + xmp + upright[2:])
    keep("orientation_1_before_xmp.jpg", upright[:2] + exif(1) + xmp + upright[2:])


def write_odd_png_gif_ico():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rgb = scene(23, 17)
    whole = encode(rgb, "PNG")
    header, pixels, end = whole[:33], whole[33:-12], whole[-12:]
    keep("exif_after_pixels.png", header + pixels + chunk(b"eXIf", exif_block(6)) + end)
    profile = b"\nexif\n      32\n" + (b"Exif\0\0" + exif_block(5)).hex().encode() + b"\n"
    raw = b"Raw profile type exif\0\0" + zlib.compress(profile)
    keep("exif_raw_profile.png", header + chunk(b"zTXt", raw) + pixels + end)
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(3)
    keep("orientation_3_xmp.png", header + chunk(b"iTXt", text) + pixels + end)
    keep("without_end.png", header + pixels)
    keep("without_end_exif.png", header + pixels + chunk(b"eXIf", exif_block(6)))

    # A GIF by hand: what the first frame leaves of the canvas has the colour of the transparent index, or of index 0.
    frame = rgb.crop((0, 0, 9, 7)).quantize(16)
    palette = bytes(frame.getpalette()[:48])
    data = encode(frame, "GIF")
    codes = data[data.index(b"\x2c", 13 + 3 * (2 << (data[10] & 7))):][10:]

    def gif(screen, left, top, palette, control=b"", local=False):
        flags, table = (0, b"") if local else (0x83, palette)
        own = bytes([0x83]) + palette if local else b"\0"
        place = struct.pack("<HHHH", left, top, 9, 7)
        return b"GIF89a" + struct.pack("<HHBBB", *screen, flags, 5, 0) + table + control + b"\x2c" + place + own + codes
    control = lambda index: b"\x21\xf9\4" + bytes([1, 0, 0, index]) + b"\0"
    keep("part_of_canvas.gif", gif((15, 12), 3, 2, palette))
    keep("part_of_canvas_transparent.gif", gif((15, 12), 3, 2, palette, control(7)))
    keep("part_of_canvas_own_palette.gif", gif((15, 12), 6, 5, palette, local=True))
    keep("over_the_edge.gif", gif((10, 8), 5, 4, palette))

    def icon(pictures, kind=1):
        """Pictures as (side, bits, bytes)."""
        out, at = struct.pack("<HHH", 0, kind, len(pictures)), 6 + 16 * len(pictures)
        for side, bits, data in pictures:
            out += struct.pack("<BBBBHHII", side, side, 0, 0, 1, bits, len(data), at)
            at += len(data)
        return out + b"".join(data for *_, data in pictures)

    def bitmap(image):
        """A BMP without its file header, and with a mask of transparent pixels."""
        data = encode(image, "DIB")
        mask = bytes((image.width + 31) // 32 * 4 * image.height)
        return data[:8] + struct.pack("<i", image.height * 2) + data[12:] + mask

    small, large = scene(16, 16), scene(24, 24)
    keep("rgb_png_inside.ico", icon([(24, 24, encode(large, "PNG"))]))
    keep("grey_png_inside.ico", icon([(24, 8, encode(large.convert("L"), "PNG"))]))
    keep("palette_png_inside.ico", icon([(24, 8, encode(large.quantize(30), "PNG"))]))
    keep("several_sizes.ico", icon([(16, 32, encode(small.convert("RGBA"), "PNG")), (24, 24, encode(large, "PNG"))]))
    keep("several_depths.ico", icon([(24, 24, bitmap(large)), (24, 8, bitmap(large.quantize(60)))]))
    keep("bmp_24_inside.ico", icon([(24, 24, bitmap(large))]))
    keep("bmp_bilevel_inside.ico", icon([(16, 1, bitmap(small.convert("1")))]))
    keep("rgb.cur", icon([(16, 24, bitmap(small))], kind=2))
    keep("palette_of_two.cur", icon([(16, 8, bitmap(small.quantize(50))), (24, 8, bitmap(large.quantize(50)))], kind=2))


def tiff(width, height, tags, data, order="<", big=False):
    """A TIFF by hand, of one strip. Tags: number -> (type, values)."""
    sizes, codes = {1: 1, 3: 2, 4: 4, 5: 8, 16: 8}, {1: "B", 3: "H", 4: "I", 5: "II", 16: "Q"}
    tags = {256: (4, [width]), 257: (4, [height]), 278: (4, [height]), 279: (4, [len(data)]), **tags}
    word, head = ("Q", 16) if big else ("I", 8)
    entry = 20 if big else 12
    tags[273] = (4, [head])
    directory = head + len(data) + len(data) % 2
    later = directory + (8 if big else 2) + entry * len(tags) + (8 if big else 4)
    entries, values = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = b"".join(struct.pack(order + codes[kind], *(n if isinstance(n, tuple) else (n,))) for n in numbers)
        count = len(packed) // sizes[kind]
        entries += struct.pack(order + "HH" + word, tag, kind, count)
        room = 8 if big else 4
        if len(packed) <= room:
            entries += packed.ljust(room, b"\0")
        else:
            entries += struct.pack(order + word, later + len(values))
            values += packed
    mark = b"II" if order == "<" else b"MM"
    start = mark + (struct.pack(order + "HHHQ", 43, 8, 0, directory) if big else struct.pack(order + "HI", 42, directory))
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return start + data + bytes(len(data) % 2) + count + entries + bytes(8 if big else 4) + values


def write_odd_tiff():
    rgb = scene(37, 27)
    grey = rgb.convert("L")
    levels, grey_levels = np.asarray(rgb), np.asarray(grey)
    alpha = random.integers(0, 256, (27, 37), dtype=np.uint8)
    shorts = lambda *numbers: (3, list(numbers))
    colour = {258: shorts(8, 8, 8), 262: shorts(2), 277: shorts(3)}
    one = {258: shorts(8), 262: shorts(1)}

    for name, order, big in [("big", "<", True), ("big_motorola", ">", True), ("motorola", ">", False)]:
        # Pillow does not know the second.
        keep(f"{name}.tif", tiff(37, 27, colour, levels.tobytes(), order, big), levels)
    plain = encode(rgb, "TIFF")
    tiffcp = lambda options, image=plain: run("tiffcp", options.split(), image, ".tif")
    for name, options in {
        "tiles": "-c none -t -w 16 -l 32", "tiles_lzw_2": "-c lzw:2 -t -w 32 -l 16", "planes": "-c zip:2 -p separate -r 5",
        "planes_tiles": "-c none -p separate -t -w 16 -l 16", "zstd": "-c zstd", "zstd_2": "-c zstd:2 -r 8",
        "strips": "-c packbits -r 4",
    }.items():
        keep(f"{name}.tif", tiffcp(options))
    for name, options in {"jpeg": "-c jpeg", "jpeg_tiles": "-c jpeg -t -w 16 -l 16", "jpeg_rgb": "-c jpeg:r -r 8"}.items():
        keep(f"{name}.tif", tiffcp(options))
    keep("jpeg_grey.tif", tiffcp("-c jpeg -r 16", encode(grey, "TIFF")))
    keep("jpeg_cmyk.tif", tiffcp("-c jpeg:r", encode(rgb.convert("CMYK"), "TIFF")))

    keep("palette.tif", encode(rgb.quantize(60), "TIFF"))
    keep("palette_lzw.tif", encode(rgb.quantize(60), "TIFF", compression="tiff_lzw"))
    few = rgb.quantize(15)
    packed = [np.pad(row, (0, 1)) for row in np.asarray(few)]
    colours = np.frombuffer(bytes(few.getpalette("RGB")).ljust(48, b"\0")[:48], np.uint8).reshape(16, 3)
    palette = {258: shorts(4), 262: shorts(3), 320: (3, (colours.T.reshape(-1).astype(int) * 257).tolist())}
    keep("palette_4_bits.tif", tiff(37, 27, palette, b"".join(bytes(row[::2] << 4 | row[1::2]) for row in packed)))

    for bits, per_byte in [(2, 4), (4, 2)]:
        rows = np.pad(grey_levels >> (8 - bits), ((0, 0), (0, -37 % per_byte)))
        shifts = [8 - bits * (i + 1) for i in range(per_byte)]
        data = sum(rows[:, i::per_byte].astype(int) << shift for i, shift in enumerate(shifts)).astype(np.uint8)
        keep(f"grey_{bits}_bits.tif", tiff(37, 27, {258: shorts(bits), 262: shorts(1)}, data.tobytes()))
    white = tiff(37, 27, {258: shorts(8), 262: shorts(0)}, (255 - grey_levels).tobytes())
    keep("white_is_0.tif", white)
    twelve = grey_levels.astype(int) << 4
    rows = np.pad(twelve, ((0, 0), (0, 1))).reshape(27, -1, 2)
    pairs = np.stack([rows[:, :, 0] >> 4, (rows[:, :, 0] & 15) << 4 | rows[:, :, 1] >> 8, rows[:, :, 1] & 255], 2)
    data = b"".join(bytes(row[: (37 * 12 + 7) // 8].tolist()) for row in pairs.reshape(27, -1).astype(np.uint8))
    # Pillow cuts 12 bits off at 255, as it does 16.
    repeated = np.repeat(grey_levels[:, :, None], 3, 2)
    keep("grey_12_bits.tif", tiff(37, 27, {258: shorts(12), 262: shorts(1)}, data), repeated)
    keep("grey_float.tif", encode(Image.fromarray(grey_levels.astype(np.float32)), "TIFF"))
    keep("grey_float_3.tif", tiffcp("-c zip:3", encode(Image.fromarray(grey_levels.astype(np.float32)), "TIFF")))
    keep("grey_int32.tif", encode(Image.fromarray(grey_levels.astype(np.int32)), "TIFF"))
    deep = tiff(37, 27, {**colour, 258: shorts(16, 16, 16), 317: shorts(1)}, (levels.astype("<u2") * 257).tobytes())
    keep("rgb_16_lzw_2_motorola.tif", tiffcp("-c lzw:2 -B", deep))

    both = np.dstack([grey_levels, alpha])
    keep("grey_alpha.tif", encode(Image.fromarray(both, "LA"), "TIFF"))
    associated = lambda image: (image.astype(int) * alpha[:, :, None] // 255).astype(np.uint8)
    four = np.dstack([associated(levels), alpha])
    keep("associated_alpha.tif", tiff(37, 27, {**colour, 258: shorts(8, 8, 8, 8), 277: shorts(4), 338: shorts(1)}, four.tobytes()))
    # Pillow reads this as a mode that it then cannot convert.
    two = np.dstack([associated(grey_levels[:, :, None]), alpha])
    wide = two.astype(int)
    divided = np.where(wide[:, :, 1] > 0, np.minimum(wide[:, :, 0] * 255 // np.maximum(wide[:, :, 1], 1), 255), 0)
    tags = {258: shorts(8, 8), 262: shorts(1), 277: shorts(2), 338: shorts(1)}
    keep("grey_associated_alpha.tif", tiff(37, 27, tags, two.tobytes()), np.repeat(divided.astype(np.uint8)[:, :, None], 3, 2))

    soft = np.dstack([grey_levels, (levels[:, :, 0] // 8).astype(np.uint8), (levels[:, :, 2] // 8).astype(np.uint8)])
    keep("lab.tif", tiff(37, 27, {**colour, 262: shorts(8)}, soft.tobytes()))
    ycbcr = np.asarray(rgb.convert("YCbCr"))
    keep("ycbcr.tif", tiff(37, 27, {**colour, 262: shorts(6), 530: shorts(1, 1)}, ycbcr.tobytes()))
    # Blocks of four luma samples and two of chroma, which libtiff repeats.
    padded = np.pad(ycbcr, ((0, 1), (0, 1), (0, 0)), "edge")
    blocks = padded.reshape(14, 2, 19, 2, 3).transpose(0, 2, 1, 3, 4)
    stored = np.concatenate([blocks[..., 0].reshape(14, 19, 4), blocks[:, :, 0, 0, 1:]], 2)
    chroma = blocks[:, :, :1, :1, 1:].repeat(2, 2).repeat(2, 3)
    seen = np.concatenate([blocks[..., :1], chroma], 4).transpose(0, 2, 1, 3, 4).reshape(28, 38, 3)[:27, :37]
    seen = np.asarray(Image.fromarray(np.ascontiguousarray(seen), "YCbCr").convert("RGB"))
    keep("ycbcr_420.tif", tiff(37, 27, {**colour, 262: shorts(6), 530: shorts(2, 2)}, stored.astype(np.uint8).tobytes()), seen)

    bilevel = grey.convert("1")
    keep("group_3.tif", tiffcp("-c g3:1d", encode(bilevel, "TIFF")))
    keep("group_3_filled.tif", tiffcp("-c g3:1d:fill -r 9", encode(bilevel, "TIFF")))
    keep("group_4.tif", tiffcp("-c g4", encode(bilevel, "TIFF")))
    keep("group_4_lowest_bit_first.tif", tiffcp("-c g4 -f lsb2msb", encode(bilevel, "TIFF")))
    keep("orientation_6_xmp.tif", tiff(37, 27, {**one, 700: (1, list(xmp_packet(6)))}, grey_levels.tobytes()))
    keep("orientation_7.tif", tiff(37, 27, {**one, 274: shorts(7)}, grey_levels.tobytes()))


def write_safetensors(path, tensors):
    names = {"uint8": "U8", "float32": "F32", "float64": "F64"}
    header, data = {}, b""
    # The widest type first keeps every tensor aligned.
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        array = np.ascontiguousarray(array)
        span = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": names[str(array.dtype)], "shape": list(array.shape), "data_offsets": span}
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


IMAGES.mkdir(exist_ok=True)
write_png()
write_jpeg()
write_others()
write_preprocess()
write_odd_jpeg()
write_odd_png_gif_ico()
write_odd_tiff()
write_safetensors(HERE / "vision_goldens.safetensors", goldens)
