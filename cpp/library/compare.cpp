#include "compare.h"

#include <algorithm>
#include <vector>

#include "compare/leaves.h"
#include "compare/words.h"

namespace modelconform {
namespace {

constexpr std::size_t kMostMessages = 8;

using Better = const double& (*)(const double&, const double&);

void merge(std::optional<double>& into, const std::optional<double>& value, Better worse) {
  if (value) into = into ? worse(*into, *value) : *value;
}

Verdict compare_all(const Leaves& leaves, const Reference& reference, const Tolerance& tolerance) {
  Verdict verdict;
  std::vector<std::string> expected;
  std::vector<std::string> actual;
  for (const auto& [path, _] : reference.outputs) expected.push_back(path);
  for (const auto& [path, _] : leaves) actual.push_back(path);
  verdict.message = compare_leaves(expected, actual);
  verdict.ok = verdict.message.empty();
  if (!verdict.ok) return verdict;

  std::vector<std::string> messages;
  bool comparable = true;
  bool close = true;
  Numbers numbers;
  std::optional<double> reference_bits;
  std::optional<double> worst;
  for (const auto& [path, tensor] : leaves) {
    const Difference difference =
        compare_tensor(tensor, reference.outputs.at(path), tolerance, "output" + path);
    merge(numbers.bits, difference.bits, std::min<double>);
    merge(reference_bits, difference.reference_bits, std::min<double>);
    merge(numbers.loss, difference.loss, std::max<double>);
    merge(numbers.worst, difference.worst, std::max<double>);
    merge(numbers.max_abs, difference.max_abs, std::max<double>);
    // That of a failing output counts; then that of the one with the greatest noise.
    const double here = (difference.ok ? 0.0 : 2 * kMostLost) + difference.worst.value_or(0.0);
    if (difference.worst_element && (!worst || here > *worst)) {
      worst = here;
      verdict.worst_element = difference.worst_element;
    }
    if (!difference.ok) {
      comparable = comparable && difference.bits.has_value();
      close = close && difference.close;
      messages.push_back(difference.message);
    }
    verdict.outputs.emplace(path, difference);
  }
  if (comparable) {
    static_cast<Numbers&>(verdict) = numbers;
    verdict.reference_bits = reference_bits;
  }
  verdict.ok = messages.empty();
  verdict.close = close && !verdict.ok;
  messages.resize(std::min(messages.size(), kMostMessages));
  verdict.message = joined(messages, "\n");
  return verdict;
}

}  // namespace

std::string summary(const Verdict& verdict) {
  if (!verdict.ok) return (verdict.close ? "imprecise: " : "") + verdict.message;
  if (!verdict.bits) return "pass";
  const std::string eager = verdict.reference_bits
                                ? " (eager has " + formatted("%.1f", *verdict.reference_bits) + ")"
                                : "";
  return "pass, " + formatted("%.1f", *verdict.bits) + " bits" + eager;
}

Verdict compare(const Tensor& output, const Reference& reference, const Tolerance& tolerance) {
  return compare_all({{"", output}}, reference, tolerance);
}

Verdict compare(const std::map<std::string, Tensor>& outputs, const Reference& reference,
                const Tolerance& tolerance) {
  return compare_all({outputs.begin(), outputs.end()}, reference, tolerance);
}

Verdict compare(const Tree& outputs, const Reference& reference, const Tolerance& tolerance) {
  return compare_all(leaves_of(outputs), reference, tolerance);
}

Verdict compare(const Tensor& output, const Reference& reference) {
  return compare(output, reference, reference.tolerance);
}

Verdict compare(const std::map<std::string, Tensor>& outputs, const Reference& reference) {
  return compare(outputs, reference, reference.tolerance);
}

Verdict compare(const Tree& outputs, const Reference& reference) {
  return compare(outputs, reference, reference.tolerance);
}

}  // namespace modelconform
