#!/usr/bin/env python3
"""Golden values of Pillow for tests/image: resizing and the changes of RandAugment on small made pictures.

usage: PYTHONPATH=WHERE_PILLOW_IS tools/golden_image.py          writes tests/data/image/pillow.json
"""
import json
import pathlib

import PIL
from PIL import Image, ImageEnhance, ImageOps

OUT = pathlib.Path(__file__).parent.parent / "tests" / "data" / "image" / "pillow.json"


def made(width, height, channels):
    """tests/image/test_golden.c makes the same picture."""
    values = [
        (x * 37 + y * 91 + c * 53 + (x * y) % 17 * 11 + (90 if x > y else 0)) % 256
        for y in range(height) for x in range(width) for c in range(channels)
    ]
    image = Image.new("RGB" if channels == 3 else "L", (width, height))
    image.frombytes(bytes(values))
    return image


def soft(width, height):
    """A picture of few, smooth values, for what looks at histograms."""
    values = [40 + (x * (3 + c) + y * 2) % 150 for y in range(height) for x in range(width) for c in range(3)]
    image = Image.new("RGB", (width, height))
    image.frombytes(bytes(values))
    return image


def flat(image):
    return list(image.tobytes())


FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
resized = []
for channels in (1, 3):
    for name, kind in FILTERS.items():
        for width, height, box in [(9, 7, None), (31, 29, None), (23, 5, None), (8, 8, (2, 3, 15, 14)),
                                   (6, 10, (1.5, 0.25, 20.75, 16.5))]:
            image = made(23, 17, channels).resize((width, height), kind, box)
            resized.append({"channels": channels, "filter": name, "width": width, "height": height,
                            "box": list(box or ()), "values": flat(image)})
changes = {}
for name, change in {
    "brightness": lambda m: ImageEnhance.Brightness(m).enhance(1.4),
    "contrast": lambda m: ImageEnhance.Contrast(m).enhance(0.4),
    "saturation": lambda m: ImageEnhance.Color(m).enhance(1.7),
    "sharpness": lambda m: ImageEnhance.Sharpness(m).enhance(1.9),
    "smooth": lambda m: ImageEnhance.Sharpness(m).enhance(0.1),
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "posterize": lambda m: ImageOps.posterize(m, 3),
    "solarize": lambda m: ImageOps.solarize(m, 100),
}.items():
    changes[name] = flat(change(soft(40, 26)))
OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps({"made_by": f"tools/golden_image.py, Pillow {PIL.__version__}", "resized": resized,
                           "changes": changes}, separators=(",", ":")) + "\n")
print(OUT, OUT.stat().st_size)
