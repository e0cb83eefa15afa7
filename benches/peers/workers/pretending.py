"""No engine: answers with the expected logits, or, by variant, as an engine with a fault would; for test_compare.py."""

import os
import threading
import time

import numpy


def load(case, variant):
    answers = numpy.load(case.weights).astype(numpy.float32)
    if "refuses" in variant:
        raise RuntimeError("no such operator")
    if "spins" in variant:
        threading.Thread(target=spin, daemon=True).start()
    first = []

    def run(batch):
        time.sleep(0.002)
        # An image holds nothing but its number.
        logits = answers[batch[:, 0, 0, 0].astype(int)]
        first.append(logits)
        if "stale" in variant:
            return first[0]
        if "dies" in variant and len(first) > 5:
            os._exit(3)
        if "hangs" in variant and len(first) > 5:
            time.sleep(3600)
        if "nan" in variant:
            return logits * numpy.nan
        return logits * 1.01 if "off" in variant else logits

    return {"engine": "pretending", "version": "1"}, run


def spin():
    while True:
        sum(range(10000))
