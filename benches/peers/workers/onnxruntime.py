"""ONNX Runtime on the CPU or, with the variant `cuda`, on an NVIDIA GPU (which takes the package onnxruntime-gpu).

Its level of graph optimisation is the highest, which is its default; on a GPU, f32 means f32 and not TF32.
"""

import onnxruntime


def load(case, variant):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    provider = "CPUExecutionProvider"
    settings = {}
    if "cuda" in variant:
        provider = "CUDAExecutionProvider"
        settings = {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeError(f"this ONNX Runtime has no {provider}")
    session = onnxruntime.InferenceSession(case.onnx, options, providers=[(provider, settings)])
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"ONNX Runtime fell back to {session.get_providers()[0]}")
    name = session.get_inputs()[0].name
    about = {"engine": "ONNX Runtime", "version": onnxruntime.__version__}
    return about, lambda batch: session.run(None, {name: batch})[0]
