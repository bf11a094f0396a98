// Compares one output tensor with its reference, and says in words how they differ.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "closeness.h"
#include "imprecise.h"
#include "words.h"

namespace modelconform {
namespace {

using Kind = OutputReference::Kind;

// A root mean square over fewer elements is itself uncertain: one more bit may be lost.
constexpr std::size_t kFewElements = 16;
// Rounded otherwise, not computed otherwise.
constexpr double kFewLevels = 2;
// What is left beside larger elements is more often a tail, of which a few draws say less.
constexpr double kFewOfRest = 128;
const std::string kHiddenEnd = "the others would hardly count";

struct Limits {
  double bits_lost;
  double worst;
};

// Those that a tolerance gives, or the defaults, alike for all dtypes
// (pytest_modelconform/terms/case.py).
Limits limits_of(const Tolerance& tolerance) {
  return {tolerance.bits_lost.value_or(1.5), tolerance.worst.value_or(4.0)};
}

bool is_ill_conditioned(const OutputReference& reference) {
  const auto format = float_format(reference.dtype);
  if (reference.reduced || !reference.reference_bits || !format) return false;
  return *reference.reference_bits < std::max(4, format->precision - 7);
}

// Everything that the rules need, and the result that they fill in.
struct Comparison {
  const Tensor& values;
  const OutputReference& reference;
  const Tolerance& tolerance;
  const std::string& where;
  Pairing pairing;
  Difference result;

  void take(const Numbers& numbers) { static_cast<Numbers&>(result) = numbers; }

  void take_worst(std::optional<std::size_t> position) {
    if (position) result.worst_element = element_of(*position, values, reference, where);
  }

  Difference fail(const std::string& message) {
    result.ok = false;
    result.message = message;
    return result;
  }

  Difference without_finite();
  Difference exactly();
  Difference by_noise(const Measured& measured, bool few);
  Difference with_rest();
  Difference by_tolerance(std::optional<std::size_t> worst_position);
  Difference without_masks();
  Difference says_without(Difference found, const OutputReference& rest) const;
};

// Names the first position at which one is NaN or infinite and the other isn't.
Difference Comparison::without_finite() {
  std::size_t count = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    if (!pairing.is_strange(i)) continue;
    if (count++ == 0) first = i;
  }
  const std::string more = count > 1 ? " (" + std::to_string(count) + " such elements of " +
                                           std::to_string(pairing.size()) + ")"
                                     : "";
  result.worst_element = element_of(first, values, reference, where, /*eager=*/true);
  return fail("NaN or infinity in other places: " +
              element_text(first, values, reference, where, /*eager=*/true) + more);
}

Difference Comparison::exactly() {
  const Row mine(values);
  const Row model(reference.eager);
  const std::size_t size = element_size(mine.dtype());
  const bool may_be_levels = reference.dtype == DType::kUInt8 || reference.dtype == DType::kInt8;
  const double levels = may_be_levels && !tolerance.bits ? tolerance.levels.value_or(0.0) : 0.0;
  std::size_t count = 0;
  std::size_t wrong = 0;
  std::size_t worst = 0;
  double largest = -1.0;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (std::memcmp(mine.at(i), model.at(i), size) == 0) continue;
    const bool is_allowed = !reference.allowed || (mine[i] >= reference.allowed->first &&
                                                   mine[i] <= reference.allowed->second);
    if (pairing.code(i) == kUnstable && is_allowed) continue;
    ++count;
    const double difference = std::fabs(mine[i] - model[i]);
    // As double, large integers that differ may be 0 apart.
    if (levels == 0.0 || difference > levels) ++wrong;
    if (difference > largest) {
      largest = difference;
      worst = i;
    }
  }
  result.max_abs = std::max(largest, 0.0);
  if (count == 0) return result;
  take_worst(worst);
  const std::string kind = reference.dtype == DType::kBool ? "bools" : "integers";
  std::string must = kind + " must be equal";
  if (tolerance.bits) {
    // As of numbers: of so many bits, that share is all that may be wrong.
    const double share = std::exp2(-*tolerance.bits);
    const auto most = static_cast<std::size_t>(static_cast<double>(mine.size()) * share);
    if (count <= most) return result;
    must = std::to_string(most) + " " + kind + " may (bits=" + general(*tolerance.bits) + ")";
  } else if (may_be_levels && tolerance.levels) {
    if (wrong == 0) return result;
    const std::string apart = general(*tolerance.levels);
    must = kind + " may be " + apart + " apart (levels=" + apart + ")";
  } else if (may_be_levels && largest <= kFewLevels) {
    const std::string apart = general(largest);
    must +=
        "; if they are pixels, Tolerance(levels=" + apart + ") lets them be " + apart + " apart";
  }
  return fail("wrong values: " + element_text(worst, values, reference, where) + "; " +
              std::to_string(wrong) + " of " + std::to_string(mine.size()) +
              " elements differ, and " + must);
}

// Judges the loss of every group, and the worst element, in units of the noise.
// few: whether elements are few.
Difference Comparison::by_noise(const Measured& measured, bool few) {
  const double loss = measured.loss.value_or(0.0);
  const double worst = measured.worst.value_or(0.0);
  const Limits limits = limits_of(tolerance);
  const double grace = few ? 1.0 : 0.0;
  std::vector<std::string> faults;
  std::vector<std::string> needs;
  bool is_near = true;
  if (loss > limits.bits_lost + grace) {
    const std::size_t group = measured.loss_group;
    faults.push_back(bits_text(reference, group, loss, limits.bits_lost + grace, where));
    needs.push_back("bits_lost=" + number_text(tenth_up(loss - grace)));
    is_near = loss - grace <= significant_bits(reference, group) / 2;
  }
  if (worst > limits.worst) {
    const std::string whose = reference.reduced ? "bfloat16's" : "faithful";
    if (faults.empty()) {
      faults.push_back("off by 2^" + beyond_text(worst, limits.worst) + " times the noise of " +
                       whose + " arithmetic (2^" + general(limits.worst) + " may be)");
    }
    needs.push_back("worst=" + number_text(tenth_up(worst)));
    is_near = is_near && worst - limits.worst <= significant_bits(reference, 0) / 2;
  }
  if (faults.empty()) return result;
  result.close = is_close(pairing, reference, measured);
  if (result.close) faults.push_back(what_is_lost(pairing, measured));
  if (is_near) faults.push_back("it would need " + joined(needs, ", "));
  if (result.ill_conditioned) {
    faults.push_back("ill-conditioned: faithful arithmetic has " +
                     formatted("%.1f", *reference.reference_bits) + " bits");
  }
  return fail((result.close ? "inexact values: " : "wrong values: ") +
              element_text(measured.worst_position.value_or(0), values, reference, where) + "; " +
              joined(faults, "; "));
}

std::optional<double> greater(std::optional<double> one, std::optional<double> other) {
  if (!one || !other) return one ? one : other;
  return std::max(*one, *other);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Difference Comparison::says_without(Difference found, const OutputReference& rest) const {
  if (!ends_with(found.message, kHiddenEnd)) {
    const std::size_t apart = rest.unstable - reference.unstable;
    found.message += "; that is without " + std::to_string(apart) + " element" +
                     (apart == 1 ? "" : "s") + " so large that " + kHiddenEnd;
  }
  return found;
}

// A result that isn't wrong yet, judged without the elements that hide the others, too: what is
// worse counts.
Difference Comparison::with_rest() {
  if (!reference.rest || !(result.ok || result.close)) return result;
  const OutputReference& rest = *reference.rest;
  Comparison other{values, rest, tolerance, where, Pairing(values, rest), result};
  const Measured measured = measure(other.pairing, rest);
  other.take(measured);
  other.take_worst(measured.worst_position);
  other.result.ok = true;
  other.result.close = false;
  other.result.message.clear();
  other.result.reference_bits = rest.reference_bits;
  other.result.ill_conditioned = is_ill_conditioned(rest);
  other.by_noise(measured, !rest.counts.empty() && rest.counts[0] < kFewOfRest);
  Difference found = other.with_rest();
  if (!found.ok && (result.ok || !found.close)) {
    return says_without(std::move(found), rest);
  }
  if (result.ok) {
    result.loss = greater(result.loss, found.loss);
    result.worst = greater(result.worst, found.worst);
  }
  return result;
}

// A result that passes, judged without masks, too: a share of the whole tensor's size would hide
// all others. Not by an rtol and atol that are given: these hold for each element by itself.
Difference Comparison::without_masks() {
  if (!reference.unmasked || !result.ok) return result;
  Tolerance alone = tolerance;
  if (tolerance.is_explicit()) {
    alone.rtol.reset();
    alone.atol.reset();
    if (!alone.is_explicit()) return result;
  }
  const OutputReference& unmasked = *reference.unmasked;
  Comparison other{values, unmasked, alone, where, Pairing(values, unmasked), result};
  std::optional<std::size_t> worst;
  if (unmasked.kind == Kind::kFloat) {
    const Measured measured = measure(other.pairing, unmasked);
    other.take(measured);
    other.take_worst(measured.worst_position);
    other.result.reference_bits = unmasked.reference_bits;
    other.result.ill_conditioned = is_ill_conditioned(unmasked);
    worst = measured.worst_position;
  }
  other.by_tolerance(worst);
  Difference found = other.without_masks();
  if (!found.ok) return says_without(std::move(found), unmasked);
  if (found.bits && result.bits && *found.bits < *result.bits) {
    // What is right of the whole says nothing: it is the masks'.
    result.bits = found.bits;
    result.reference_bits = found.reference_bits;
  }
  return result;
}

// Whether an output keeps half of the digits that were asked for: with fewer, no tolerance is worth
// naming.
bool is_half_as_exact(double needed, double asked) {
  return needed <= std::sqrt(std::max(asked, 0.0));
}

// How many bits must be right of the numbers that neither `bits` nor `cosine` holds.
std::optional<double> asked_of_huge(const Tolerance& tolerance) {
  std::optional<double> asked = tolerance.bits;
  if (tolerance.cosine && *tolerance.cosine < 1.0) {
    // So large an error as the cosine allows: 1 - cos is half the square of it.
    asked = greater(asked, -0.5 * std::log2(2.0 * (1.0 - *tolerance.cosine)));
  }
  return asked;
}

// Judges |y - r| <= atol + rtol |r|, cosine and bits: as the tolerance says, or, without a pure
// float64 run, by dtype.
Difference Comparison::by_tolerance(std::optional<std::size_t> worst_position) {
  std::optional<double> rtol = tolerance.rtol;
  std::optional<double> atol = tolerance.atol;
  const double rms = reference.signal.empty() ? 0.0 : reference.signal[0];
  std::string source;
  if (!tolerance.is_explicit()) {
    rtol = float_format(reference.dtype)->lenient;
    atol = std::strtod(digits_up(*rtol * rms).c_str(), nullptr);
    source = ", the default for " + std::string(dtype_name(reference.dtype)) +
             " without a pure float64 run,";
  }
  std::string element;
  std::vector<std::string> faults;
  std::vector<std::string> needs;
  bool is_near = true;
  if (rtol || atol) {
    const double relative = rtol.value_or(0.0);
    const double absolute = atol.value_or(0.0);
    const Closeness close = closeness_of(pairing, relative, absolute);
    result.max_abs = close.max_abs;
    take_worst(close.position);
    if (close.count > 0) {
      const auto rounded = [](double value) {
        return std::strtod(digits_up(value).c_str(), nullptr);
      };
      element = element_text(close.position, values, reference, where);
      faults.push_back("beyond " + tolerance_text(relative, absolute) + source + " in " +
                       std::to_string(close.count) + " of " + std::to_string(pairing.size()) +
                       " elements");
      const std::string either =
          std::isfinite(close.rtol) ? tolerance_text(rounded(close.rtol), absolute) + " or " : "";
      needs.push_back(either + tolerance_text(relative, rounded(close.atol)));
      is_near =
          rms == 0.0 || is_half_as_exact(close.atol / rms, std::max(relative, absolute / rms));
    }
  }
  if (tolerance.cosine) {
    const double cosine = cosine_of(pairing);
    if (cosine < *tolerance.cosine) {
      if (element.empty() && result.worst) {
        element = element_text(worst_position.value_or(0), values, reference, where);
      }
      faults.push_back("its cosine similarity is " + formatted("%.6f", cosine) + " (at least " +
                       general(*tolerance.cosine) + " is asked for)");
      needs.push_back("cosine=" + general(std::floor(cosine * 1e6) / 1e6));
      is_near = is_near && is_half_as_exact(1.0 - cosine, 1.0 - *tolerance.cosine);
    }
  }
  // More than faithful arithmetic has can't be asked for: what is within its noise is right.
  const Limits limits = limits_of(tolerance);
  const bool is_within_noise = !reference.reduced && result.loss && result.worst &&
                               *result.loss <= limits.bits_lost && *result.worst <= limits.worst;
  if (tolerance.bits && !is_within_noise) {
    const RightBits right = right_bits_of(pairing, reference);
    std::optional<std::size_t> at;
    if (right.bits < *tolerance.bits) {
      faults.push_back(formatted("%.1f", right.bits) + " bits are right (at least " +
                       general(*tolerance.bits) + " are asked for)");
      needs.push_back("bits=" + general(std::floor(right.bits * 10) / 10));
      is_near = is_near && right.bits >= *tolerance.bits / 2;
      if (result.worst) at = worst_position.value_or(0);
    } else if (*tolerance.bits >= kLeastAsked && right.least < kLeastOfGroup) {
      faults.push_back(few_bits_text(reference, right, where));
      is_near = false;
      const Layout layout(reference.shape, reference.dtype);
      at = worst_of_group(pairing, layout, right.group);
    }
    if (at && element.empty()) {
      take_worst(at);
      element = element_text(*at, values, reference, where);
    }
  }
  const auto asked = asked_of_huge(tolerance);
  if (asked && !is_within_noise) {
    const HugeBits huge = huge_bits_of(pairing);
    if (huge.bits < *asked) {
      faults.push_back(formatted("%.1f", huge.bits) +
                       " bits are right of numbers from 1e30 on (at least " +
                       formatted("%.3g", *asked) + " are asked for)");
      is_near = false;
      if (element.empty()) {
        take_worst(huge.position);
        element = element_text(huge.position, values, reference, where);
      }
    }
  }
  if (faults.empty()) return result;
  if (is_near) faults.push_back("it would need " + joined(needs, ", "));
  return fail("wrong values: " + (element.empty() ? where : element) + "; " + joined(faults, "; "));
}

// Another dtype is a mismatch whatever the numbers are; that they would agree is worth knowing.
bool has_numbers_all_the_same(const Tensor& actual, const OutputReference& reference) {
  return reference.kind == Kind::kFloat && float_format(actual.dtype) &&
         is_complex(actual.dtype) == is_complex(reference.dtype) && actual.shape == reference.shape;
}

}  // namespace

Difference compare_tensor(const Tensor& actual, const OutputReference& reference,
                          const Tolerance& tolerance, const std::string& where) {
  Comparison comparison{actual, reference, tolerance, where, Pairing(actual, reference), {}};
  Difference& result = comparison.result;
  result.reference_bits = reference.reference_bits;
  result.ill_conditioned = is_ill_conditioned(reference);
  result.unstable = reference.unstable;
  const std::string mismatch = dtype_and_shape(actual, reference, where);
  if (!mismatch.empty()) {
    if (has_numbers_all_the_same(actual, reference) && !comparison.pairing.has_strange()) {
      comparison.take(measure(comparison.pairing, reference));
    }
    return comparison.fail(mismatch);
  }
  if (reference.kind == Kind::kEmpty || reference.kind == Kind::kUnstable) {
    std::size_t strange = 0;
    const Row row(actual);
    for (std::size_t i = 0; reference.finite && i < row.size(); ++i)
      strange += !std::isfinite(row[i]);
    if (strange == 0) return result;
    return comparison.fail(where + " has NaN or infinity in " + std::to_string(strange) + " of " +
                           std::to_string(row.size()) + " elements, " + reference.source +
                           " in none");
  }
  const std::size_t size = actual.size_in_bytes();
  if (size == 0 || std::memcmp(actual.data, reference.eager.data, size) == 0) {
    comparison.take(reference.eager_numbers);
    if (!result.max_abs) result.max_abs = 0.0;
    return result;
  }
  if (reference.kind == Kind::kExact) return comparison.exactly();
  if (comparison.pairing.has_strange()) return comparison.without_finite();
  if (reference.kind == Kind::kTolerance) {
    comparison.by_tolerance(std::nullopt);
    return comparison.without_masks();
  }
  const Measured measured = measure(comparison.pairing, reference);
  comparison.take(measured);
  comparison.take_worst(measured.worst_position);
  if (tolerance.is_explicit()) {
    comparison.by_tolerance(measured.worst_position);
    return comparison.without_masks();
  }
  const std::size_t elements = comparison.pairing.size() / (is_complex(reference.dtype) ? 2 : 1);
  comparison.by_noise(measured, elements < kFewElements);
  return comparison.with_rest();
}

}  // namespace modelconform
