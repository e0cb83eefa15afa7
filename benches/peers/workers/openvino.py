"""OpenVINO on the CPU, in f32: left alone it would take bf16 or f16 where the processor has it."""

import openvino


def load(case, variant):
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": case.threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = openvino.Core().compile_model(case.onnx, "CPU", settings)
    request = model.create_infer_request()

    def run(batch):
        # Half of the cost of a call in Python is saved by not passing the batch to `infer`.
        request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))
        request.infer()
        return request.get_output_tensor(0).data.copy()

    return {"engine": "OpenVINO", "version": openvino.__version__.split("-")[0]}, run
