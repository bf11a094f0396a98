#include "script.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "setup.h"
#include "values.h"

namespace modelconform {
namespace {

class ScriptTrainable : public Trainable {
 public:
  explicit ScriptTrainable(torch::jit::Module module) : module_(std::move(module)) {}

  Named parameters() override { return named(module_.named_parameters()); }
  Named buffers() override { return named(module_.named_buffers()); }
  void train(bool on) override { module_.train(on); }
  c10::IValue forward(std::vector<c10::IValue> args) override {
    return module_.forward(std::move(args));
  }

 private:
  // A tensor that two submodules share is there once, under its first name, as in Python.
  template <typename List>
  static Named named(const List& list) {
    Named found;
    std::set<const void*> known;
    for (const auto& [name, tensor] : list) {
      if (known.insert(tensor.unsafeGetTensorImpl()).second) found.emplace_back(name, tensor);
    }
    return found;
  }

  torch::jit::Module module_;
};

}  // namespace

ScriptModule::ScriptModule(const std::string& file, const c10::Device& device)
    : ScriptModule(std::make_unique<torch::jit::Module>(torch::jit::load(file, device)), device) {}

ScriptModule::ScriptModule(std::unique_ptr<torch::jit::Module> module, const c10::Device& device)
    : module_(std::move(module)), device_(device) {}

ScriptModule::~ScriptModule() = default;

std::unique_ptr<ScriptModule> ScriptModule::deepcopy() const {
  auto copy = std::make_unique<torch::jit::Module>(module_->deepcopy());
  return std::unique_ptr<ScriptModule>(new ScriptModule(std::move(copy), device_));
}

Result ScriptModule::run(const Call& call) const {
  const auto forward = module_->get_method("forward");
  const auto& schema = forward.function().getSchema();
  const auto type_at = [&schema](std::size_t position) {
    return position < schema.arguments().size() ? schema.arguments()[position].type()
                                                : c10::TypePtr(c10::AnyType::get());
  };
  ArgumentMaker maker(device_);
  std::vector<c10::IValue> args;
  // The first of the schema is self.
  for (const Tree& tree : call.args) args.push_back(maker.make(tree, type_at(args.size() + 1)));
  std::unordered_map<std::string, c10::IValue> kwargs;
  for (const auto& [name, tree] : call.kwargs) {
    const auto position = schema.argumentIndexWithName(name);
    kwargs[name] = maker.make(
        tree, type_at(position ? static_cast<std::size_t>(*position) : schema.arguments().size()));
  }

  Result result;
  result.outputs =
      from_ivalue(timed(device_, result.seconds, [&] { return forward(std::move(args), kwargs); }));
  result.passed = maker.passed();
  return result;
}

std::unique_ptr<Trainable> load_trainable_script(const std::string& file,
                                                 const c10::Device& device) {
  return std::make_unique<ScriptTrainable>(torch::jit::load(file, device));
}

}  // namespace modelconform
