// What the C++ source of a case includes (docs/cpp-frontend.md):
//
//   #include <modelconform/frontend.h>
//
//   struct NetImpl : torch::nn::Module {
//     torch::Tensor forward(torch::Tensor x) { ... }
//   };
//   TORCH_MODULE(Net);
//   MODELCONFORM_MODEL(Net)  // or, with arguments of its constructor: MODELCONFORM_MODEL(Net, 3,
//   10)
#pragma once

#include <torch/torch.h>

#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../convert.h"
#include "../module.h"

namespace modelconform::frontend {

// The parameters and the class of a forward, from the type of a pointer to it.
template <typename Pointer>
struct Forward;
template <typename Result_, typename Class, typename... Parameters>
struct Forward<Result_ (Class::*)(Parameters...)> {
  using Result = Result_;
  using Types = std::tuple<Parameters...>;
};
template <typename Result, typename Class, typename... Parameters>
struct Forward<Result (Class::*)(Parameters...) const> : Forward<Result (Class::*)(Parameters...)> {
};
template <typename Result, typename Class, typename... Parameters>
struct Forward<Result (Class::*)(Parameters...) noexcept>
    : Forward<Result (Class::*)(Parameters...)> {};
template <typename Result, typename Class, typename... Parameters>
struct Forward<Result (Class::*)(Parameters...) const noexcept>
    : Forward<Result (Class::*)(Parameters...)> {};

template <typename Impl>
class Loaded final : public FrontendModule {
  static_assert(
      requires { &Impl::forward; },
      "modelconform calls the module's forward: it has to be public, and neither overloaded nor a "
      "template");
  using Signature = Forward<decltype(&Impl::forward)>;
  using Types = typename Signature::Types;
  static constexpr std::size_t kMost = std::tuple_size_v<Types>;
  static_assert(!std::is_void_v<typename Signature::Result>,
                "modelconform compares what forward returns, and this one returns nothing");

 public:
  explicit Loaded(std::shared_ptr<Impl> module) : module_(std::move(module)) {}

  std::vector<std::pair<std::string, at::Tensor>> parameters() override {
    return distinct(module_->named_parameters());
  }
  std::vector<std::pair<std::string, at::Tensor>> buffers() override {
    return distinct(module_->named_buffers());
  }
  std::vector<std::pair<std::string, at::Tensor>> state() override {
    std::vector<std::pair<std::string, at::Tensor>> found;
    for (const auto& tensors : {module_->named_parameters(), module_->named_buffers()}) {
      for (const auto& item : tensors) {
        if (item.value().defined()) found.emplace_back(item.key(), item.value());
      }
    }
    return found;
  }
  void train(bool on) override { module_->train(on); }
  void to(const c10::Device& device) override { module_->to(device); }

  // What a call leaves out at the end has its default, or is None.
  IValue forward(std::vector<IValue> args) override {
    const std::size_t passed = args.size();
    if (passed > kMost) {
      std::string names;
      for (std::size_t i = 0; i < passed && i < argument_names().size(); ++i) {
        names += (i == 0 ? " (" : ", ") + argument_names()[i];
      }
      throw EngineError("TypeError", "forward takes " + std::to_string(kMost) +
                                         (kMost == 1 ? " argument" : " arguments") +
                                         " in C++, the case passes " + std::to_string(passed) +
                                         (names.empty() ? "" : names + ")"));
    }
    return call<0>(args);
  }

 private:
  using Named = std::vector<std::pair<std::string, at::Tensor>>;

  // As Python's named_parameters(): each tensor once, under its first name.
  static Named distinct(const torch::OrderedDict<std::string, torch::Tensor>& tensors) {
    Named found;
    std::set<const void*> seen;
    for (const auto& item : tensors) {
      const at::Tensor& tensor = item.value();
      if (!tensor.defined() || !seen.insert(tensor.unsafeGetTensorImpl()).second) continue;
      found.emplace_back(item.key(), tensor);
    }
    return found;
  }

  template <std::size_t... I>
  static constexpr bool can_call(std::index_sequence<I...>) {
    return requires(Impl& module) {
      module.forward(std::declval<std::tuple_element_t<I, Types>>()...);
    };
  }

  // Calls forward with as many arguments as there are, or the fewest more that it can do with.
  template <std::size_t Count>
  IValue call(const std::vector<IValue>& args) {
    if constexpr (can_call(std::make_index_sequence<Count>())) {
      if (args.size() <= Count) return call_with(args, std::make_index_sequence<Count>());
    }
    if constexpr (Count < kMost) {
      return call<Count + 1>(args);
    } else {
      return call_with(args, std::make_index_sequence<kMost>());
    }
  }

  template <std::size_t... I>
  IValue call_with(const std::vector<IValue>& args, std::index_sequence<I...>) {
    // Braces: from left to right, so that the first argument that doesn't fit is the one named.
    [[maybe_unused]] std::tuple<StoredType<std::tuple_element_t<I, Types>>...> values{
        take<StoredType<std::tuple_element_t<I, Types>>>(I < args.size() ? args[I] : IValue(),
                                                         name_of(I))...};
    return give(
        module_->forward(static_cast<std::tuple_element_t<I, Types>>(std::get<I>(values))...));
  }

  std::string name_of(std::size_t position) const {
    const std::string place = "forward's argument " + std::to_string(position + 1);
    if (position >= argument_names().size()) return place;
    return place + " (" + argument_names()[position] + ")";
  }

  std::shared_ptr<Impl> module_;
};

// Model: a module or, as TORCH_MODULE makes them, its holder.
template <typename Model, typename... Arguments>
FrontendModule* make(Arguments&&... arguments) {
  if constexpr (requires { typename Model::ContainedType; }) {
    Model holder(std::forward<Arguments>(arguments)...);
    return new Loaded<typename Model::ContainedType>(holder.ptr());
  } else {
    static_assert(std::is_base_of_v<torch::nn::Module, Model>,
                  "MODELCONFORM_MODEL takes a torch::nn::Module, or what TORCH_MODULE makes of it");
    return new Loaded<Model>(std::make_shared<Model>(std::forward<Arguments>(arguments)...));
  }
}

}  // namespace modelconform::frontend

// Once in a source: the model, and the arguments of its constructor if it takes any.
#define MODELCONFORM_MODEL(Model, ...)                                            \
  extern "C" __attribute__((visibility("default"))) modelconform::FrontendModule* \
  modelconform_frontend_make() {                                                  \
    return modelconform::frontend::make<Model>(__VA_ARGS__);                      \
  }
