# With the reader's sources and not its archive: what is instrumented for the fuzzer is the reader.
add_executable(fuzz-safetensors
  fuzz/safetensors.cpp library/safetensors.cpp library/numbers.cpp library/tensors.cpp)
target_include_directories(fuzz-safetensors SYSTEM PRIVATE ${JSON_INCLUDE})
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(fuzz-safetensors PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz-safetensors PRIVATE -fsanitize=fuzzer)
else()
  target_sources(fuzz-safetensors PRIVATE fuzz/driver.cpp)
endif()
