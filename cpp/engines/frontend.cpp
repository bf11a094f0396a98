// The engine itself is compiled with all that includes libtorch's headers: frontend/engine.cpp.
#include "../frontend/engine.h"

namespace modelconform {

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  return make_frontend_engine(settings);
}

}  // namespace modelconform
