#include "worker.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "concurrent_request.h"
#include "failure.h"
#include "fields.h"
#include "process.h"
#include "run_request.h"
#include "train_request.h"

namespace modelconform {
namespace {

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

class Worker {
 public:
  Worker(Engine& engine, std::unique_ptr<LoadedModel>& model) : engine_(engine), model_(model) {}

  // Returns the answer to a line.
  std::string answer(const std::string& line) {
    Json id = nullptr;
    Json reply;
    try {
      // Of a view, as in safetensors.cpp: the compiler then makes one parser and not two.
      const Json request = Json::parse(std::string_view(line), nullptr, /*allow_exceptions=*/false);
      if (!request.is_object()) throw RequestError("the line isn't a JSON object");
      number_field(request, "id");
      id = request["id"];
      reply = dispatch(request);
      reply["ok"] = true;
    } catch (...) {
      reply = {{"ok", false}, {"error", current_failure()}};
    }
    reply["id"] = id;
    const double before = std::exchange(spent_, core_seconds());
    reply["core_seconds"] = spent_ - before;
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
    model_.reset();
    const auto start = std::chrono::steady_clock::now();
    model_ = engine_.load(model);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return {{"seconds", elapsed.count()}};
  }

  Json run(const Json& request) { return answer_run(engine_, model_.get(), request); }
  Json concurrent(const Json& request) { return answer_concurrent(engine_, model(), request); }
  Json train(const Json& request) { return answer_train(engine_, model(), request); }

  Json unload(const Json&) {
    model_.reset();
    engine_.release();
    return Json::object();
  }

  Json quit(const Json&) {
    finished_ = true;
    return Json::object();
  }

  LoadedModel& model() const {
    if (model_ == nullptr) throw RequestError("no model is loaded");
    return *model_;
  }

  Engine& engine_;
  std::unique_ptr<LoadedModel>& model_;
  bool finished_ = false;
  // Seconds of processor time until the last answer.
  double spent_ = 0;
};

}  // namespace

void serve(Engine& engine, std::unique_ptr<LoadedModel>& model, int input, int output) {
  LineReader lines(input);
  Worker worker(engine, model);
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
