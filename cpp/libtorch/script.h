// TorchScript modules: run, copied, and trained.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "../harness/engine.h"
#include "trainable.h"

namespace torch::jit {
struct Module;
}

namespace modelconform {

class ScriptModule {
 public:
  ScriptModule(const std::string& file, const c10::Device& device);
  ~ScriptModule();

  // With weights and buffers of its own.
  std::unique_ptr<ScriptModule> deepcopy() const;
  // In the caller's grad mode. Several threads may be in here at once.
  Result run(const Call& call) const;

 private:
  ScriptModule(std::unique_ptr<torch::jit::Module> module, const c10::Device& device);

  std::unique_ptr<torch::jit::Module> module_;
  c10::Device device_;
};

std::unique_ptr<Trainable> load_trainable_script(const std::string& file,
                                                 const c10::Device& device);

}  // namespace modelconform
