// ONNX models (and OpenVINO's own) in OpenVINO, on its CPU plugin.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <openvino/core/version.hpp>
#include <openvino/runtime/core.hpp>
#include <openvino/runtime/properties.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../harness/dtype_table.h"
#include "../harness/engine.h"

namespace modelconform {
namespace {

const DTypeTable kElementTypes{std::array{
    std::pair{DType::kBool, ov::element::boolean},
    std::pair{DType::kUInt8, ov::element::u8},
    std::pair{DType::kInt8, ov::element::i8},
    std::pair{DType::kUInt16, ov::element::u16},
    std::pair{DType::kInt16, ov::element::i16},
    std::pair{DType::kUInt32, ov::element::u32},
    std::pair{DType::kInt32, ov::element::i32},
    std::pair{DType::kUInt64, ov::element::u64},
    std::pair{DType::kInt64, ov::element::i64},
    std::pair{DType::kFloat16, ov::element::f16},
    std::pair{DType::kBFloat16, ov::element::bf16},
    std::pair{DType::kFloat32, ov::element::f32},
    std::pair{DType::kFloat64, ov::element::f64},
    std::pair{DType::kFloat8E4M3FN, ov::element::f8e4m3},
    std::pair{DType::kFloat8E5M2, ov::element::f8e5m2},
}};

// With one thread the plugin doesn't report that an inference failed (seen with 2026.4): outputs
// are empty then, or the process crashes.
constexpr int kLeastThreads = 2;

ov::element::Type element_type_of(DType dtype) {
  if (const auto found = kElementTypes.theirs(dtype)) return *found;
  throw EngineError("TypeError", "OpenVINO has no tensors of " + std::string(dtype_name(dtype)));
}

DType dtype_of(const ov::element::Type& type) {
  if (const auto found = kElementTypes.ours(type)) return *found;
  throw EngineError("TypeError", "the model returns a tensor of OpenVINO's element type " +
                                     type.get_type_name() + ", which can't be compared");
}

// The bytes are the caller's: the tensor is a view.
ov::Tensor view_of(const OwnedTensor& tensor) {
  const Shape& shape = tensor.tensor.shape;
  return {element_type_of(tensor.tensor.dtype), ov::Shape(shape.begin(), shape.end()),
          tensor.bytes};
}

Tensor tensor_from(const ov::Tensor& tensor) {
  const ov::Shape shape = tensor.get_shape();
  OwnedTensor result =
      allocate(dtype_of(tensor.get_element_type()), Shape(shape.begin(), shape.end()));
  if (tensor.get_size() > 0) tensor.copy_to(view_of(result));
  return result.tensor;
}

// Graphs may leave a port without a name, or give it several.
std::string name_of(const ov::Output<const ov::Node>& port) {
  return port.get_names().empty() ? "" : port.get_any_name();
}

template <typename Ports>
std::string names_of(const Ports& ports) {
  std::string text;
  for (const auto& port : ports) {
    for (const std::string& name : port.get_names()) text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

template <typename Ports>
auto find_port(const Ports& ports, const std::string& name, const std::string& what) {
  for (const auto& port : ports) {
    if (port.get_names().count(name) > 0) return port;
  }
  throw EngineError("KeyError",
                    "the model has no " + what + " '" + name + "'; it has " + names_of(ports));
}

class OpenvinoModel : public LoadedModel {
 public:
  OpenvinoModel(const ov::Core& core, int threads, const Model& model)
      : core_(core), threads_(threads), model_(model), compiled_(compile()) {}

  std::vector<std::string> input_names() const override {
    std::vector<std::string> names;
    for (const auto& port : compiled_.inputs()) names.push_back(name_of(port));
    return names;
  }

  Result run(const Call& call) override {
    if (call.feeds.size() != compiled_.inputs().size()) {
      throw EngineError("ValueError", "the model takes the inputs " + names_of(compiled_.inputs()) +
                                          "; " + std::to_string(call.feeds.size()) + " were given");
    }
    // Each call has a request of its own: one request can't be shared by threads, and one that ran
    // before would keep a model's state.
    ov::InferRequest request = compiled_.create_infer_request();
    std::vector<OwnedTensor> feeds;
    for (const auto& [name, leaf] : call.feeds) {
      const auto port = find_port(compiled_.inputs(), name, "input");
      feeds.push_back(writable_copy(leaf.tensor));
      request.set_tensor(port, view_of(feeds.back()));
    }

    const auto start = std::chrono::steady_clock::now();
    request.infer();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

    Result result;
    result.seconds = elapsed.count();
    Dict dict;
    for (const std::string& name : call.fetches) {
      const auto port = find_port(compiled_.outputs(), name, "output");
      dict.items.emplace_back(name, Tree{Leaf{"", tensor_from(request.get_tensor(port))}});
    }
    if (call.fetches.empty()) {
      for (const auto& port : compiled_.outputs()) {
        dict.items.emplace_back(name_of(port),
                                Tree{Leaf{"", tensor_from(request.get_tensor(port))}});
      }
    }
    result.outputs = {dict};
    for (std::size_t i = 0; i < feeds.size(); ++i) {
      result.passed.push_back({call.feeds[i].second.key, feeds[i].tensor});
    }
    return result;
  }

  // A model compiled anew; compiled models share no state.
  std::unique_ptr<LoadedModel> clone() override {
    return std::make_unique<OpenvinoModel>(core_, threads_, model_);
  }

 private:
  ov::CompiledModel compile() {
    ov::AnyMap options = {ov::inference_num_threads(std::max(threads_, kLeastThreads))};
    // By default the plugin computes in bfloat16 on CPUs that have it, and in float16 on ARM.
    if (model_.precision == Precision::kFull) {
      options.insert(ov::hint::inference_precision(ov::element::f32));
    } else {
      options.insert(ov::hint::execution_mode(ov::hint::ExecutionMode::PERFORMANCE));
    }
    return core_.compile_model(model_.file, "CPU", options);
  }

  ov::Core core_;
  int threads_;
  Model model_;  // as it was asked for
  ov::CompiledModel compiled_;
};

class OpenvinoEngine : public Engine {
 public:
  explicit OpenvinoEngine(const Settings& settings) : threads_(settings.threads) {
    if (settings.device != "cpu") {
      throw EngineError("ValueError",
                        "openvino-cpp runs on the device cpu, not " + settings.device);
    }
  }

  Description description() const override {
    // "2026.4.1-22982-e213a147257-releases/2026/4"
    const std::string build = ov::get_openvino_version().buildNumber;
    return {"openvino-cpp", build.substr(0, build.find('-')), Layout::kFlat, {"cpu"}};
  }

  std::unique_ptr<LoadedModel> load(const Model& model) override {
    for (const std::string& library : model.libraries) core_.add_extension(library);
    return std::make_unique<OpenvinoModel>(core_, threads_, model);
  }

 private:
  int threads_;
  ov::Core core_;
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  return std::make_unique<OpenvinoEngine>(settings);
}

}  // namespace modelconform
