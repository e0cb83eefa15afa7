"""PyTorch. Variants: `cuda`, `last` (channels last), `fused` (BN folded), `compile`, `graph` (CUDA graph), `tf32`, `f16`.

Without `tf32` and `f16` everything is f32, also on a GPU, where PyTorch's own default lets cuDNN round to TF32.
"""

import numpy
import torch

import networks


def load(case, variant):
    if "cuda" in variant and not torch.cuda.is_available():
        raise RuntimeError("there is no CUDA device")
    device = torch.device("cuda" if "cuda" in variant else "cpu")
    about = {"engine": " ".join(["PyTorch", *sorted(variant - {"cuda"})]), "version": torch.__version__}
    if device.type == "cuda":
        about["device"] = torch.cuda.get_device_name()
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = "tf32" in variant
    else:
        torch.set_num_threads(case.threads)
    dtype = torch.float16 if "f16" in variant else torch.float32
    layout = torch.channels_last if "last" in variant else torch.contiguous_format

    model = networks.build(case.model, case.weights)
    if "fused" in variant:
        model = networks.fold_batch_norm(model)
    model = model.to(device=device, dtype=dtype, memory_format=layout)
    if "compile" in variant:
        # Constants folded and batch normalisation with them; on a GPU the compiler makes its own CUDA graph.
        from torch._inductor import config

        config.freezing = True
        config.compile_threads = 1
        model = torch.compile(model, mode="reduce-overhead" if device.type == "cuda" else None, dynamic=False)

    @torch.inference_mode()
    def plain(batch):
        images = torch.from_numpy(batch).to(device=device, dtype=dtype, memory_format=layout)
        return model(images).to("cpu", torch.float32).numpy()

    if "graph" not in variant:
        return about, plain

    # Input and output have fixed places; pinned memory is what makes copies quick, so the host's copies go there.
    shape = (case.batch, *case.shape)
    host_in = torch.empty(shape, pin_memory=True)
    images = torch.zeros(shape, device=device)
    with torch.inference_mode():
        forward = lambda: model(images.to(dtype=dtype, memory_format=layout)).to(torch.float32)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                forward()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = forward()
        host_out = torch.empty(logits.shape, pin_memory=True)

    @torch.inference_mode()
    def replay(batch):
        host_in.copy_(torch.from_numpy(batch))
        images.copy_(host_in, non_blocking=True)
        graph.replay()
        host_out.copy_(logits, non_blocking=True)
        torch.cuda.synchronize()
        return numpy.array(host_out)

    return about, replay
