"""ncnn on the CPU or, with the variant `vulkan`, on an adapter; f32, everything else that makes it faster on.

ncnn has no batches: the images of one run one after the other, each with all threads, as its users do it.
"""

import ncnn
import numpy

NARROW = ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage",
          "use_int8_packed", "use_int8_storage", "use_int8_arithmetic", "use_int8_inference"]
FAST = ["lightmode", "use_packing_layout", "use_winograd_convolution", "use_winograd23_convolution",
        "use_winograd43_convolution", "use_winograd63_convolution", "use_sgemm_convolution", "use_subgroup_ops"]


def adapter(name):
    """The index and whole name of the first adapter whose name contains `name`."""
    ncnn.create_gpu_instance()
    names = [ncnn.get_gpu_info(index).device_name() for index in range(ncnn.get_gpu_count())]
    for index, found in enumerate(names):
        if name.lower() in found.lower():
            return index, found
    raise LookupError(f"ncnn finds no adapter called {name}, only {names}")


def load(case, variant):
    net = ncnn.Net()
    for option in NARROW:
        setattr(net.opt, option, False)
    for option in FAST:
        setattr(net.opt, option, True)
    about = {"engine": "ncnn", "version": ncnn.__version__}
    if "vulkan" in variant:
        index, about["device"] = adapter(case.adapter)
        net.opt.use_vulkan_compute = True
        net.set_vulkan_device(index)
    else:
        net.opt.num_threads = case.threads
        ncnn.set_omp_num_threads(case.threads)
    if net.load_param(case.ncnn + ".param") or net.load_model(case.ncnn + ".bin"):
        raise RuntimeError(f"ncnn does not load {case.ncnn}")
    source, sink = net.input_names()[0], net.output_names()[0]

    def run(batch):
        rows = []
        for image in batch:
            extractor = net.create_extractor()  # Its results die with it, so each image is computed.
            if extractor.input(source, ncnn.Mat(image)):
                raise RuntimeError("ncnn does not take the input")
            failed, logits = extractor.extract(sink)
            if failed:
                raise RuntimeError("ncnn does not give the output")
            rows.append(numpy.array(logits))
        return numpy.stack(rows)

    return about, run
