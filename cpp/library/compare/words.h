// How messages write numbers: as Python does, so that both say the same.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "../compare.h"
#include "closeness.h"
#include "groups.h"
#include "measure.h"

namespace modelconform {

std::string formatted(const char* format, double value);  // as printf
std::string general(double value);                        // 2, 0.001, 1e-05
std::string number_text(double value);                    // the shortest that reads back: 2.0
std::string tuple_text(const Shape& shape);               // (4, 20), (4,), ()
std::string quoted(const std::string& text);              // 'boxes'
std::string joined(const std::vector<std::string>& parts, const std::string& between);

// A number that is over a limit, to a tenth, or to as many digits as it takes to look like more.
std::string beyond_text(double value, double limit);

// Rounded up, so that it is enough: to a tenth, to three digits.
double tenth_up(double value);
std::string digits_up(double value);
// "rtol=0.001, atol=1e-05", without the one that is 0.
std::string tolerance_text(double rtol, double atol);

// The bits of a group that faithful arithmetic keeps, log2(S / N); -inf for a group of zeros.
double significant_bits(const OutputReference& reference, std::size_t group);

// "9.8 of 22.9 significant bits agree in output[:, 3] (1.5 may be lost)", of a group whose loss is
// more than is allowed.
std::string bits_text(const OutputReference& reference, std::size_t group, double loss,
                      double allowed, const std::string& where);

// "5.1 bits are right, but -1.0 in output[:, 4] (at least 1 in each slice)".
std::string few_bits_text(const OutputReference& reference, const RightBits& right,
                          const std::string& where);

// An element with its value and the reference's; `eager` for eager's own in place of float64's.
Element element_of(std::size_t position, const Tensor& values, const OutputReference& reference,
                   const std::string& where, bool eager = false);
// "output[0, 3] is 0.5, PyTorch gives 0.25", with as many digits as it takes to tell them apart.
std::string element_text(std::size_t position, const Tensor& values,
                         const OutputReference& reference, const std::string& where,
                         bool eager = false);

// Why dtype or shape are another than the model's; empty if they are not.
std::string dtype_and_shape(const Tensor& actual, const OutputReference& reference,
                            const std::string& where);

}  // namespace modelconform
