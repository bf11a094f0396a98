// TorchScript modules in libtorch.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine.h"

namespace modelconform {
namespace {

using c10::IValue;
using c10::TypePtr;

constexpr std::array kScalarTypes{
    std::pair{DType::kBool, at::kBool},
    std::pair{DType::kUInt8, at::kByte},
    std::pair{DType::kInt8, at::kChar},
    std::pair{DType::kUInt16, at::kUInt16},
    std::pair{DType::kInt16, at::kShort},
    std::pair{DType::kUInt32, at::kUInt32},
    std::pair{DType::kInt32, at::kInt},
    std::pair{DType::kUInt64, at::kUInt64},
    std::pair{DType::kInt64, at::kLong},
    std::pair{DType::kFloat16, at::kHalf},
    std::pair{DType::kBFloat16, at::kBFloat16},
    std::pair{DType::kFloat32, at::kFloat},
    std::pair{DType::kFloat64, at::kDouble},
    std::pair{DType::kComplex64, at::kComplexFloat},
    std::pair{DType::kComplex128, at::kComplexDouble},
    std::pair{DType::kFloat8E4M3FN, at::kFloat8_e4m3fn},
    std::pair{DType::kFloat8E5M2, at::kFloat8_e5m2},
};

at::ScalarType scalar_type_of(DType dtype) {
  for (const auto& [ours, theirs] : kScalarTypes) {
    if (ours == dtype) return theirs;
  }
  throw EngineError("TypeError", "no libtorch dtype for " + std::string(dtype_name(dtype)));
}

DType dtype_of(at::ScalarType type) {
  for (const auto& [ours, theirs] : kScalarTypes) {
    if (theirs == type) return ours;
  }
  throw EngineError("TypeError", std::string("the wire has no dtype ") + c10::toString(type));
}

// ---- Inputs ------------------------------------------------------------------------------------

at::Tensor to_torch(const Tensor& tensor, const c10::Device& device) {
  const auto options = at::TensorOptions(scalar_type_of(tensor.dtype));
  at::Tensor row_major = at::empty(tensor.shape, options);
  const std::size_t size = tensor.size_in_bytes();
  if (size > 0) std::memcpy(row_major.data_ptr(), tensor.data, size);
  if (tensor.order.empty()) return row_major.to(device);
  const Shape strides = strides_of(tensor.shape, tensor.order);
  at::Tensor strided = at::empty_strided(tensor.shape, strides, options.device(device));
  return strided.copy_(row_major);
}

// Makes a call's arguments. Containers in TorchScript are typed, and what is empty doesn't tell its
// type, so each tree is made to fit the type that the module's signature declares. Where the two
// don't fit, the tree is passed as it is, and libtorch says what it expected.
class ArgumentMaker {
 public:
  explicit ArgumentMaker(const c10::Device& device) : device_(device) {}

  IValue make(const Tree& tree, const TypePtr& type) {
    if (const auto optional = type->cast<c10::OptionalType>()) {
      if (std::holds_alternative<None>(tree.node)) return {};
      return make(tree, optional->getElementType());
    }
    return std::visit([&](const auto& node) { return from(node, type); }, tree.node);
  }

  const std::map<std::string, at::Tensor>& tensors() const { return tensors_; }

 private:
  static IValue from(const None&, const TypePtr&) { return {}; }
  static IValue from(bool value, const TypePtr&) { return value; }
  static IValue from(double value, const TypePtr&) { return value; }
  static IValue from(const std::string& value, const TypePtr&) { return value; }
  static IValue from(std::int64_t value, const TypePtr& type) {
    if (type->kind() == c10::TypeKind::FloatType) return static_cast<double>(value);
    return value;
  }

  IValue from(const Leaf& leaf, const TypePtr&) {
    const auto known = tensors_.find(leaf.key);
    // A tensor passed twice is one tensor, as it was where the inputs were made.
    if (known != tensors_.end() && !leaf.key.empty()) return known->second;
    at::Tensor tensor = to_torch(leaf.tensor, device_);
    tensors_[leaf.key] = tensor;
    return tensor;
  }

  IValue from(const List& list, const TypePtr& type) { return sequence(list.items, type, false); }
  IValue from(const Tuple& tuple, const TypePtr& type) { return sequence(tuple.items, type, true); }

  // A tuple stands for a list and a list for a tuple, where the signature says so.
  IValue sequence(const std::vector<Tree>& items, const TypePtr& type, bool is_tuple) {
    if (const auto list = type->cast<c10::ListType>()) {
      return list_of(items, list->getElementType());
    }
    if (const auto tuple = type->cast<c10::TupleType>();
        tuple && tuple->elements().size() == items.size()) {
      std::vector<IValue> values;
      for (std::size_t i = 0; i < items.size(); ++i) {
        values.push_back(make(items[i], tuple->elements()[i]));
      }
      if (!tuple->schema()) return c10::ivalue::Tuple::create(std::move(values));
      return c10::ivalue::Tuple::createNamed(std::move(values), tuple);
    }
    if (!is_tuple) return list_of(items, c10::AnyType::get());
    std::vector<IValue> values;
    for (const Tree& item : items) values.push_back(make(item, c10::AnyType::get()));
    return c10::ivalue::Tuple::create(std::move(values));
  }

  IValue list_of(const std::vector<Tree>& items, const TypePtr& element) {
    std::vector<IValue> values;
    for (const Tree& item : items) values.push_back(make(item, element));
    c10::impl::GenericList list(type_of_all(values, element));
    for (IValue& value : values) list.push_back(std::move(value));
    return list;
  }

  IValue from(const Dict& dict, const TypePtr& type) {
    TypePtr key_type = c10::AnyType::get();
    TypePtr value_type = c10::AnyType::get();
    if (const auto declared = type->cast<c10::DictType>()) {
      key_type = declared->getKeyType();
      value_type = declared->getValueType();
    }
    std::vector<IValue> keys;
    std::vector<IValue> values;
    for (const auto& [key, item] : dict.items) {
      keys.push_back(std::visit([](const auto& name) { return IValue(name); }, key));
      values.push_back(make(item, value_type));
    }
    key_type = type_of_all(keys, key_type);
    if (key_type->kind() == c10::TypeKind::AnyType) key_type = c10::StringType::get();
    c10::impl::GenericDict result(key_type, type_of_all(values, value_type));
    for (std::size_t i = 0; i < keys.size(); ++i) result.insert(keys[i], values[i]);
    return result;
  }

  // What the signature declares; where that is anything, what the values have in common.
  static TypePtr type_of_all(const std::vector<IValue>& values, const TypePtr& declared) {
    if (declared->kind() != c10::TypeKind::AnyType || values.empty()) return declared;
    const auto type_of = [](const IValue& value) -> TypePtr {
      return value.isTensor() ? TypePtr(c10::TensorType::get()) : value.type();
    };
    for (const IValue& value : values) {
      if (*type_of(value) != *type_of(values.front())) return declared;
    }
    return type_of(values.front());
  }

  c10::Device device_;
  std::map<std::string, at::Tensor> tensors_;
};

// ---- Outputs -----------------------------------------------------------------------------------

Tensor from_torch(const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided || tensor.is_quantized() || tensor.is_nested()) {
    throw EngineError("TypeError",
                      "the model returns a tensor of the kind " + tensor.toString() +
                          ", which can't be compared: return a dense tensor of plain numbers");
  }
  Tensor result;
  result.dtype = dtype_of(tensor.scalar_type());
  result.shape = tensor.sizes().vec();
  if (tensor.is_non_overlapping_and_dense()) {
    result.order = order_of(result.shape, tensor.strides().vec());
  }
  auto dense = std::make_shared<at::Tensor>(
      tensor.detach().to(at::kCPU).resolve_conj().resolve_neg().contiguous());
  // A later run may write into memory that the module returned and keeps, such as a buffer.
  if (dense->data_ptr() == tensor.data_ptr()) *dense = dense->clone();
  result.data = static_cast<const std::byte*>(dense->data_ptr());
  result.owner = std::shared_ptr<const void>(dense, dense->data_ptr());
  return result;
}

Tree from_ivalue(const IValue& value);

template <typename Values>
std::vector<Tree> from_ivalues(const Values& values) {
  std::vector<Tree> items;
  for (const IValue& value : values) items.push_back(from_ivalue(value));
  return items;
}

DictKey key_of(const IValue& key) {
  if (key.isString()) return key.toStringRef();
  if (key.isInt()) return key.toInt();
  throw EngineError("TypeError", "the model returns a dict with keys of type " +
                                     key.type()->annotation_str() +
                                     "; only strings and integers can be compared");
}

// The attributes of a scripted class, such as a dataclass.
Dict from_object(const c10::ivalue::Object& object) {
  Dict dict;
  const auto type = object.type();
  for (std::size_t i = 0; i < type->numAttributes(); ++i) {
    dict.items.emplace_back(type->getAttributeName(i), from_ivalue(object.getSlot(i)));
  }
  return dict;
}

Tree from_ivalue(const IValue& value) {
  const auto scalar = [&](at::ScalarType type) {
    return Tree{Leaf{"", from_torch(at::scalar_tensor(value.toScalar(), type))}};
  };
  if (value.isNone()) return {None{}};
  if (value.isTensor()) {
    if (!value.toTensor().defined()) return {None{}};
    return {Leaf{"", from_torch(value.toTensor())}};
  }
  if (value.isBool()) return scalar(at::kBool);
  if (value.isInt()) return scalar(at::kLong);
  if (value.isDouble()) return scalar(at::kDouble);
  if (value.isComplexDouble()) return scalar(at::kComplexDouble);
  if (value.isString()) return {value.toStringRef()};
  if (value.isTuple()) return {Tuple{from_ivalues(value.toTupleRef().elements())}};
  if (value.isList()) return {List{from_ivalues(value.toListRef())}};
  if (value.isGenericDict()) {
    Dict dict;
    for (const auto& item : value.toGenericDict()) {
      dict.items.emplace_back(key_of(item.key()), from_ivalue(item.value()));
    }
    return {dict};
  }
  if (value.isObject()) return {from_object(value.toObjectRef())};
  throw EngineError("TypeError", "the model returns a value of type " +
                                     value.type()->annotation_str() + ", which can't be compared");
}

// ---- Errors ------------------------------------------------------------------------------------

// The names that the same errors have in Python.
std::string type_of(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return "OutOfMemoryError";
  if (dynamic_cast<const c10::IndexError*>(&error) != nullptr) return "IndexError";
  if (dynamic_cast<const c10::ValueError*>(&error) != nullptr) return "ValueError";
  if (dynamic_cast<const c10::TypeError*>(&error) != nullptr) return "TypeError";
  if (dynamic_cast<const c10::NotImplementedError*>(&error) != nullptr) {
    return "NotImplementedError";
  }
  return "RuntimeError";
}

// The interpreter puts a traceback through the model's own lines before what happened.
EngineError from_interpreter(const std::string& text) {
  const std::string mark = "\nRuntimeError: ";
  const std::size_t at = text.rfind(mark);
  if (at == std::string::npos) return {"RuntimeError", text};
  return {"RuntimeError", text.substr(at + mark.size()), text};
}

// Runs a step and turns libtorch's exceptions into ours: what happened apart from the stack trace.
template <typename Step>
auto in_torch(const Step& step) -> decltype(step()) {
  try {
    return step();
  } catch (const EngineError&) {
    throw;
  } catch (const c10::Error& error) {
    throw EngineError(type_of(error), error.what_without_backtrace(),
                      error.backtrace() ? error.backtrace()->get() : "");
  } catch (const torch::jit::JITException& error) {
    // What the model itself raised, by its qualified name: "builtins.ValueError".
    const std::string type = error.getPythonClassName().value_or("RuntimeError");
    throw EngineError(type.substr(type.rfind('.') + 1),
                      error.getOriginalMsg().value_or(error.what()), error.what());
  } catch (const std::exception& error) {
    throw from_interpreter(error.what());
  }
}

// ---- The engine --------------------------------------------------------------------------------

// A CUDA build keeps what is CUDA's in a library that nothing in this program refers to, because it
// takes a second and hundreds of megabytes to load: it is loaded where there is a GPU to use it.
void load_cuda(const c10::Device& device) {
  const bool has_driver = ::access("/dev/nvidiactl", F_OK) == 0 || ::access("/dev/dxg", F_OK) == 0;
  if (!device.is_cuda() && !has_driver) return;
  const void* library = ::dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL);
  const std::string problem = library == nullptr ? ::dlerror() : "";
  if (device.is_cuda() && library == nullptr) {
    throw EngineError("RuntimeError", "this libtorch can't use CUDA: " + problem);
  }
  if (device.is_cuda() && !torch::cuda::is_available()) {
    throw EngineError("RuntimeError", "libtorch finds no CUDA device");
  }
}

// TF32 on GPUs, and bfloat16 on CPUs that have it; for the whole process, until the next load.
void set_precision(Precision precision) {
  const bool fast = precision == Precision::kFast;
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(fast);
  context.setAllowTF32CuDNN(fast);
  context.setAllowFP16ReductionCuBLAS(fast);
  context.setAllowBF16ReductionCuBLAS(fast);
  // Last: allowing TF32 sets this to "high".
  context.setFloat32MatmulPrecision(fast ? "medium" : "highest");
}

// Asks the library itself: the headers only know what this was built with.
std::string library_version() {
  const std::string config = at::show_config();
  const std::string field = "TORCH_VERSION=";
  const std::size_t start = config.find(field);
  if (start == std::string::npos) return "unknown";
  const std::size_t from = start + field.size();
  return config.substr(from, config.find_first_of(", \n", from) - from);
}

class LibtorchEngine : public Engine {
 public:
  explicit LibtorchEngine(const Settings& settings) : device_(settings.device) {
    load_cuda(device_);
    at::set_num_threads(settings.threads);
    at::set_num_interop_threads(1);
  }

  Description description() const override {
    std::vector<std::string> devices = {"cpu"};
    if (torch::cuda::is_available()) devices.emplace_back("cuda");
    return {"libtorch-cpp", library_version(), Layout::kTree, devices};
  }

  void load(const Model& model) override {
    for (const std::string& library : model.libraries) {
      // Global, because each library may need the symbols of the one before.
      if (::dlopen(library.c_str(), RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
        throw EngineError("ImportError",
                          std::string("cannot open a library of operators: ") + ::dlerror());
      }
    }
    set_precision(model.precision);
    in_torch([&] { module_ = torch::jit::load(model.file, device_); });
  }

  std::vector<std::string> input_names() const override { return {}; }

  Result run(const Call& call) override {
    return in_torch([&] { return run_in_torch(call); });
  }

  void unload() override { module_.reset(); }

 private:
  Result run_in_torch(const Call& call) {
    // Not InferenceMode: a model may itself ask for gradients inside.
    const at::NoGradGuard no_grad;
    const auto forward = module_->get_method("forward");
    const auto& schema = forward.function().getSchema();

    ArgumentMaker maker(device_);
    std::vector<IValue> args;
    for (const Tree& tree : call.args) {
      const std::size_t position = args.size() + 1;  // after self
      const bool declared = position < schema.arguments().size();
      args.push_back(maker.make(
          tree, declared ? schema.arguments()[position].type() : TypePtr(c10::AnyType::get())));
    }
    std::unordered_map<std::string, IValue> kwargs;
    for (const auto& [name, tree] : call.kwargs) {
      const auto position = schema.argumentIndexWithName(name);
      kwargs[name] = maker.make(
          tree, position ? schema.arguments()[*position].type() : TypePtr(c10::AnyType::get()));
    }

    synchronize();
    const auto start = std::chrono::steady_clock::now();
    const IValue outputs = forward(std::move(args), kwargs);
    synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

    Result result;
    result.seconds = elapsed.count();
    result.outputs = from_ivalue(outputs);
    for (const auto& [key, tensor] : maker.tensors()) {
      result.passed.push_back({key, from_torch(tensor)});
    }
    return result;
  }

  void synchronize() const {
    if (device_.is_cuda()) torch::cuda::synchronize();
  }

  c10::Device device_;
  std::optional<torch::jit::Module> module_;
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  return in_torch([&] { return std::make_unique<LibtorchEngine>(settings); });
}

}  // namespace modelconform
