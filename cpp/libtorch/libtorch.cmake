# All that includes libtorch's headers: both engines, values, errors, training. Included by their files.
set(TORCH_ROOT "" CACHE PATH "libtorch: the folder that has include/ and lib/")
set(LIBTORCH_ARCHIVE "" CACHE FILEPATH "libmodelconform_libtorch.a, where it is built already")

shared_part(modelconform_libtorch "${LIBTORCH_ARCHIVE}"
  libtorch/train_loop.cpp
  libtorch/script.cpp
  libtorch/values.cpp
  libtorch/setup.cpp
  libtorch/errors.cpp
  libtorch/aoti.cpp
  libtorch/engine.cpp
  frontend/weights.cpp
  frontend/engine.cpp
)
# find_package(Torch) of a CUDA wheel demands a CUDA toolkit, which a wheel's user needn't have.
set(torch_include ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
if(NOT LIBTORCH_ARCHIVE)
  target_include_directories(modelconform_libtorch SYSTEM PRIVATE ${torch_include})
  # One unit for the compiler, which takes 12 s for libtorch's headers alone, so that both engines
  # are in it, too.
  set_target_properties(modelconform_libtorch PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
endif()
target_link_libraries(${executable} PRIVATE modelconform_libtorch)
foreach(name torch_cpu c10)
  use_library(${TORCH_ROOT}/lib/lib${name}${CMAKE_SHARED_LIBRARY_SUFFIX})
endforeach()
