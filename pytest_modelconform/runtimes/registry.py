"""The built-in runtimes: name -> module. Imported only when a runtime is asked for."""

BUILT_IN = {
    "torch": "pytest_modelconform.runtimes.torch",
    "libtorch-cpp": "pytest_modelconform.runtimes.libtorch_cpp",
    "cpp-frontend": "pytest_modelconform.runtimes.cpp_frontend",
    "ort": "pytest_modelconform.runtimes.ort",
    "ort-cpp": "pytest_modelconform.runtimes.ort_cpp",
    "openvino": "pytest_modelconform.runtimes.openvino",
    "openvino-cpp": "pytest_modelconform.runtimes.openvino_cpp",
    "jax": "pytest_modelconform.runtimes.jax",
    "executorch": "pytest_modelconform.runtimes.executorch",
    "litert": "pytest_modelconform.runtimes.litert",
    "coreml": "pytest_modelconform.runtimes.coreml",
}
