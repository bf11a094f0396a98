#include "values.h"

#include <ATen/core/class_type.h>
#include <ATen/core/jit_type.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/scalar_tensor.h>

#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "../harness/dtype_table.h"

namespace modelconform {
namespace {

using c10::IValue;
using c10::TypePtr;

constexpr DTypeTable kScalarTypes{std::array{
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
}};

}  // namespace

at::ScalarType to_scalar_type(DType dtype) {
  if (const auto found = kScalarTypes.theirs(dtype)) return *found;
  throw EngineError("TypeError", "no libtorch dtype for " + std::string(dtype_name(dtype)));
}

DType from_scalar_type(at::ScalarType type) {
  if (const auto found = kScalarTypes.ours(type)) return *found;
  throw EngineError("TypeError", std::string("the wire has no dtype ") + c10::toString(type));
}

at::Tensor to_torch(const Tensor& tensor, const c10::Device& device) {
  const auto options = at::TensorOptions(to_scalar_type(tensor.dtype));
  at::Tensor row_major = at::empty(tensor.shape, options);
  const std::size_t size = tensor.size_in_bytes();
  if (size > 0) std::memcpy(row_major.data_ptr(), tensor.data, size);
  if (tensor.order.empty()) return row_major.to(device);
  const Shape strides = strides_of(tensor.shape, tensor.order);
  at::Tensor strided = at::empty_strided(tensor.shape, strides, options.device(device));
  return strided.copy_(row_major);
}

class ArgumentMaker::Maker {
 public:
  Maker(const c10::Device& device, std::map<std::string, at::Tensor>& tensors)
      : device_(device), tensors_(tensors) {}

  IValue make(const Tree& tree, const TypePtr& type) {
    if (const auto optional = type->cast<c10::OptionalType>()) {
      if (std::holds_alternative<None>(tree.node)) return {};
      return make(tree, optional->getElementType());
    }
    return std::visit([&](const auto& node) { return from(node, type); }, tree.node);
  }

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

  const c10::Device& device_;
  std::map<std::string, at::Tensor>& tensors_;
};

IValue ArgumentMaker::make(const Tree& tree, const TypePtr& type) {
  return Maker(device_, tensors_).make(tree, type);
}

std::vector<Leaf> ArgumentMaker::passed() const {
  std::vector<Leaf> leaves;
  for (const auto& [key, tensor] : tensors_) leaves.push_back({key, from_torch(tensor)});
  return leaves;
}

// ---- Outputs -----------------------------------------------------------------------------------

Tensor from_torch(const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided || tensor.is_quantized() || tensor.is_nested()) {
    throw EngineError("TypeError",
                      "the model returns a tensor of the kind " + tensor.toString() +
                          ", which can't be compared: return a dense tensor of plain numbers");
  }
  Tensor result;
  result.dtype = from_scalar_type(tensor.scalar_type());
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

namespace {

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

}  // namespace

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

}  // namespace modelconform
