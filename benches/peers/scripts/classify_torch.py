"""What torchvision's documentation shows: classify_torch.py NETWORK CHECKPOINT BATCH PHOTO... prints a JSON line a photo."""

import json
import sys

import torch
from PIL import Image
from torchvision import models, transforms

network, checkpoint, batch, photos = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
prepare = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
model = models.get_model(network)
model.load_state_dict(torch.load(checkpoint))
model.eval()
with torch.inference_mode():
    for first in range(0, len(photos), batch):
        some = photos[first : first + batch]
        images = torch.stack([prepare(Image.open(photo).convert("RGB")) for photo in some])
        for photo, row in zip(some, model(images).softmax(1)):
            best = int(row.argmax())
            print(json.dumps({"image": photo, "class": best, "probability": float(row[best])}))
