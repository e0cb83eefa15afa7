"""Writes the logits that PyTorch computes for every example, as the reference for the Rust tests."""

import argparse
import json
from pathlib import Path

from check_examples import ROOT, classify_examples


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "data" / "shipped_goldens.json")
    out = parser.parse_args().out
    rows = [
        {"model": name, "file": file.as_posix(), "class": truth, "logits": [float(f"{v:.7g}") for v in logits.tolist()]}
        for name, file, truth, logits in classify_examples()
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
