// Packages of AOTInductor: a model compiled ahead of time, with its weights, for one device.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "../harness/engine.h"

namespace torch::inductor {
class AOTIModelPackageLoader;
}

namespace modelconform {

class AotiPackage {
 public:
  // Throws for a package that was compiled for another device or processor.
  AotiPackage(const std::string& file, const c10::Device& device);
  ~AotiPackage();

  // A package takes the tensors of the call and returns those of the result, each in the order of
  // the flattened trees. Feeds are taken in their order, fetches are places among the results;
  // without feeds, the tensors among the arguments are taken, and all results given. Several
  // threads may be in here at once.
  Result run(const Call& call) const;

 private:
  c10::Device device_;
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_;
};

// A sentence where a package with this metadata can't run on the device, else nothing.
std::string unsuitable(const std::unordered_map<std::string, std::string>& metadata,
                       const std::string& device);

}  // namespace modelconform
