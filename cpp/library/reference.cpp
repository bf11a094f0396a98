#include "reference.h"

#include <array>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "compare/groups.h"
#include "compare/measure.h"
#include "numbers.h"
#include "safetensors.h"

namespace modelconform {
namespace {

using Json = nlohmann::json;
using Kind = OutputReference::Kind;
using Arrays = std::map<std::string, Tensor>;

constexpr std::array kKinds{
    std::pair{std::string_view("float"), Kind::kFloat},
    std::pair{std::string_view("exact"), Kind::kExact},
    std::pair{std::string_view("tolerance"), Kind::kTolerance},
    std::pair{std::string_view("empty"), Kind::kEmpty},
    std::pair{std::string_view("unstable"), Kind::kUnstable},
};

Json read_json(const std::string& path, std::ifstream& file) {
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Json content = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!content.is_object()) throw TensorFileError(path + " isn't a JSON object");
  return content;
}

std::optional<double> number(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

Numbers numbers_of(const Json& object) {
  return {number(object, "bits"), number(object, "loss"), number(object, "worst"),
          number(object, "max_abs")};
}

// Makes one output's reference of its JSON and its arrays, whose keys are "<path>#<name>". Sizes
// are checked here, so that nothing is read beyond an array's end later.
class Maker {
 public:
  Maker(std::string path, const Json& meta, const Arrays& arrays)
      : path_(std::move(path)), meta_(meta), arrays_(arrays) {}

  OutputReference make() const {
    OutputReference output;
    const auto kind = meta_.at("kind").get<std::string>();
    bool is_known = false;
    for (const auto& [name, value] : kKinds) {
      if (name != kind) continue;
      output.kind = value;
      is_known = true;
    }
    if (!is_known) fail("its kind is '" + kind + "', which this reader doesn't know");
    output.dtype = dtype_from_name(meta_.at("dtype").get<std::string>());
    output.shape = meta_.at("shape").get<Shape>();
    output.reference_bits = number(meta_, "reference_bits");
    output.unstable = meta_.at("unstable").get<std::size_t>();
    output.reduced = meta_.at("reduced").get<bool>();
    output.eager_numbers = numbers_of(meta_.at("eager"));
    output.source = meta_.value("source", output.source);
    // Not in files of before.
    output.lengths = meta_.value("lengths", output.lengths);
    output.finite = meta_.value("finite", false);
    const auto allowed = meta_.find("allowed");
    if (allowed != meta_.end() && !allowed->is_null()) {
      output.allowed = allowed->get<std::pair<double, double>>();
    }

    check_shape(output.shape);
    const Layout layout(output.shape, output.dtype);
    output.eager = need("eager", find("eager", layout.size(), element_size(real(output))));
    output.eager.dtype = real(output);  // bfloat16 and float8 are stored as unsigned integers
    output.r = find_floats("r", layout.size());
    take_noise(output, layout, "");
    check(output, layout);
    take_parts(output, meta_, layout, "");
    return output;
  }

 private:
  // What differs between a reference and a part of it; the latter's names have a prefix.
  void take_noise(OutputReference& output, const Layout& layout, const std::string& prefix) const {
    output.floor = find_floats(prefix + "floor", layout.size());
    output.codes = find(prefix + "codes", layout.size(), 1);
    output.signal = list(prefix + "signal");
    output.noise = list(prefix + "noise");
    output.counts = list(prefix + "counts");
  }

  void take_parts(OutputReference& output, const Json& meta, const Layout& layout,
                  const std::string& prefix) const {
    auto rest = part_of(output, meta, layout, prefix, "rest");
    output.unmasked = part_of(output, meta, layout, prefix, "unmasked");
    output.rest = std::move(rest);
  }

  std::shared_ptr<const OutputReference> part_of(const OutputReference& output, const Json& meta,
                                                 const Layout& layout, const std::string& prefix,
                                                 const std::string& name) const {
    // Not in files of before.
    const auto found = meta.find(name);
    if (found == meta.end() || found->is_null()) return nullptr;
    auto part = std::make_shared<OutputReference>(output);
    part->reference_bits = number(*found, "reference_bits");
    part->unstable = found->at("unstable").get<std::size_t>();
    const std::string begin = prefix + name + ".";
    take_noise(*part, layout, begin);
    check(*part, layout);
    take_parts(*part, *found, layout, begin);
    return part;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw TensorFileError("output" + path_ + ": " + what);
  }

  // Lengths are multiplied and divided by later.
  void check_shape(const Shape& shape) const {
    std::int64_t elements = 1;
    for (const std::int64_t length : shape) {
      constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 32;
      if (length < 0 || (length > 0 && elements > kMost / length)) {
        fail("its shape is " + shape_text(shape));
      }
      elements *= length;
    }
  }

  static DType real(const OutputReference& output) { return real_dtype(output.dtype); }

  // An array of so many elements, of so many bytes each (0: as its own dtype has).
  std::optional<Tensor> find(const std::string& name, std::size_t size, std::size_t bytes) const {
    const auto found = arrays_.find(path_ + "#" + name);
    if (found == arrays_.end()) return std::nullopt;
    const Tensor& tensor = found->second;
    const std::size_t each = bytes == 0 ? element_size(tensor.dtype) : bytes;
    if (tensor.size_in_bytes() != size * each) {
      fail("its array '" + name + "' is " + describe(tensor) + "; " + std::to_string(size) +
           " elements of " + std::to_string(each) + " bytes were expected");
    }
    return tensor;
  }

  std::optional<Tensor> find_floats(const std::string& name, std::size_t size) const {
    const auto found = find(name, size, 0);
    if (found && found->dtype != DType::kFloat64 && found->dtype != DType::kFloat32) {
      fail("its array '" + name + "' is " + describe(*found));
    }
    return found;
  }

  Tensor need(const std::string& name, const std::optional<Tensor>& found) const {
    if (!found) fail("its array '" + name + "' is missing");
    return *found;
  }

  std::vector<double> list(const std::string& name) const {
    const auto found = arrays_.find(path_ + "#" + name);
    if (found == arrays_.end()) return {};
    const Row row(found->second);
    std::vector<double> values(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) values[i] = row[i];
    return values;
  }

  void check(const OutputReference& output, const Layout& layout) const {
    const bool is_float = float_format(output.dtype).has_value();
    if (output.kind == Kind::kFloat || output.kind == Kind::kTolerance) {
      if (!is_float) fail("its kind is for numbers that aren't integers");
    }
    if (output.kind != Kind::kFloat) return;
    need("r", output.r);
    need("floor", output.floor);
    if (output.noise.size() != layout.groups() || output.signal.size() != layout.groups() ||
        (!output.counts.empty() && output.counts.size() != layout.groups())) {
      fail("its noise is that of " + std::to_string(output.noise.size()) + " groups; " +
           shape_text(output.shape) + " has " + std::to_string(layout.groups()));
    }
  }

  std::string path_;
  const Json& meta_;
  const Arrays& arrays_;
};

// That of an input set which has its own, as some generated ones do, or else the case's.
Tolerance tolerance_in(const std::string& folder, const std::string& input_set) {
  const std::string path = folder + "/case.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  const Json content = read_json(path, file);
  try {
    const Json sets = content.value("input_sets", Json::object());
    const Json set = sets.value(input_set, Json::object());
    const Json& found = set.contains("tolerance") ? set.at("tolerance") : content.at("tolerance");
    return {number(found, "bits_lost"), number(found, "worst"),  number(found, "rtol"),
            number(found, "atol"),      number(found, "cosine"), number(found, "bits"),
            number(found, "levels")};
  } catch (const Json::exception& error) {
    throw TensorFileError(path + ": 'tolerance' can't be read: " + error.what());
  }
}

}  // namespace

Reference Reference::read(const std::string& folder, const std::string& input_set) {
  const std::string stem = folder + "/references-" + input_set;
  std::ifstream file(stem + ".json", std::ios::binary);
  if (!file) {
    throw TensorFileError(stem + ".json can't be opened: `modelconform export` writes one for " +
                          "each input set, and lists them");
  }
  const Json metas = read_json(stem + ".json", file);
  const Arrays arrays = read_tensors(stem + ".safetensors");
  Reference reference;
  try {
    for (const auto& [path, meta] : metas.items()) {
      reference.outputs.emplace(path, Maker(path, meta, arrays).make());
    }
  } catch (const TensorFileError& error) {
    throw TensorFileError(stem + ".safetensors: " + error.what());
  } catch (const Json::exception& error) {
    throw TensorFileError(stem + ".json: " + error.what());
  } catch (const std::invalid_argument& error) {
    throw TensorFileError(stem + ".json: " + error.what());
  }
  reference.tolerance = tolerance_in(folder, input_set);
  return reference;
}

}  // namespace modelconform
