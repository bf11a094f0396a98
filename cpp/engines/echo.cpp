// Returns what it was given. For tests: it needs no library, so that everything else of a worker
// can be run under sanitizers, and it has the faults that its model file names, one word each:
//
//   shared   keeps the arguments in the instance while it waits: wrong from several threads
//   global   the same in the process: wrong on clones, too
//   throws   from a call that isn't alone
//   aborts   likewise
//   alone    can't be cloned
//   broken   throws when it is cloned
//   counts   adds the number of calls so far to what is float32
//   leaks    1 MiB with each load
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "../harness/engine.h"
#include "../library/numbers.h"

namespace modelconform {
namespace {

constexpr std::size_t kLeak = std::size_t{1} << 20;
// How long a call waits for another one to spoil what it keeps.
constexpr std::chrono::milliseconds kPatience{200};

// What a call leaves lying about for the next one to overwrite.
class Shelf {
 public:
  Tree keep(const Tree& tree) {
    const int before = put(tree);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (writes_ == before && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    const std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  int put(const Tree& tree) {
    const std::lock_guard lock(mutex_);
    kept_ = tree;
    return ++writes_;
  }

  std::mutex mutex_;
  Tree kept_;
  std::atomic<int> writes_ = 0;
};

class EchoModel : public LoadedModel {
 public:
  explicit EchoModel(std::set<std::string> faults) : faults_(std::move(faults)) {}

  Result run(const Call& call) override {
    Result result;
    Tuple outputs;
    for (const Tree& tree : call.args) outputs.items.push_back(copied(tree, result.passed));
    for (const auto& [_, tree] : call.kwargs) outputs.items.push_back(copied(tree, result.passed));
    if (has("counts")) raise(outputs.items, static_cast<float>(++calls_));
    result.outputs = {std::move(outputs)};
    if (has("shared")) result.outputs = shelf_.keep(result.outputs);
    if (has("global")) result.outputs = global_shelf().keep(result.outputs);
    if (has("throws") || has("aborts")) meet_others();
    return result;
  }

  std::unique_ptr<LoadedModel> clone() override {
    if (has("alone")) return nullptr;
    if (has("broken")) throw EngineError("RuntimeError", "cannot be cloned");
    return std::make_unique<EchoModel>(faults_);
  }

 private:
  bool has(const std::string& fault) const { return faults_.contains(fault); }

  static Shelf& global_shelf() {
    static Shelf shelf;
    return shelf;
  }

  void meet_others() const {
    static std::atomic<int> present = 0;
    const int number = ++present;
    if (number > 1 && has("aborts")) std::abort();
    const auto end = std::chrono::steady_clock::now() + kPatience / 4;
    while (present < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    --present;
    if (number > 1) throw EngineError("RuntimeError", "somebody else is in here");
  }

  // In memory of its own, as a real engine's outputs are.
  static Tree copied(const Tree& tree, std::vector<Leaf>& passed) {
    if (const auto* leaf = std::get_if<Leaf>(&tree.node)) {
      Tensor copy = writable_copy(leaf->tensor).tensor;
      copy.order = leaf->tensor.order;
      passed.push_back({leaf->key, copy});
      return {Leaf{"", copy}};
    }
    Tree result = tree;
    if (auto* list = std::get_if<List>(&result.node)) copy_items(list->items, passed);
    if (auto* tuple = std::get_if<Tuple>(&result.node)) copy_items(tuple->items, passed);
    if (auto* dict = std::get_if<Dict>(&result.node)) {
      for (auto& [_, item] : dict->items) item = copied(item, passed);
    }
    return result;
  }

  static void raise(std::vector<Tree>& items, float more) {
    for (Tree& item : items) {
      auto* leaf = std::get_if<Leaf>(&item.node);
      if (leaf == nullptr || leaf->tensor.dtype != DType::kFloat32) continue;
      auto [tensor, bytes] = writable_copy(leaf->tensor);
      for (std::size_t at = 0; at < tensor.size_in_bytes(); at += sizeof(float)) {
        const float raised = load_as<float>(bytes + at) + more;
        std::memcpy(bytes + at, &raised, sizeof raised);
      }
      leaf->tensor = std::move(tensor);
    }
  }

  static void copy_items(std::vector<Tree>& items, std::vector<Leaf>& passed) {
    for (Tree& item : items) item = copied(item, passed);
  }

  std::set<std::string> faults_;
  Shelf shelf_;
  std::atomic<int> calls_ = 0;
};

class EchoEngine : public Engine {
 public:
  Description description() const override { return {"echo-cpp", "1", Layout::kTree, {"cpu"}}; }

  std::unique_ptr<LoadedModel> load(const Model& model) override {
    std::ifstream file(model.file);
    if (!file) throw EngineError("OSError", "cannot open " + model.file);
    std::set<std::string> faults;
    for (std::string word; file >> word;) faults.insert(word);
    if (faults.contains("leaks")) {
      // Written to, so that it counts as resident; volatile, so that it isn't optimised away.
      static volatile char* leaked = nullptr;
      leaked = static_cast<char*>(std::malloc(kLeak));
      std::memset(const_cast<char*>(leaked), 1, kLeak);
    }
    return std::make_unique<EchoModel>(std::move(faults));
  }
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Settings&) { return std::make_unique<EchoEngine>(); }

}  // namespace modelconform
