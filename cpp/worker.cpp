#include "worker.h"

#include <cxxabi.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "concurrent.h"
#include "fields.h"
#include "safetensors.h"
#include "train_request.h"
#include "wire.h"

namespace modelconform {
namespace {

// ---- Fields of a request -----------------------------------------------------------------------

// How often, or how many: bounded, so that a slip doesn't take the machine.
std::size_t count_of(const Json& json, const std::string& name, std::size_t largest) {
  if (json.is_number_integer()) {
    const auto count = json.get<std::int64_t>();
    if (count >= 1 && count <= static_cast<std::int64_t>(largest)) {
      return static_cast<std::size_t>(count);
    }
  }
  throw RequestError(name + " is a number from 1 to " + std::to_string(largest));
}

std::size_t repeats_of(const Json& request) {
  return request.contains("repeats") ? count_of(request["repeats"], "'repeats'", 1000) : 1;
}

std::vector<std::size_t> counts_field(const Json& request, const std::string& name) {
  std::vector<std::size_t> counts;
  for (const Json& count : as_list(field(request, name), name)) {
    counts.push_back(count_of(count, "an item of '" + name + "'", 256));
  }
  return counts;
}

Precision precision_of(const Json& request) {
  const std::string name =
      request.contains("precision") ? text_field(request, "precision") : "full";
  if (name == "full") return Precision::kFull;
  if (name == "fast") return Precision::kFast;
  throw RequestError("'precision' is 'full' or 'fast', not '" + name + "'");
}

Frontend frontend_of(const Json& json) {
  return {text_field(json, "library"), text_field(json, "dtype"),
          text_field(json, "mode") == "train", texts_field(json, "arguments"),
          texts_field(json, "computed")};
}

// ---- Errors ------------------------------------------------------------------------------------

// Longer than any message that a person reads; libraries quote whole graphs in theirs.
constexpr std::size_t kLongestMessage = std::size_t{64} << 10;

Json failure(const std::string& type, std::string message, std::string details) {
  for (std::string* text : {&message, &details}) {
    text->erase(text->find_last_not_of(" \n") + 1);
    if (text->size() > kLongestMessage) *text = text->substr(0, kLongestMessage) + " (cut off)";
  }
  return {{"type", type}, {"message", std::move(message)}, {"details", std::move(details)}};
}

std::string type_name(const std::exception& error) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status), &std::free);
  return name != nullptr ? name.get() : typeid(error).name();
}

// ---- Operations --------------------------------------------------------------------------------

class Worker {
 public:
  explicit Worker(Engine& engine) : engine_(engine) {}

  // Returns the answer to a line.
  std::string answer(const std::string& line) {
    Json id = nullptr;
    Json reply;
    try {
      const Json request = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!request.is_object()) throw RequestError("the line is no JSON object");
      number_field(request, "id");
      id = request["id"];
      reply = dispatch(request);
      reply["ok"] = true;
    } catch (...) {
      reply = {{"ok", false}, {"error", current_failure()}};
    }
    reply["id"] = id;
    std::string text = to_text(reply);
    if (text.size() <= kLongestLine) return text;
    return to_text({{"id", id},
                    {"ok", false},
                    {"error", failure("RuntimeError",
                                      "the answer would be longer than a line of " +
                                          std::to_string(kLongestLine) + " bytes",
                                      "")}});
  }

  // The answer to a line that couldn't be read.
  std::string refuse(const RequestError& error) {
    return to_text(
        {{"id", nullptr}, {"ok", false}, {"error", failure("RequestError", error.what(), "")}});
  }

  bool finished() const { return finished_; }

 private:
  // Texts of libraries needn't be UTF-8; an answer has to be.
  static std::string to_text(const Json& json) {
    return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  }

  static Json current_failure() {
    try {
      throw;
    } catch (const EngineError& error) {
      return failure(error.type, error.what(), error.details);
    } catch (const RequestError& error) {
      return failure("RequestError", error.what(), "");
    } catch (const TensorFileError& error) {
      return failure("TensorFileError", error.what(), "");
    } catch (const std::exception& error) {
      return failure(type_name(error), error.what(), "");
    } catch (...) {
      return failure("unknown", "something was thrown that is no std::exception", "");
    }
  }

  Json dispatch(const Json& request) {
    static const std::map<std::string, Json (Worker::*)(const Json&)> kOperations = {
        {"hello", &Worker::hello},   {"load", &Worker::load}, {"run", &Worker::run},
        {"unload", &Worker::unload}, {"quit", &Worker::quit}, {"concurrent", &Worker::concurrent},
        {"train", &Worker::train},
    };
    const std::string name = text_field(request, "op");
    const auto operation = kOperations.find(name);
    if (operation == kOperations.end()) throw RequestError("unknown op '" + name + "'");
    return (this->*operation->second)(request);
  }

  Json hello(const Json& request) {
    const std::int64_t protocol = number_field(request, "protocol");
    if (protocol != kProtocol) {
      throw RequestError("this worker speaks protocol " + std::to_string(kProtocol) +
                         ", the request asks for " + std::to_string(protocol));
    }
    const Description description = engine_.description();
    return {{"protocol", kProtocol},
            {"name", description.name},
            {"version", description.version},
            {"language", "C++"},
            {"layout", description.layout == Layout::kTree ? "tree" : "flat"},
            {"devices", description.devices},
            {"concurrent", true}};
  }

  Json load(const Json& request) {
    Model model;
    model.file = text_field(request, "model");
    model.format = request.contains("format") ? text_field(request, "format") : "";
    if (request.contains("libraries")) model.libraries = texts_field(request, "libraries");
    model.precision = precision_of(request);
    if (request.contains("frontend")) model.frontend = frontend_of(request["frontend"]);
    forget_model();
    const auto start = std::chrono::steady_clock::now();
    engine_.load(model);
    loaded_ = true;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return {{"seconds", elapsed.count()}};
  }

  Json run(const Json& request) {
    const std::size_t repeats = repeats_of(request);
    const std::string outputs_file = text_field(request, "outputs");
    const auto inputs = read_tensors(text_field(request, "inputs"));
    const Call call = read_call(request, inputs);
    require_model();

    Json runs = Json::array();
    // Runs that differ from all before them; the others are named by number, not kept.
    std::vector<std::pair<std::size_t, Tree>> distinct;
    std::vector<std::string> changed;
    OutputKeys keys;
    for (std::size_t n = 0; n < repeats; ++n) {
      Result result = engine_.run(call);
      note_changes(result.passed, inputs, changed);
      Json entry = {{"seconds", result.seconds}};
      if (const std::size_t* earlier = find_same(distinct, result.outputs)) {
        entry["same_as"] = *earlier;
      } else {
        keys.assign(result.outputs, n);
        entry["outputs"] = tree_to_json(result.outputs);
        distinct.emplace_back(n, std::move(result.outputs));
      }
      runs.push_back(std::move(entry));
    }
    write_tensors(outputs_file, keys.tensors());
    return {{"runs", std::move(runs)}, {"inputs_changed", changed}};
  }

  // The same calls from several threads at once (concurrent.h).
  Json concurrent(const Json& request) {
    require_model();
    const std::vector<std::size_t> threads = counts_field(request, "threads");
    const std::vector<std::size_t> clone_counts = counts_field(request, "clones");
    const std::string outputs_file = text_field(request, "outputs");
    const std::vector<Call> calls = read_calls(request);
    const SerialResults serial = run_serially(engine_, calls, repeats_of(request));

    Json reply = {{"trials", Json::array()}};
    OutputKeys keys;
    const auto attempt = [&](const char* name, const std::vector<Engine*>& instances) {
      // The last words of a worker that doesn't come back from it.
      std::fprintf(stderr, "running from %zu threads at once on %s\n", instances.size(),
                   name == std::string_view("one") ? "one instance" : name);
      reply["trials"].push_back(
          to_json(run_at_once(instances, calls, serial), serial, name, instances.size(), keys));
    };
    for (const std::size_t count : threads) {
      attempt("one", std::vector<Engine*>(count, &engine_));
    }
    const std::vector<std::unique_ptr<Engine>> clones = clones_for(clone_counts, reply);
    for (const std::size_t count : clone_counts) {
      if (clones.empty()) break;
      std::vector<Engine*> instances;
      for (std::size_t i = 0; i < count; ++i) instances.push_back(clones[i].get());
      attempt("clones", instances);
    }
    write_tensors(outputs_file, keys.tensors());
    return reply;
  }

  Json train(const Json& request) {
    require_model();
    return answer_train(engine_, request);
  }

  Json unload(const Json&) {
    forget_model();
    return Json::object();
  }

  Json quit(const Json&) {
    finished_ = true;
    return Json::object();
  }

  void forget_model() {
    loaded_ = false;
    engine_.unload();
  }

  void require_model() const {
    if (!loaded_) throw RequestError("no model is loaded");
  }

  std::vector<Call> read_calls(const Json& request) const {
    std::vector<Call> calls;
    for (const Json& call : as_list(field(request, "calls"), "calls")) {
      calls.push_back(read_call(call, read_tensors(text_field(call, "inputs"))));
    }
    if (calls.empty()) throw RequestError("'calls' is empty");
    return calls;
  }

  // As many as the largest of these counts asks for; none where there are none to have, which the
  // reply then says.
  std::vector<std::unique_ptr<Engine>> clones_for(const std::vector<std::size_t>& counts,
                                                  Json& reply) {
    if (counts.empty()) return {};
    try {
      auto clones = make_clones(engine_, *std::max_element(counts.begin(), counts.end()));
      reply["clonable"] = !clones.empty();
      return clones;
    } catch (...) {
      reply["clonable"] = false;
      reply["clone_error"] = current_failure();
      return {};
    }
  }

  static Json to_json(Trial trial, const SerialResults& serial, const char* instance,
                      std::size_t count, OutputKeys& keys) {
    Json json = {{"instance", instance},
                 {"threads", count},
                 {"results", trial.results},
                 {"different", trial.different},
                 {"failed", trial.failed}};
    const auto named = [&](Tree tree) {
      keys.assign(tree, keys.tensors().size());
      return tree_to_json(tree);
    };
    if (trial.first) {
      json["first"] = {{"call", trial.first->call},
                       {"outputs", named(std::move(trial.first->outputs))},
                       {"serial", named(serial[trial.first->call].front())}};
    }
    if (trial.first_failure != nullptr) {
      try {
        std::rethrow_exception(trial.first_failure);
      } catch (...) {
        json["error"] = current_failure();
      }
    }
    return json;
  }

  Call read_call(const Json& request, const std::map<std::string, Tensor>& inputs) const {
    const FindTensor find = [&inputs](const std::string& key) {
      const auto tensor = inputs.find(key);
      if (tensor == inputs.end()) throw RequestError("the input file has no tensor '" + key + "'");
      return tensor->second;
    };
    Call call;
    if (engine_.description().layout == Layout::kTree) {
      for (const Json& tree : as_list(field(request, "args"), "args")) {
        call.args.push_back(tree_from_json(tree, find));
      }
      for (const auto& [name, tree] : pairs_field(request, "kwargs")) {
        call.kwargs.emplace_back(name, tree_from_json(tree, find));
      }
    }
    // An engine of modules may also have models that are graphs.
    if (engine_.description().layout == Layout::kFlat || request.contains("feeds")) {
      for (const auto& [name, key] : pairs_field(request, "feeds")) {
        const std::string text = as_text(key, "the key of feed '" + name + "'");
        call.feeds.emplace_back(name, Leaf{text, find(text)});
      }
      call.fetches = texts_field(request, "fetches");
    }
    return call;
  }

  static void note_changes(const std::vector<Leaf>& passed,
                           const std::map<std::string, Tensor>& inputs,
                           std::vector<std::string>& changed) {
    for (const Leaf& leaf : passed) {
      const bool known = std::find(changed.begin(), changed.end(), leaf.key) != changed.end();
      if (!known && !same_bits(leaf.tensor, inputs.at(leaf.key))) changed.push_back(leaf.key);
    }
  }

  static const std::size_t* find_same(const std::vector<std::pair<std::size_t, Tree>>& runs,
                                      const Tree& outputs) {
    for (const auto& [number, earlier] : runs) {
      if (same_bits(earlier, outputs)) return &number;
    }
    return nullptr;
  }

  Engine& engine_;
  bool loaded_ = false;
  bool finished_ = false;
};

}  // namespace

void serve(Engine& engine, int input, int output) {
  LineReader lines(input);
  Worker worker(engine);
  while (!worker.finished()) {
    std::string answer;
    try {
      const auto line = lines.next();
      if (!line) return;
      answer = worker.answer(*line);
    } catch (const RequestError& error) {
      answer = worker.refuse(error);
    }
    if (!write_line(output, std::move(answer))) return;
  }
}

}  // namespace modelconform
