// ONNX models in ONNX Runtime, on its CPU execution provider.
//
// The headers may be older than the library: the C API is versioned and only grows, so the library
// is asked for the version that the headers know.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../harness/dtype_table.h"
#include "../harness/engine.h"

namespace modelconform {
namespace {

constexpr DTypeTable kElementTypes{std::array{
    std::pair{DType::kBool, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},
    std::pair{DType::kUInt8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    std::pair{DType::kInt8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8},
    std::pair{DType::kUInt16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16},
    std::pair{DType::kInt16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16},
    std::pair{DType::kUInt32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32},
    std::pair{DType::kInt32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
    std::pair{DType::kUInt64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64},
    std::pair{DType::kInt64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
    std::pair{DType::kFloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
    std::pair{DType::kBFloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16},
    std::pair{DType::kFloat32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    std::pair{DType::kFloat64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
    std::pair{DType::kComplex64, ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64},
    std::pair{DType::kComplex128, ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128},
    std::pair{DType::kFloat8E4M3FN, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN},
    std::pair{DType::kFloat8E5M2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2},
}};

ONNXTensorElementDataType element_type_of(DType dtype) {
  if (const auto found = kElementTypes.theirs(dtype)) return *found;
  throw EngineError("TypeError", "no ONNX type for " + std::string(dtype_name(dtype)));
}

DType dtype_of(ONNXTensorElementDataType type) {
  if (const auto found = kElementTypes.ours(type)) return *found;
  throw EngineError("TypeError", "the model returns a tensor of ONNX's element type " +
                                     std::to_string(static_cast<int>(type)) +
                                     ", which can't be compared");
}

// The bytes are the caller's: the value is a view.
Ort::Value view_of(const OwnedTensor& tensor) {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  return Ort::Value::CreateTensor(memory, tensor.bytes, tensor.tensor.size_in_bytes(),
                                  tensor.tensor.shape.data(), tensor.tensor.shape.size(),
                                  element_type_of(tensor.tensor.dtype));
}

Tensor tensor_from(const Ort::Value& value) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  OwnedTensor result = allocate(dtype_of(info.GetElementType()), info.GetShape());
  const std::size_t size = result.tensor.size_in_bytes();
  if (size > 0) std::memcpy(result.bytes, value.GetTensorRawData(), size);
  return result.tensor;
}

Tree tree_from(const Ort::Value& value) {
  // An optional output without a value.
  if (!value || !value.HasValue()) return {None{}};
  if (value.IsTensor()) return {Leaf{"", tensor_from(value)}};
  const ONNXType type = value.GetTypeInfo().GetONNXType();
  if (type != ONNX_TYPE_SEQUENCE) {
    throw EngineError("TypeError", "the model returns a value of ONNX's type " +
                                       std::to_string(static_cast<int>(type)) +
                                       "; only tensors and sequences can be compared");
  }
  Ort::AllocatorWithDefaultOptions allocator;
  List list;
  for (std::size_t i = 0; i < value.GetCount(); ++i) {
    list.items.push_back(tree_from(value.GetValue(static_cast<int>(i), allocator)));
  }
  return {list};
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> result;
  for (const std::string& text : texts) result.push_back(text.c_str());
  return result;
}

void require_api() {
  const OrtApi* api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    throw EngineError("RuntimeError", "this harness was built with headers of ONNX Runtime 1." +
                                          std::to_string(ORT_API_VERSION) +
                                          ", which are newer than the library " +
                                          OrtGetApiBase()->GetVersionString());
  }
  Ort::InitApi(api);
}

// What all sessions of the process are made with.
struct Shared {
  Ort::Env environment{ORT_LOGGING_LEVEL_ERROR, "modelconform"};
  int threads;
};

class OrtModel : public LoadedModel {
 public:
  OrtModel(std::shared_ptr<const Shared> shared, const Model& model)
      : shared_(std::move(shared)), model_(model), session_(make_session(*shared_, model)) {
    Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t i = 0; i < session_.GetInputCount(); ++i) {
      inputs_.emplace_back(session_.GetInputNameAllocated(i, allocator).get());
    }
    for (std::size_t i = 0; i < session_.GetOutputCount(); ++i) {
      outputs_.emplace_back(session_.GetOutputNameAllocated(i, allocator).get());
    }
  }

  std::vector<std::string> input_names() const override { return inputs_; }

  Result run(const Call& call) override {
    std::vector<std::string> feed_names;
    std::vector<OwnedTensor> feeds;
    std::vector<Ort::Value> values;
    for (const auto& [name, leaf] : call.feeds) {
      feed_names.push_back(name);
      feeds.push_back(writable_copy(leaf.tensor));
      values.push_back(view_of(feeds.back()));
    }
    const std::vector<std::string>& fetches = call.fetches.empty() ? outputs_ : call.fetches;

    const auto feed_pointers = pointers(feed_names);
    const auto fetch_pointers = pointers(fetches);
    const auto start = std::chrono::steady_clock::now();
    const std::vector<Ort::Value> outputs =
        session_.Run(Ort::RunOptions{nullptr}, feed_pointers.data(), values.data(), values.size(),
                     fetch_pointers.data(), fetch_pointers.size());
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

    Result result;
    result.seconds = elapsed.count();
    Dict dict;
    for (std::size_t i = 0; i < fetches.size(); ++i) {
      dict.items.emplace_back(fetches[i], tree_from(outputs[i]));
    }
    result.outputs = {dict};
    for (std::size_t i = 0; i < feeds.size(); ++i) {
      result.passed.push_back({call.feeds[i].second.key, feeds[i].tensor});
    }
    return result;
  }

  // A session of its own in the same environment; sessions share nothing else.
  std::unique_ptr<LoadedModel> clone() override {
    return std::make_unique<OrtModel>(shared_, model_);
  }

 private:
  static Ort::Session make_session(const Shared& shared, const Model& model) {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(shared.threads);
    options.SetInterOpNumThreads(1);
    // Products in bfloat16 on ARM processors that have them; nothing elsewhere.
    options.AddConfigEntry("mlas.enable_gemm_fastmath_arm64_bfloat16",
                           model.precision == Precision::kFast ? "1" : "0");
    for (const std::string& library : model.libraries) {
      options.RegisterCustomOpsLibrary(library.c_str());
    }
    return {shared.environment, model.file.c_str(), options};
  }

  std::shared_ptr<const Shared> shared_;
  Model model_;  // as it was asked for
  Ort::Session session_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
};

class OrtEngine : public Engine {
 public:
  explicit OrtEngine(const Settings& settings) {
    if (settings.device != "cpu") {
      throw EngineError("ValueError", "ort-cpp runs on the device cpu, not " + settings.device);
    }
    shared_ = std::make_shared<const Shared>(Shared{.threads = settings.threads});
  }

  Description description() const override {
    return {"ort-cpp", OrtGetApiBase()->GetVersionString(), Layout::kFlat, {"cpu"}};
  }

  std::unique_ptr<LoadedModel> load(const Model& model) override {
    return std::make_unique<OrtModel>(shared_, model);
  }

 private:
  std::shared_ptr<const Shared> shared_;
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  require_api();
  return std::make_unique<OrtEngine>(settings);
}

}  // namespace modelconform
