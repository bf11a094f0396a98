#include "words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "../numbers.h"

namespace modelconform {
namespace {

// An integer or a bool, whole.
std::string exact_text(DType dtype, const std::byte* at) {
  if (dtype == DType::kBool) return number_at(dtype, at) != 0.0 ? "True" : "False";
  if (dtype == DType::kUInt64) return std::to_string(load_as<std::uint64_t>(at));
  if (dtype == DType::kInt64) return std::to_string(load_as<std::int64_t>(at));
  return std::to_string(static_cast<std::int64_t>(number_at(dtype, at)));
}

struct Family {
  std::string name;
  int width;
};

Family family_of(DType dtype) {
  if (const auto format = float_format(dtype)) {
    return {is_complex(dtype) ? "complex" : "float", format->precision};
  }
  if (dtype == DType::kBool) return {"bool", 0};
  return {"integer", static_cast<int>(8 * element_size(dtype))};
}

std::string narrowed(DType dtype, DType expected) {
  const Family one = family_of(dtype);
  const Family other = family_of(expected);
  if (one.name != other.name || one.width == other.width) return "";
  return one.width < other.width ? " (narrowed)" : " (widened)";
}

// Whether an index may follow: a parameter's name is a phrase.
bool is_output(const std::string& where) { return where.rfind("output", 0) == 0; }

// Where a group is, as one would index it: " in output[:, 3]"; "" for the whole tensor.
std::string group_text(const Layout& layout, std::size_t group, bool pairs,
                       const std::string& where) {
  const auto name = layout.name(group);
  if (!name) return "";
  const auto [axis, index] = *name;
  if (pairs && axis + 1 == layout.shape().size()) {
    return std::string(" in the ") + (index == 0 ? "real" : "imaginary") + " parts";
  }
  std::string before;
  for (std::size_t i = 0; i < axis; ++i) before += ":, ";
  return " in " + (is_output(where) ? where : "") + "[" + before + std::to_string(index) + "]";
}

// Two numbers with the fewest digits that show the difference, and one more.
std::pair<std::string, std::string> told_apart(double one, double two, int precision) {
  constexpr int kLeast = 3;
  int most = static_cast<int>(std::ceil(precision * std::log10(2.0))) + 1;
  const auto text = [](double value, int digits) {
    return formatted(("%." + std::to_string(digits) + "g").c_str(), value);
  };
  for (int digits = kLeast; digits < most; ++digits) {
    if (text(one, digits) == text(two, digits)) continue;
    most = digits == kLeast ? digits : digits + 1;
    break;
  }
  return {text(one, most), text(two, most)};
}

}  // namespace

std::string formatted(const char* format, double value) {
  if (std::isnan(value)) return "nan";  // C has a negative one, too
  std::array<char, 64> text{};
  const int length = std::snprintf(text.data(), text.size(), format, value);
  if (static_cast<std::size_t>(length) < text.size()) return text.data();
  std::string longer(static_cast<std::size_t>(length) + 1, '\0');
  std::snprintf(longer.data(), longer.size(), format, value);
  longer.pop_back();
  return longer;
}

std::string general(double value) { return formatted("%g", value); }

std::string number_text(double value) {
  std::array<char, 400> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  std::string result(text.data(), end.ptr);
  if (result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::string tuple_text(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

// What isn't ASCII stays as it is.
std::string quoted(const std::string& text) {
  const bool has_single = text.find('\'') != std::string::npos;
  const bool has_double = text.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      result += std::string("\\") + c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", byte);
      result += escape.data();
    } else {
      result += c;
    }
  }
  return result + quote;
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) text += (i > 0 ? between : "") + parts[i];
  return text;
}

std::string beyond_text(double value, double limit) {
  for (int digits = 1; digits < 6; ++digits) {
    const std::string pattern = "%." + std::to_string(digits) + "f";
    const std::string text = formatted(pattern.c_str(), value);
    if (std::strtod(text.c_str(), nullptr) > limit) return text;
  }
  return formatted("%.6f", value);
}

double tenth_up(double value) { return std::ceil(value * 10 + 1e-9) / 10; }

std::string digits_up(double value) {
  if (!(value > 0.0) || std::isinf(value)) return "0";
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 2);
  if (unit == 0.0) return formatted("%.3g", value);
  return formatted("%.3g", std::ceil(value / unit * (1 + 1e-12)) * unit);
}

std::string tolerance_text(double rtol, double atol) {
  std::vector<std::string> parts;
  if (rtol != 0.0) parts.push_back("rtol=" + general(rtol));
  if (atol != 0.0) parts.push_back("atol=" + general(atol));
  return parts.empty() ? "rtol=0" : joined(parts, ", ");
}

double significant_bits(const OutputReference& reference, std::size_t group) {
  if (reference.signal.empty() || reference.noise.empty() || !(reference.signal[group] > 0.0)) {
    return -std::numeric_limits<double>::infinity();
  }
  return std::log2(reference.signal[group]) - std::log2(reference.noise[group]);
}

std::string bits_text(const OutputReference& reference, std::size_t group, double loss,
                      double allowed, const std::string& where) {
  const Layout layout(reference.shape, reference.dtype);
  const std::string inside = group_text(layout, group, is_complex(reference.dtype), where);
  const std::string lost = beyond_text(loss, allowed);
  const double total = significant_bits(reference, group);
  if (total < 1.0) {
    return "the error" + inside + " is 2^" + lost + " times that of faithful arithmetic (2^" +
           general(allowed) + " may be)";
  }
  const std::string whose = reference.reduced ? "bfloat16's " : "";
  const std::string whole = formatted("%.1f", total);
  const double kept = std::strtod(whole.c_str(), nullptr) - std::strtod(lost.c_str(), nullptr);
  const std::string digits = std::to_string(lost.size() - lost.find('.') - 1);
  const std::string said =
      kept < 1.0 ? "none of " + whose + general(std::floor(total))
                 : formatted(("%." + digits + "f").c_str(), kept) + " of " + whose + whole;
  return said + " significant bits agree" + inside + " (" + general(allowed) + " may be lost)";
}

std::string few_bits_text(const OutputReference& reference, const RightBits& right,
                          const std::string& where) {
  const Layout layout(reference.shape, reference.dtype);
  return formatted("%.1f", right.bits) + " bits are right, but " + formatted("%.1f", right.least) +
         group_text(layout, right.group, is_complex(reference.dtype), where) + " (at least " +
         general(kLeastOfGroup) + " in each slice)";
}

Element element_of(std::size_t position, const Tensor& values, const OutputReference& reference,
                   const std::string& where, bool eager) {
  Element element;
  element.output = where;
  element.index = Layout(reference.shape, reference.dtype).index(position);
  if (is_complex(reference.dtype)) {
    element.part = element.index.back() == 0 ? "real" : "imaginary";
    element.index.pop_back();
  }
  element.value = Row(values)[position];
  element.expected = Row(eager || !reference.r ? reference.eager : *reference.r)[position];
  return element;
}

std::string element_text(std::size_t position, const Tensor& values,
                         const OutputReference& reference, const std::string& where, bool eager) {
  const Element element = element_of(position, values, reference, where, eager);
  std::string text = where;
  if (!element.index.empty()) {
    text += is_output(where) ? shape_text(element.index)
                             : ", element " + shape_text(element.index) + ",";
  }
  if (!element.part.empty()) text = "the " + element.part + " part of " + text;
  if (reference.kind == OutputReference::Kind::kExact) {
    const Row model(reference.eager);
    return text + " is " + exact_text(values.dtype, Row(values).at(position)) + ", " +
           reference.source + " gives " + exact_text(model.dtype(), model.at(position));
  }
  const auto format = float_format(reference.dtype);
  const auto [mine, theirs] =
      told_apart(element.value, element.expected, format ? format->precision : 53);
  return text + " is " + mine + ", " + reference.source + " gives " + theirs;
}

namespace {

using Lengths = std::vector<std::pair<std::int64_t, std::int64_t>>;

bool is_within(const Shape& shape, const Lengths& lengths) {
  for (std::size_t i = 0; i < std::min(shape.size(), lengths.size()); ++i) {
    if (shape[i] < lengths[i].first || shape[i] > lengths[i].second) return false;
  }
  return true;
}

// "(17 to 24, 4)"
std::string spans_text(const Lengths& lengths) {
  std::vector<std::string> parts;
  for (const auto& [least, most] : lengths) {
    parts.push_back(std::to_string(least) + (least == most ? "" : " to " + std::to_string(most)));
  }
  return "(" + joined(parts, ", ") + (parts.size() == 1 ? ",)" : ")");
}

}  // namespace

std::string dtype_and_shape(const Tensor& actual, const OutputReference& reference,
                            const std::string& where) {
  std::vector<std::string> faults;
  if (actual.dtype != reference.dtype) {
    faults.push_back("dtype " + std::string(dtype_name(actual.dtype)) + ", " + reference.source +
                     " returns " + std::string(dtype_name(reference.dtype)) +
                     narrowed(actual.dtype, reference.dtype));
  }
  if (reference.kind == OutputReference::Kind::kUnstable) {
    if (actual.shape.size() != reference.shape.size()) {
      faults.push_back(std::to_string(actual.shape.size()) + " dimensions, " + reference.source +
                       " returns " + std::to_string(reference.shape.size()));
    } else if (!is_within(actual.shape, reference.lengths)) {
      faults.push_back("shape " + tuple_text(actual.shape) + ", " + reference.source + " returns " +
                       tuple_text(reference.shape) + ", and rounding may make that " +
                       spans_text(reference.lengths));
    }
  } else if (actual.shape != reference.shape) {
    faults.push_back("shape " + tuple_text(actual.shape) + ", " + reference.source + " returns " +
                     tuple_text(reference.shape));
  }
  return faults.empty() ? "" : where + " has " + joined(faults, "; and ");
}

}  // namespace modelconform
