"""ONNX Runtime on the CPU, at the highest level of graph optimisation, which is its default."""

import onnxruntime


def load(case, variant):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(case.onnx, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    about = {"engine": "ONNX Runtime", "version": onnxruntime.__version__}
    return about, lambda batch: session.run(None, {name: batch})[0]
