"""The built-in runtimes: name -> module. Imported only when a runtime is asked for."""

BUILT_IN = {
    "torch": "pytest_modelconform.runtimes.torch",
    "libtorch-cpp": "pytest_modelconform.runtimes.libtorch_cpp",
    "cpp-frontend": "pytest_modelconform.runtimes.cpp_frontend",
    "ort": "pytest_modelconform.runtimes.ort",
    "ort-cpp": "pytest_modelconform.runtimes.ort_cpp",
    "openvino": "pytest_modelconform.runtimes.openvino",
    "openvino-cpp": "pytest_modelconform.runtimes.openvino_cpp",
    # In JavaScript.
    "ort-node": "pytest_modelconform.runtimes.ort_node",
    "ort-wasm": "pytest_modelconform.runtimes.ort_wasm",
    "ort-web": "pytest_modelconform.runtimes.ort_web",
    "ort-webgpu": "pytest_modelconform.runtimes.ort_webgpu",
    "litert-web": "pytest_modelconform.runtimes.litert_web",
    # Old frameworks.
    "caffe2": "pytest_modelconform.runtimes.caffe2",
    "mxnet": "pytest_modelconform.runtimes.mxnet",
    "caffe": "pytest_modelconform.runtimes.caffe",
    "tensorflow": "pytest_modelconform.runtimes.tensorflow",
    "keras": "pytest_modelconform.runtimes.keras",
    # PyTorch, compiled where it runs.
    "torch-compile": "pytest_modelconform.runtimes.torch_compile",
    "torch-compile-fullgraph": "pytest_modelconform.runtimes.torch_compile_fullgraph",
    "torch-compile-cudagraphs": "pytest_modelconform.runtimes.torch_compile_cudagraphs",
    # Other versions of PyTorch.
    "torch-2.11": "pytest_modelconform.runtimes.torch_2_11",
    "torch-2.15": "pytest_modelconform.runtimes.torch_2_15",
    "jax": "pytest_modelconform.runtimes.jax",
    "executorch": "pytest_modelconform.runtimes.executorch",
    "litert": "pytest_modelconform.runtimes.litert",
    "onnx-reference": "pytest_modelconform.runtimes.onnx_reference",
    "tract": "pytest_modelconform.runtimes.tract",
    "opencv": "pytest_modelconform.runtimes.opencv",
    "tinygrad": "pytest_modelconform.runtimes.tinygrad",
    # From ONNX, and from a trace.
    "mnn": "pytest_modelconform.runtimes.mnn",
    "iree": "pytest_modelconform.runtimes.iree",
    "tvm": "pytest_modelconform.runtimes.tvm",
    "ncnn": "pytest_modelconform.runtimes.ncnn",
    "coreml": "pytest_modelconform.runtimes.coreml",
}
