"""The built-in formats: name -> module. Imported only when a format is asked for."""

BUILT_IN = {
    "torchscript-trace": "pytest_modelconform.formats.torchscript_trace",
    "torchscript-script": "pytest_modelconform.formats.torchscript_script",
    "export": "pytest_modelconform.formats.export",
    "aoti": "pytest_modelconform.formats.aoti",
    "onnx": "pytest_modelconform.formats.onnx",
    "onnx-legacy": "pytest_modelconform.formats.onnx_legacy",
    # The model itself, for what compiles it where it runs.
    "module": "pytest_modelconform.formats.module",
    "state-dict": "pytest_modelconform.formats.state_dict",
    "onnx-decomposed": "pytest_modelconform.formats.onnx_decomposed",
    "openvino": "pytest_modelconform.formats.openvino",
    # Old frameworks.
    "onnx-opset9": "pytest_modelconform.formats.onnx_opset9",
    "caffe2": "pytest_modelconform.formats.caffe2",
    "mxnet": "pytest_modelconform.formats.mxnet",
    "caffe": "pytest_modelconform.formats.caffe",
    "tensorflow": "pytest_modelconform.formats.tensorflow",
    # Other versions of PyTorch.
    "torchscript-trace-2.11": "pytest_modelconform.formats.torchscript_trace_2_11",
    "export-2.11": "pytest_modelconform.formats.export_2_11",
    "torchscript-trace-2.15": "pytest_modelconform.formats.torchscript_trace_2_15",
    "export-2.15": "pytest_modelconform.formats.export_2_15",
    "stablehlo": "pytest_modelconform.formats.stablehlo",
    "executorch": "pytest_modelconform.formats.executorch",
    "executorch-portable": "pytest_modelconform.formats.executorch_portable",
    "litert": "pytest_modelconform.formats.litert",
    # From ONNX, and from a trace.
    "mnn": "pytest_modelconform.formats.mnn",
    "iree": "pytest_modelconform.formats.iree",
    "tvm": "pytest_modelconform.formats.tvm",
    "ncnn": "pytest_modelconform.formats.ncnn",
    # The model written twice.
    "twin-keras": "pytest_modelconform.formats.twin_keras",
    "twin-jax": "pytest_modelconform.formats.twin_jax",
    # Less exact by themselves.
    "onnx-fp16": "pytest_modelconform.formats.onnx_fp16",
    "onnx-int8": "pytest_modelconform.formats.onnx_int8",
    "openvino-int8": "pytest_modelconform.formats.openvino_int8",
    "litert-int8": "pytest_modelconform.formats.litert_int8",
    "coreml": "pytest_modelconform.formats.coreml",
}
