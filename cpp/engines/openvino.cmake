set(OPENVINO_ROOT "" CACHE PATH "openvino: the folder that has include/ and libs/")

target_include_directories(${executable} SYSTEM PRIVATE ${OPENVINO_ROOT}/include)
# A wheel's libraries carry their version in the name only, so there is no libopenvino.so.
file(GLOB library ${OPENVINO_ROOT}/libs/libopenvino.so* ${OPENVINO_ROOT}/libs/libopenvino.*dylib)
use_library("${library}")
