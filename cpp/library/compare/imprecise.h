// Between faithful and wrong: is a tensor that fails by noise close on its own scale?
#pragma once

#include <string>

#include "measure.h"

namespace modelconform {

// Whether a measured tensor of kind kFloat that isn't faithful is close on its own scale.
bool is_close(const Pairing& pairing, const OutputReference& reference, const Numbers& numbers);

// "right to 21 bits of the tensor's scale; values below 1e-06 keep 9 bits".
std::string what_is_lost(const Pairing& pairing, const Numbers& numbers);

}  // namespace modelconform
