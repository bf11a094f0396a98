// Compares outputs with references, one line of standard input after the other, as
// test_compare_cpp.py asks:
//
//   FOLDER SET OUTPUTS.safetensors BITS_LOST WORST RTOL ATOL COSINE      ("-": not given)
//   FOLDER SET OUTPUTS.safetensors own          (the reference's own tolerance)
//   FOLDER SET OUTPUTS.safetensors tree         (outputs a, b, ... in the structure of `structure`)
//
// and answers each with a line: "ok", "imprecise" or "mismatch", bits reference_bits loss worst
// max_abs unstable ill_conditioned output index part value expected, then the message, in which
// line ends are written as "\n"; or with "error" and what was wrong. Fields are separated by tabs.
#include <modelconform/compare.h>
#include <modelconform/safetensors.h>

#include <cstdio>
#include <iostream>
#include <sstream>

namespace {

std::string exact(std::optional<double> value) {
  if (!value) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%a", *value);
  return text;
}

std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : text) line += c == '\n' ? std::string("\\n") : std::string(1, c);
  return line;
}

std::optional<double> read_number(std::istream& words) {
  std::string word;
  words >> word;
  if (word == "-") return std::nullopt;
  return std::stod(word);
}

// {"boxes": (a, None, b), 3: [c], "it's": d, "n": 5}
modelconform::Tree structure(const std::map<std::string, modelconform::Tensor>& outputs) {
  using namespace modelconform;
  const auto leaf = [&](const char* key) { return Tree{Leaf{key, outputs.at(key)}}; };
  return Tree{Dict{{
      {DictKey("boxes"), Tree{Tuple{{leaf("a"), Tree{None{}}, leaf("b")}}}},
      {DictKey(std::int64_t{3}), Tree{List{{leaf("c")}}}},
      {DictKey("it's"), leaf("d")},
      {DictKey("n"), Tree{std::int64_t{5}}},
  }}};
}

modelconform::Verdict verdict_of(std::istringstream& words) {
  std::string folder, set, file, how;
  words >> folder >> set >> file;
  const auto reference = modelconform::Reference::read(folder, set);
  const auto outputs = modelconform::read_tensors(file);
  const auto limits = words.tellg();
  words >> how;
  if (how == "own") return modelconform::compare(outputs, reference);
  if (how == "tree") return modelconform::compare(structure(outputs), reference);
  words.seekg(limits);
  modelconform::Tolerance tolerance;
  for (auto* field : {&tolerance.bits_lost, &tolerance.worst, &tolerance.rtol, &tolerance.atol,
                      &tolerance.cosine, &tolerance.bits, &tolerance.levels}) {
    *field = read_number(words);
  }
  return modelconform::compare(outputs, reference, tolerance);
}

void judge(const std::string& line) {
  std::istringstream words(line);
  const modelconform::Verdict verdict = verdict_of(words);
  std::size_t unstable = 0;
  bool ill_conditioned = false;
  for (const auto& [_, output] : verdict.outputs) {
    unstable += output.unstable;
    ill_conditioned = ill_conditioned || output.ill_conditioned;
  }
  std::cout << (verdict.ok      ? "ok"
                : verdict.close ? "imprecise"
                                : "mismatch")
            << "\t" << exact(verdict.bits) << "\t" << exact(verdict.reference_bits) << "\t"
            << exact(verdict.loss) << "\t" << exact(verdict.worst) << "\t" << exact(verdict.max_abs)
            << "\t" << unstable << "\t" << ill_conditioned << "\t";
  if (const auto& element = verdict.worst_element) {
    std::cout << element->output << "\t" << modelconform::shape_text(element->index) << "\t"
              << element->part << "\t" << exact(element->value) << "\t" << exact(element->expected);
  } else {
    std::cout << "-\t-\t-\t-\t-";
  }
  std::cout << "\t" << one_line(verdict.message) << "\n";
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      judge(line);
    } catch (const std::exception& error) {
      std::cout << "error\t" << one_line(error.what()) << "\n";
    }
  }
}
