// Feeds the reader of tensor files whatever comes. A file is refused by TensorFileError, or it can
// be used like any other: its tensors read, laid out, written again and found again. Everything
// else is a fault, which ends the process.
#include "../library/safetensors.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace {

using namespace modelconform;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fault: %s\n", what);
  std::abort();
}

void use(const Tensor& tensor) {
  static volatile unsigned sink = 0;
  const std::size_t size = tensor.size_in_bytes();
  for (std::size_t i = 0; i < size; ++i) sink = sink + std::to_integer<unsigned>(tensor.data[i]);
  require(!describe(tensor).empty(), "a tensor has no description");
  first_values(tensor, 3);
  const Shape strides = strides_of(tensor.shape, tensor.order);
  require(strides.size() == tensor.shape.size(), "strides of another rank");
  const OwnedTensor copy = writable_copy(tensor);
  require(same_bits(copy.tensor, tensor), "a copy has other bits");
}

// A file without a name, since thousands are written a second.
const std::string& scratch_path() {
#ifdef __linux__
  static const std::string path = "/proc/self/fd/" + std::to_string(::memfd_create("fuzz", 0));
#else
  static const std::string path = "fuzz-scratch-" + std::to_string(::getpid());
#endif
  return path;
}

void write_and_read_again(const std::map<std::string, Tensor>& tensors) {
  write_tensors(scratch_path(), {tensors.begin(), tensors.end()});
  const auto again = read_tensors(scratch_path());
  require(again.size() == tensors.size(), "another number of tensors after writing");
  for (const auto& [key, tensor] : tensors) {
    const auto found = again.find(key);
    require(found != again.end(), "a tensor is lost in writing");
    require(same_bits(found->second, tensor), "a tensor has other bits after writing");
    require(found->second.order == tensor.order, "a tensor has another order after writing");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Memory of just this size, so that a byte too far is noticed.
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  try {
    const auto tensors = parse_tensors("fuzz", bytes, nullptr);
    for (const auto& [_, tensor] : tensors) use(tensor);
    write_and_read_again(tensors);
  } catch (const TensorFileError& error) {
    require(std::strlen(error.what()) > 0, "an error without a message");
  }
  return 0;
}
