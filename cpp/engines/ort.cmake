set(ORT_INCLUDE "" CACHE PATH "ort: the folder that has onnxruntime_cxx_api.h")
set(ORT_LIBRARY "" CACHE FILEPATH "ort: libonnxruntime.so.1.x, or libonnxruntime.1.x.dylib")

target_include_directories(${executable} SYSTEM PRIVATE ${ORT_INCLUDE})
use_library(${ORT_LIBRARY})
# The wheel's library is called libonnxruntime.so.1.32.0 and asks to be loaded as libonnxruntime.so.1,
# a name that the wheel, having no symbolic links, doesn't carry.
if(NOT APPLE)
  file(CREATE_LINK ${ORT_LIBRARY} ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/libonnxruntime.so.1 SYMBOLIC)
  set_property(TARGET ${executable} APPEND PROPERTY BUILD_RPATH $ORIGIN)
endif()
