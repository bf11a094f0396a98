// The engine itself is compiled with all that includes libtorch's headers: libtorch/engine.cpp.
#include "../libtorch/engine.h"

namespace modelconform {

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  return make_libtorch_engine(settings);
}

}  // namespace modelconform
