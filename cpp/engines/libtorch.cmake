include(libtorch/libtorch.cmake)
