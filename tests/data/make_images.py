"""Draws the small images of tests/vision.rs and writes what Pillow and numpy make of them, as goldens.

Run with Pillow 12.2 or later (QOI came with it) and numpy: python tests/data/make_images.py
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
write_safetensors(HERE / "vision_goldens.safetensors", goldens)
