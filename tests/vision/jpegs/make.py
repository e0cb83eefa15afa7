#!/usr/bin/env python3
"""Makes the JPEGs of this folder with libjpeg-turbo's cjpeg, and beside each a PNG of what Pillow reads in it.

    python tests/vision/jpegs/make.py      needs Pillow, NumPy and cjpeg
"""

import subprocess
from io import BytesIO
from pathlib import Path

import numpy
from PIL import Image

HERE = Path(__file__).parent
# Width, height, sampling factors of luma, quality, and what else cjpeg is told.
FILES = [
    (1, 1, "2x2", 90, []), (2, 3, "2x2", 90, []), (3, 2, "2x1", 90, []), (4, 5, "2x2", 75, []), (5, 4, "2x1", 85, []),
    (7, 6, "1x2", 85, []), (8, 8, "1x1", 95, []), (9, 17, "2x2", 60, []), (16, 16, "2x2", 100, []), (17, 16, "2x1", 50, []),
    (16, 17, "1x2", 50, []), (33, 31, "2x2", 92, []), (40, 24, "1x1", 30, []), (37, 29, "4x1", 80, []), (29, 37, "1x4", 80, []),
    (35, 33, "4x2", 80, []), (50, 47, "2x2", 88, ["-optimize"]), (50, 47, "2x2", 5, ["-baseline"]),
    (61, 45, "2x2", 75, ["-restart", "1B"]), (61, 45, "2x1", 75, ["-restart", "5B"]), (61, 45, "1x1", 98, ["-restart", "1"]),
    (45, 61, "2x2", 70, ["-grayscale"]), (9, 8, "1x1", 90, ["-grayscale", "-restart", "1B"]), (120, 90, "2x2", 90, []),
    (41, 27, "3x1", 85, []), (26, 43, "3x2", 85, ["-restart", "2B"]), (90, 120, "2x2", 96, ["-optimize", "-restart", "2"]),
]


def picture(width, height, seed):
    """Slopes, edges and noise, with colours at both ends."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[:height, :width]
    slopes = [x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1), (x * 5 + y * 3) % 256]
    rgb = numpy.stack(slopes, axis=2)
    rgb[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2] = [255, 20, 0]
    rgb += random.normal(0, 12, rgb.shape)
    return Image.fromarray(rgb.clip(0, 255).astype("uint8"))


for seed, (width, height, luma, quality, more) in enumerate(FILES):
    ppm = BytesIO()
    picture(width, height, seed).save(ppm, "PPM")
    command = ["cjpeg", "-quality", str(quality), *([] if "-grayscale" in more else ["-sample", f"{luma},1x1,1x1"]), *more]
    jpeg = subprocess.run(command, input=ppm.getvalue(), stdout=subprocess.PIPE, check=True).stdout
    name = "_".join([f"{width}x{height}", luma, f"q{quality}", *(word.strip("-") for word in more)])
    (HERE / f"{name}.jpg").write_bytes(jpeg)
    Image.open(BytesIO(jpeg)).convert("RGB").save(HERE / f"{name}.png", optimize=True)
