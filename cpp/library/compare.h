// Are these outputs the model's? The rule is that of docs/verdicts.md:
//
//   auto reference = modelconform::Reference::read("exported", "pair");
//   auto verdict = modelconform::compare(outputs, reference);
//   if (!verdict.ok) std::cerr << verdict.message << "\n";
//
// Tensors over an engine's memory are made by view.h, and read from files by safetensors.h.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "reference.h"
#include "tensors.h"
#include "tree.h"

namespace modelconform {

// One element of an output.
struct Element {
  std::string output;  // "output", "output[0]['boxes']"
  Shape index;
  std::string part;  // of a complex number, "real" or "imaginary"
  double value = 0.0;
  double expected = 0.0;
};

// How one output tensor compares with the model.
struct Difference : Numbers {
  bool ok = true;
  bool close = false;                    // not ok, but imprecise rather than wrong; see Verdict
  std::optional<double> reference_bits;  // what faithful arithmetic has
  std::optional<Element> worst_element;  // none where no element is off
  std::size_t unstable = 0;              // elements that weren't compared
  bool ill_conditioned = false;          // the noise hides much of what could be compared
  std::string message;                   // empty if ok
};

// How all outputs of one call compare with the model. The numbers are the worst of all outputs';
// there are none where structure, dtype or shape differ.
struct Verdict : Numbers {
  bool ok = true;
  // Not ok, but by the noise alone, and close on each tensor's own scale: at least 16 effective
  // bits in float32 (docs/verdicts.md). Whether there is a cause all the same, nobody has asked.
  bool close = false;
  std::optional<double> reference_bits;
  std::optional<Element> worst_element;
  std::map<std::string, Difference> outputs;  // by path
  std::string message;                        // empty if ok
};

// The outputs of one call: a single tensor; tensors by path; or in the structure that the model
// returns, where a list is a tuple and plain values aren't compared. Without a tolerance, the
// reference's own.
Verdict compare(const Tensor& output, const Reference& reference);
Verdict compare(const Tensor& output, const Reference& reference, const Tolerance& tolerance);
Verdict compare(const std::map<std::string, Tensor>& outputs, const Reference& reference);
Verdict compare(const std::map<std::string, Tensor>& outputs, const Reference& reference,
                const Tolerance& tolerance);
Verdict compare(const Tree& outputs, const Reference& reference);
Verdict compare(const Tree& outputs, const Reference& reference, const Tolerance& tolerance);

// In words: "pass, 22.6 bits (eager has 22.5)", or the message.
std::string summary(const Verdict& verdict);

// One output tensor; `where` is how messages name it.
Difference compare_tensor(const Tensor& actual, const OutputReference& reference,
                          const Tolerance& tolerance, const std::string& where = "output");

}  // namespace modelconform
