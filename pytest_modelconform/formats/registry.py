"""The built-in formats: name -> module. Imported only when a format is asked for."""

BUILT_IN = {
    "torchscript-trace": "pytest_modelconform.formats.torchscript_trace",
    "torchscript-script": "pytest_modelconform.formats.torchscript_script",
    "export": "pytest_modelconform.formats.export",
    "aoti": "pytest_modelconform.formats.aoti",
    "onnx": "pytest_modelconform.formats.onnx",
    "onnx-legacy": "pytest_modelconform.formats.onnx_legacy",
    "state-dict": "pytest_modelconform.formats.state_dict",
    "openvino": "pytest_modelconform.formats.openvino",
    "stablehlo": "pytest_modelconform.formats.stablehlo",
    "executorch": "pytest_modelconform.formats.executorch",
    "executorch-portable": "pytest_modelconform.formats.executorch_portable",
    "litert": "pytest_modelconform.formats.litert",
    "coreml": "pytest_modelconform.formats.coreml",
}
