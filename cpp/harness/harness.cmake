# What every harness is made of, besides its engine.
set(HARNESS_ARCHIVE "" CACHE FILEPATH "libmodelconform_harness.a, where it is built already")

shared_part(modelconform_harness "${HARNESS_ARCHIVE}"
  harness/worker.cpp # the slowest to compile: first
  harness/calls.cpp
  harness/concurrent_request.cpp
  harness/failure.cpp
  harness/run_request.cpp
  harness/train_request.cpp
  harness/wire.cpp
  library/safetensors.cpp
  harness/byhand.cpp
  harness/concurrent.cpp
  harness/deviations.cpp
  harness/main.cpp
  harness/process.cpp
  library/numbers.cpp
  library/tensors.cpp
  library/tree.cpp
)
if(NOT HARNESS_ARCHIVE)
  target_include_directories(modelconform_harness SYSTEM PRIVATE ${JSON_INCLUDE})
  # Two units for the compiler. JSON's header, and what is instantiated of it, take most of the time
  # of those that read and write JSON; headers of the standard library that of the others.
  set_target_properties(modelconform_harness PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  set_source_files_properties(
    harness/worker.cpp harness/calls.cpp harness/concurrent_request.cpp harness/failure.cpp
    harness/run_request.cpp harness/train_request.cpp harness/wire.cpp library/safetensors.cpp
    PROPERTIES UNITY_GROUP json)
  set_source_files_properties(
    harness/byhand.cpp harness/concurrent.cpp harness/deviations.cpp harness/main.cpp
    harness/process.cpp library/numbers.cpp library/tensors.cpp library/tree.cpp
    PROPERTIES UNITY_GROUP plain)
endif()
target_link_libraries(modelconform_harness INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
