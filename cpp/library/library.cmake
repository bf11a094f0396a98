# The library that users link: tensors and their files, trees, and the comparison. No inference
# engine is in it, and its headers need nothing but the standard library.
#
#   cmake -S cpp -B build && cmake --build build && cmake --install build --prefix PREFIX
#
# Then find_package(modelconform CONFIG REQUIRED) and modelconform::modelconform. In place of being
# installed, it may be a part of another build: add_subdirectory(cpp).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The version is the Python package's, beside which, or in which, these sources lie.
foreach(file ../pytest_modelconform/terms/version.py ../terms/version.py)
  if(NOT version AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/${file} line REGEX "^__version__ = \"[0-9.]+")
    string(REGEX MATCH "[0-9]+(\\.[0-9]+)*" version "${line}")
  endif()
endforeach()
if(NOT version)
  message(FATAL_ERROR "the version is read from pytest_modelconform/terms/version.py, beside which "
                      "${CMAKE_CURRENT_SOURCE_DIR} has to lie; to copy the library, install it")
endif()

# nlohmann/json.hpp: where it was said to be, or on this machine, or in Python's packages.
if(NOT JSON_INCLUDE)
  find_package(nlohmann_json QUIET)
  if(nlohmann_json_FOUND)
    get_target_property(JSON_INCLUDE nlohmann_json::nlohmann_json INTERFACE_INCLUDE_DIRECTORIES)
  else()
    find_package(Python3 QUIET COMPONENTS Interpreter)
    if(Python3_FOUND)
      execute_process(
        COMMAND ${Python3_EXECUTABLE} -c
                "import nlohmann_json as n; print(n.__path__[0] + '/include')"
        OUTPUT_VARIABLE JSON_INCLUDE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
  endif()
  if(NOT JSON_INCLUDE)
    message(FATAL_ERROR "nlohmann/json.hpp isn't found: pip install nlohmann-json, or your "
                        "system's package of it, or say where it is: -DJSON_INCLUDE=FOLDER")
  endif()
endif()

set(public_headers compare.h reference.h safetensors.h tensors.h tree.h view.h)

add_library(modelconform STATIC
  library/reference.cpp # the slowest to compile: first
  library/safetensors.cpp
  library/compare.cpp
  library/compare/closeness.cpp
  library/compare/difference.cpp
  library/compare/groups.cpp
  library/compare/imprecise.cpp
  library/compare/leaves.cpp
  library/compare/measure.cpp
  library/compare/words.cpp
  library/numbers.cpp
  library/tensors.cpp
  library/tree.cpp
)
add_library(modelconform::modelconform ALIAS modelconform)
target_compile_features(modelconform PUBLIC cxx_std_20)
target_compile_options(modelconform PRIVATE -Wall -Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # A false alarm on "text" + std::string: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651
  target_compile_options(modelconform PRIVATE -Wno-restrict)
endif()
# The JSON parser takes twice as long to compile with more, and reads a header now and then.
set_source_files_properties(library/reference.cpp library/safetensors.cpp
                            PROPERTIES COMPILE_OPTIONS -O1)
# For those who link it into a library of their own.
set_target_properties(modelconform PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
target_include_directories(modelconform SYSTEM PRIVATE ${JSON_INCLUDE})
# Users include <modelconform/compare.h>, installed or not.
set(staged ${CMAKE_CURRENT_BINARY_DIR}/include)
foreach(header ${public_headers})
  configure_file(library/${header} ${staged}/modelconform/${header} COPYONLY)
endforeach()
target_include_directories(modelconform PUBLIC
  $<BUILD_INTERFACE:${staged}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# A project that has this as a part installs what it needs of it itself.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/modelconform)
install(TARGETS modelconform EXPORT modelconform ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
list(TRANSFORM public_headers PREPEND library/)
install(FILES ${public_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelconform)
# It depends on nothing, so that the exported targets are the whole configuration.
install(EXPORT modelconform NAMESPACE modelconform:: DESTINATION ${package}
        FILE modelconformConfig.cmake)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/modelconformConfigVersion.cmake
  VERSION ${version} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/modelconformConfigVersion.cmake DESTINATION ${package})
