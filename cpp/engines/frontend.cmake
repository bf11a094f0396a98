include(libtorch/libtorch.cmake)
target_sources(${executable} PRIVATE frontend/weights.cpp)
# One unit for the compiler: they include the same headers of libtorch.
set_target_properties(${executable} PROPERTIES UNITY_BUILD ON)
