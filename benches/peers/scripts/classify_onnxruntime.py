"""What somebody with an ONNX file writes: classify_onnxruntime.py MODEL BATCH PHOTO... prints a JSON line a photo."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def prepare(path):
    image = Image.open(path).convert("RGB")
    image = image.resize([256 * side // min(image.size) for side in image.size], Image.BILINEAR)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    image = image.crop((left, top, left + 224, top + 224))
    return ((np.asarray(image, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


model, batch, photos = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
for first in range(0, len(photos), batch):
    some = photos[first : first + batch]
    (logits,) = session.run(None, {"input": np.stack([prepare(photo) for photo in some])})
    for photo, row in zip(some, logits):
        exp = np.exp(row - row.max())
        best = int(row.argmax())
        print(json.dumps({"image": photo, "class": best, "probability": float(exp[best] / exp.sum())}))
