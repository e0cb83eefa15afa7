#!/usr/bin/env bash
# OneFlow's workflow for ShuffleNetV2, end to end: weights and a picture, then their classes.
#
# Set any of these to use your own:
#   MODEL                 shufflenetv2_x0.5, shufflenetv2_x1.0 (default), shufflenetv2_x1.5 or shufflenetv2_x2.0
#   PRETRAIN_MODEL_PATH   a checkpoint; by default torchvision's, downloaded once and kept
#   IMAGE_PATH            a picture; by default one of the examples
#   DEVICE                auto (default), gpu, cpu, or part of a device's name
set -euo pipefail
cd "$(dirname "$0")"

MODEL=${MODEL:-shufflenetv2_x1.0}
IMAGE_PATH=${IMAGE_PATH:-examples/images/airplane.png}

weights=()
if [ -n "${PRETRAIN_MODEL_PATH:-}" ]; then
    weights=(--model_path "$PRETRAIN_MODEL_PATH")
fi

exec cargo run --quiet --release --bin predict -- \
    --model "$MODEL" ${weights[@]+"${weights[@]}"} --image_path "$IMAGE_PATH" --preset oneflow --device "${DEVICE:-auto}" "$@"
