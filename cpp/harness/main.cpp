// modelconform-ENGINE: runs a model by hand, or serves pytest-modelconform as a worker.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "byhand.h"
#include "engine.h"
#include "process.h"
#include "worker.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace {

using namespace modelconform;

constexpr const char* kUsage = R"(usage: %1$s MODEL [--ones SHAPE[:DTYPE]]... [--inputs FILE]
       %1$s --worker [--device DEVICE] [--threads N]

Runs a model once and prints what it returns.

  --ones 1,3,224,224   an input of ones; float32, or another: --ones 1,16:int64
                       several of them for several inputs, in order
  --inputs FILE        inputs from a safetensors file, in the order of its keys
                       (/args/0, /args/1, ...; /kwargs/NAME; or the graph's input names)
  --library FILE       a library with operators that the model needs; may be repeated
  --device DEVICE      cpu (the default), or another one that this build knows
  --threads N          threads for one operator; 1 by default
  --worker             speak pytest-modelconform's wire on stdin and stdout
  --help               this text
)";

struct Arguments {
  Settings settings;
  ByHand by_hand;
  bool worker = false;
  bool help = false;
};

int parse_threads(const std::string& text) {
  std::size_t used = 0;
  int threads = 0;
  try {
    threads = std::stoi(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || threads < 1) {
    throw std::invalid_argument("--threads takes a number from 1, not '" + text + "'");
  }
  return threads;
}

Arguments parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == words.size()) throw std::invalid_argument(word + " takes a value");
      return words[++i];
    };
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word == "--worker") {
      arguments.worker = true;
    } else if (word == "--device") {
      arguments.settings.device = value();
    } else if (word == "--threads") {
      arguments.settings.threads = parse_threads(value());
    } else if (word == "--ones") {
      arguments.by_hand.ones.push_back(parse_ones(value()));
    } else if (word == "--inputs") {
      arguments.by_hand.inputs_file = value();
    } else if (word == "--library") {
      arguments.by_hand.libraries.push_back(value());
    } else if (word.rfind("-", 0) == 0 || !arguments.by_hand.model.empty()) {
      throw std::invalid_argument("unknown argument '" + word + "'; see --help");
    } else {
      arguments.by_hand.model = word;
    }
  }
  if (!arguments.help && arguments.worker == !arguments.by_hand.model.empty()) {
    throw std::invalid_argument("give a model's file, or --worker; see --help");
  }
  return arguments;
}

void serve_as_worker(const Settings& settings) {
  die_with_parent();
  volunteer_for_oom_killer();
  const int wire = take_stdout();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is seen by the loop
  const auto engine = make_engine(settings);
  std::unique_ptr<LoadedModel> model;
  serve(*engine, model, STDIN_FILENO, wire);
#ifdef __SANITIZE_ADDRESS__
  __lsan_do_leak_check();  // which would otherwise come with the destructors
#endif
  // Nothing is left to say. Destructors of the libraries are known to crash or hang at exit, which
  // would look like a crash of the model.
  ::_exit(0);
}

}  // namespace

int main(int count, char** words) {
  const char* name = std::strrchr(words[0], '/');
  name = name == nullptr ? words[0] : name + 1;
  try {
    const Arguments arguments = parse_arguments({words + 1, words + count});
    if (arguments.help) {
      std::printf(kUsage, name);
    } else if (arguments.worker) {
      serve_as_worker(arguments.settings);
    } else {
      run_by_hand(*make_engine(arguments.settings), arguments.by_hand);
    }
    return 0;
  } catch (const EngineError& error) {
    std::fprintf(stderr, "%s: %s: %s\n", name, error.type.c_str(), error.what());
    if (!error.details.empty()) std::fprintf(stderr, "%s\n", error.details.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  }
  return 1;
}
