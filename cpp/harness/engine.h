// The one interface behind which an inference engine stands. One engine is linked into one
// executable, so that a missing engine never stops another from being built.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../library/tree.h"

namespace modelconform {

struct Settings {
  std::string device = "cpu";
  int threads = 1;
};

enum class Layout {
  kTree,  // the model is called like a function, with args and kwargs
  kFlat,  // the model is a graph with named inputs and outputs
};

struct Description {
  std::string name;
  std::string version;  // of the library that runs, not of the headers it was built with
  Layout layout;
  std::vector<std::string> devices;
};

enum class Precision {
  kFull,  // float32 is float32 in every step
  kFast,  // what the engine offers those who trade accuracy for speed
};

// For format state-dict: the module in C++ that takes the weights, and what Python knows of it.
struct Frontend {
  std::string library;                 // the case's source, compiled
  std::string dtype = "float32";       // what floating tensors are cast to first
  bool training = false;               // whether the module is left in training mode
  std::vector<std::string> arguments;  // names of forward's parameters in Python, in order
  std::vector<std::string> computed;   // buffers that Python's state_dict leaves out
};

struct Model {
  std::string file;
  std::string format;
  std::vector<std::string> libraries;  // with the operators that the model needs, in order
  Precision precision = Precision::kFull;
  std::optional<Frontend> frontend = std::nullopt;
};

struct Call {
  // Layout::kTree
  std::vector<Tree> args;
  std::vector<std::pair<std::string, Tree>> kwargs;
  // Layout::kFlat, and artifacts that are graphs in an engine of modules: the tensors by graph
  // input; the outputs wanted, all of them where empty
  std::vector<std::pair<std::string, Leaf>> feeds;
  std::vector<std::string> fetches;
};

struct Result {
  double seconds = 0;        // of the call itself
  Tree outputs;              // numbers and bools as tensors without dimensions
  std::vector<Leaf> passed;  // the input tensors as they are after the call
};

// What went wrong, in the engine's own words. Engines may throw any exception; this one also says
// of what type it is and has room for a stack trace.
struct EngineError : std::runtime_error {
  EngineError(std::string type, const std::string& message, std::string details = "")
      : std::runtime_error(message), type(std::move(type)), details(std::move(details)) {}

  std::string type;
  std::string details;
};

struct Training;  // training.h
struct Trained;

// A model in an engine, until it is destroyed. What it needs of the engine it keeps alive itself.
class LoadedModel {
 public:
  LoadedModel() = default;
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
  virtual ~LoadedModel() = default;

  // Names of the graph's inputs in its order; empty in Layout::kTree.
  virtual std::vector<std::string> input_names() const { return {}; }
  // Passes fresh copies of the inputs each time. Several threads may be in here at once, each of
  // which computes as the one that loaded the model does: what a library keeps for each thread
  // (libtorch: whether gradients are recorded, the number of threads) is set in here.
  virtual Result run(const Call& call) = 0;
  // Another instance of the model with memory of its own, as a server makes one for each of its
  // threads; it never outlives this one. nullptr where the engine has no such thing: only one
  // instance is then tried from several threads.
  virtual std::unique_ptr<LoadedModel> clone() { return nullptr; }
  // Trains the model as it was loaded, whatever was run or trained before. nullopt where the engine
  // doesn't train.
  virtual std::optional<Trained> train(const Training& training);
};

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual Description description() const = 0;
  // Only one model is loaded at a time, besides its clones.
  virtual std::unique_ptr<LoadedModel> load(const Model& model) = 0;
  // Called once a model is destroyed and none is asked for: gives back what the library keeps of a
  // GPU's memory, since other processes may need it meanwhile.
  virtual void release() {}
};

// Defined once in each executable, by its engine.
std::unique_ptr<Engine> make_engine(const Settings& settings);

}  // namespace modelconform
