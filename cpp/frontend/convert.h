// libtorch's values to the types of a forward in C++, and back. Types nest as they like.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/util/ArrayRef.h>
#include <torch/csrc/api/include/torch/ordered_dict.h>

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../harness/engine.h"

namespace modelconform::frontend {

using c10::IValue;

// Which types are which.
template <typename T, template <typename...> typename Template>
constexpr bool kIs = false;
template <template <typename...> typename Template, typename... Ts>
constexpr bool kIs<Template<Ts...>, Template> = true;

template <typename T>
constexpr bool kIsTuple = kIs<T, std::tuple> || kIs<T, std::pair>;
template <typename T>
constexpr bool kIsMap = kIs<T, std::map> || kIs<T, std::unordered_map>;
template <typename T>
constexpr bool kNever = false;

// Where a parameter refers to a sequence, the call keeps the sequence.
template <typename T>
struct Stored {
  using Type = std::remove_cvref_t<T>;
};
template <typename T>
struct Stored<c10::ArrayRef<T>> {
  using Type = std::vector<T>;
};
template <typename T>
using StoredType = typename Stored<std::remove_cvref_t<T>>::Type;

// ---- Arguments ---------------------------------------------------------------------------------

// In words: "None", "a tuple of 2".
inline std::string describe(const IValue& value) {
  if (value.isNone()) return "None";
  if (value.isTensor()) return "a tensor";
  if (value.isBool()) return "a bool";
  if (value.isInt()) return "an integer";
  if (value.isDouble()) return "a number";
  if (value.isString()) return "a string";
  if (value.isTuple()) {
    return "a tuple of " + std::to_string(value.toTupleRef().elements().size());
  }
  if (value.isList()) return "a list of " + std::to_string(value.toListRef().size());
  if (value.isGenericDict()) return "a dict";
  return "a value of type " + value.tagKind();
}

[[noreturn]] inline void refuse(const std::string& where, const std::string& wanted,
                                const IValue& value) {
  throw EngineError("TypeError",
                    where + " is " + wanted + " in C++, the case passes " + describe(value));
}

inline std::vector<IValue> items_of(const IValue& value, const std::string& where,
                                    const std::string& wanted) {
  if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    return std::vector<IValue>(elements.begin(), elements.end());
  }
  if (value.isList()) return value.toListRef().vec();
  refuse(where, wanted, value);
}

template <typename T>
T take(const IValue& value, const std::string& where);

template <typename T, std::size_t... I>
T take_tuple(const std::vector<IValue>& items, const std::string& where,
             std::index_sequence<I...>) {
  return T{take<std::tuple_element_t<I, T>>(items[I], where + "[" + std::to_string(I) + "]")...};
}

template <typename T>
T take_map(const IValue& value, const std::string& where) {
  if (!value.isGenericDict()) refuse(where, "a map", value);
  T result;
  for (const auto& item : value.toGenericDict()) {
    if (!item.key().isString()) refuse("a key of " + where, "a string", item.key());
    const std::string& key = item.key().toStringRef();
    using Value = std::remove_cvref_t<decltype(result[key])>;
    auto taken = take<Value>(item.value(), where + "[\"" + key + "\"]");
    if constexpr (kIsMap<T>) {
      result.emplace(key, std::move(taken));
    } else {
      result.insert(key, std::move(taken));
    }
  }
  return result;
}

// Throws an EngineError that says which argument doesn't fit. None is a tensor that isn't defined,
// as for optional arguments of torch::nn.
template <typename T>
T take(const IValue& value, const std::string& where) {
  if constexpr (std::same_as<T, IValue>) {
    return value;
  } else if constexpr (std::same_as<T, at::Tensor>) {
    if (value.isNone()) return {};
    if (!value.isTensor()) refuse(where, "a tensor", value);
    return value.toTensor();
  } else if constexpr (std::same_as<T, bool>) {
    if (!value.isBool()) refuse(where, "a bool", value);
    return value.toBool();
  } else if constexpr (std::integral<T>) {
    if (!value.isInt()) refuse(where, "an integer", value);
    return static_cast<T>(value.toInt());
  } else if constexpr (std::floating_point<T>) {
    if (!value.isDouble() && !value.isInt()) refuse(where, "a number", value);
    return static_cast<T>(value.isInt() ? static_cast<double>(value.toInt()) : value.toDouble());
  } else if constexpr (std::same_as<T, std::string>) {
    if (!value.isString()) refuse(where, "a string", value);
    return value.toStringRef();
  } else if constexpr (kIs<T, std::optional>) {
    if (value.isNone()) return std::nullopt;
    return take<typename T::value_type>(value, where);
  } else if constexpr (kIs<T, std::vector>) {
    T result;
    for (const IValue& item : items_of(value, where, "a vector")) {
      const std::string place = where + "[" + std::to_string(result.size()) + "]";
      result.push_back(take<typename T::value_type>(item, place));
    }
    return result;
  } else if constexpr (kIsTuple<T>) {
    constexpr std::size_t kSize = std::tuple_size_v<T>;
    const std::string wanted = "a tuple of " + std::to_string(kSize);
    const auto items = items_of(value, where, wanted);
    if (items.size() != kSize) refuse(where, wanted, value);
    return take_tuple<T>(items, where, std::make_index_sequence<kSize>());
  } else if constexpr (kIsMap<T> || kIs<T, torch::OrderedDict>) {
    return take_map<T>(value, where);
  } else {
    static_assert(kNever<T>,
                  "modelconform can't pass a parameter of this type: forward may take tensors, "
                  "bools, numbers, strings, and std::optional, std::vector, std::tuple, std::map "
                  "and torch::OrderedDict of these");
  }
}

// ---- Results -----------------------------------------------------------------------------------

template <typename T>
IValue give(const T& value);

template <typename T>
std::vector<IValue> give_tuple(const T& tuple) {
  return std::apply([](const auto&... items) { return std::vector<IValue>{give(items)...}; },
                    tuple);
}

template <typename T>
IValue give(const T& value) {
  if constexpr (std::same_as<T, IValue> || std::same_as<T, at::Tensor> || std::same_as<T, bool> ||
                std::same_as<T, std::string>) {
    return value;
  } else if constexpr (std::integral<T>) {
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::floating_point<T>) {
    return static_cast<double>(value);
  } else if constexpr (kIs<T, std::optional>) {
    return value ? give(*value) : IValue();
  } else if constexpr (std::same_as<T, std::vector<at::Tensor>>) {
    return value;  // a list of tensors also by its type
  } else if constexpr (kIs<T, std::vector>) {
    c10::impl::GenericList list(c10::AnyType::get());
    for (const auto& item : value) list.push_back(give(item));
    return list;
  } else if constexpr (kIsTuple<T>) {
    return c10::ivalue::Tuple::create(give_tuple(value));
  } else if constexpr (kIsMap<T>) {
    c10::impl::GenericDict dict(c10::StringType::get(), c10::AnyType::get());
    for (const auto& [key, item] : value) dict.insert(key, give(item));
    return dict;
  } else if constexpr (kIs<T, torch::OrderedDict>) {
    c10::impl::GenericDict dict(c10::StringType::get(), c10::AnyType::get());
    for (const auto& item : value) dict.insert(item.key(), give(item.value()));
    return dict;
  } else {
    static_assert(kNever<T>,
                  "modelconform can't read a result of this type: forward may return tensors, "
                  "bools, numbers, and std::optional, std::vector, std::tuple, std::map and "
                  "torch::OrderedDict of these");
  }
}

}  // namespace modelconform::frontend
