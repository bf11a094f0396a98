// What a model returns for one set of inputs, and how noisy that is: what outputs are compared with
// (docs/verdicts.md). The files are written by `modelconform export`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tensors.h"

namespace modelconform {

// How far outputs may be from the reference. What isn't given is the default of the output's dtype.
struct Tolerance {
  // The largest log2(error / noise): as root mean square over any group of elements,
  // and for the single worst element.
  std::optional<double> bits_lost;
  std::optional<double> worst;
  // If given, they replace the two above: |y - r| <= atol + rtol |r| for every element, the least
  // cosine similarity, and the least log2 of the root mean squares of r over y - r; of integers,
  // one in 2^bits may differ.
  std::optional<double> rtol;
  std::optional<double> atol;
  std::optional<double> cosine;
  std::optional<double> bits;
  // How far off an integer of 8 bits may be, which may be a pixel; all others must be equal.
  std::optional<double> levels;

  // Whether it replaces the rule in units of the noise.
  bool is_explicit() const { return rtol || atol || cosine || bits; }
};

// What a comparison found; all but `max_abs`, the largest |y - r|, are log2. Without a value where
// they aren't defined.
struct Numbers {
  std::optional<double> bits;
  std::optional<double> loss;
  std::optional<double> worst;
  std::optional<double> max_abs;
};

// The reference of one output tensor. Arrays are flat, complex numbers two real ones.
struct OutputReference {
  enum class Kind {
    kFloat,      // compared within the noise
    kExact,      // integers and bools
    kTolerance,  // without a pure float64 run: by rtol and atol
    kEmpty,      // dtype and shape only
    kUnstable,   // rounding decides its size: the numbers aren't compared
  };

  Kind kind = Kind::kEmpty;
  DType dtype = DType::kFloat32;  // of eager's output
  Shape shape;                    // of eager's output
  Tensor eager;                   // in the case's dtype
  std::optional<Tensor> r;        // float64; 0 where nothing is compared
  std::optional<Tensor> floor;    // by element, the error that counts as 2^0
  std::optional<Tensor> codes;    // by element, what isn't ordinary; see compare/measure.h
  std::vector<double> signal;     // by group
  std::vector<double> noise;      // by group
  std::vector<double> counts;     // by group, elements that are compared; empty: all
  std::optional<double> reference_bits;
  std::size_t unstable = 0;  // elements that are left out, as eager's noisy runs disagree there
  bool reduced = false;      // the noise is that of bfloat16 arithmetic, not of `dtype`
  Numbers eager_numbers;     // how eager itself compares with r
  std::string source = "PyTorch";  // whose numbers these are, as messages say it
  // Of kUnstable: the least and the greatest length of each dimension, none for any; and whether no
  // run had NaN or infinity.
  std::vector<std::pair<std::int64_t, std::int64_t>> lengths;
  bool finite = false;
  // Of kExact: what an element may be that rounding decides; none for anything.
  std::optional<std::pair<double, double>> allowed;
  // What a result has to agree with, too: the same without elements that are so large that they
  // hide the others. None where no element hides any.
  std::shared_ptr<const OutputReference> rest;
  // The same for tolerances that are a share of the tensor's size, without masks; none where there
  // are none.
  std::shared_ptr<const OutputReference> unmasked;
};

struct Reference {
  // By the output's path: "" where the model returns one tensor, "[0]", "[0]['boxes']".
  std::map<std::string, OutputReference> outputs;
  // The case's. With a file that has none (as in the cache), each dtype's default.
  Tolerance tolerance;

  // The reference of one input set in a folder that `modelconform export` wrote. Throws
  // TensorFileError (safetensors.h), which names the file.
  static Reference read(const std::string& folder, const std::string& input_set);
};

}  // namespace modelconform
