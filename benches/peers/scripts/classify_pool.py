"""The same for a folder full of photos: classify_pool.py MODEL BATCH PROCESSES SIDE LIST prints a JSON line a photo.

Each process has one thread. A SIDE other than 0 lets Pillow decode large JPEGs smaller, down to twice that side.
"""

import json
import sys
from multiprocessing import Pool

import numpy as np
import onnxruntime
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
MODEL, BATCH, PROCESSES, SIDE, LIST = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]


def begin():
    global session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def prepare(path):
    image = Image.open(path)
    if SIDE:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
    image = image.convert("RGB")
    image = image.resize([256 * side // min(image.size) for side in image.size], Image.BILINEAR)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    image = image.crop((left, top, left + 224, top + 224))
    return ((np.asarray(image, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def classify(photos):
    (logits,) = session.run(None, {"input": np.stack([prepare(photo) for photo in photos])})
    lines = []
    for photo, row in zip(photos, logits):
        exp = np.exp(row - row.max())
        best = int(row.argmax())
        lines.append(json.dumps({"image": photo, "class": best, "probability": float(exp[best] / exp.sum())}))
    return lines


if __name__ == "__main__":
    with open(LIST) as file:
        photos = file.read().splitlines()
    batches = [photos[first : first + BATCH] for first in range(0, len(photos), BATCH)]
    with Pool(PROCESSES, begin) as pool:
        for lines in pool.imap(classify, batches):
            print("\n".join(lines))
