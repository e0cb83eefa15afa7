# OneFlow's workflow for ShuffleNetV2, end to end, as infer.sh: weights and a picture, then their classes.
#
# Set any of these variables of the environment to use your own:
#   MODEL                 shufflenetv2_x0.5, shufflenetv2_x1.0 (default), shufflenetv2_x1.5 or shufflenetv2_x2.0
#   PRETRAIN_MODEL_PATH   a checkpoint; by default torchvision's, downloaded once and kept
#   IMAGE_PATH            a picture; by default one of the examples
#   DEVICE                auto (default), gpu, cpu, or part of a device's name
$ErrorActionPreference = 'Stop'
Push-Location $PSScriptRoot
try {
    $model = if ($env:MODEL) { $env:MODEL } else { 'shufflenetv2_x1.0' }
    $image = if ($env:IMAGE_PATH) { $env:IMAGE_PATH } else { 'examples/images/airplane.png' }
    $device = if ($env:DEVICE) { $env:DEVICE } else { 'auto' }
    $weights = if ($env:PRETRAIN_MODEL_PATH) { '--model_path', $env:PRETRAIN_MODEL_PATH } else { @() }
    cargo run --quiet --release --bin predict -- `
        --model $model @weights --image_path $image --preset oneflow --device $device @args
    exit $LASTEXITCODE
}
finally {
    Pop-Location
}
