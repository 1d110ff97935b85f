# SPDX-License-Identifier: GPL-2.0-or-later
# Compiler settings and the three kinds of target: library (one a folder), program, unit test.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

option(TLC_TESTS "Build the unit tests and register the integration tests" ON)
option(TLC_FUZZ "Instrument everything for libFuzzer and make the fuzz targets its programs (clang; target fuzz_targets)" OFF)
set(TLC_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize= (address,undefined or thread)")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
                    -fstack-protector-strong -D_FILE_OFFSET_BITS=64)
add_compile_options($<$<CONFIG:RelWithDebInfo,Release>:-D_FORTIFY_SOURCE=2>)
# Names and lines for a trace; more would cost a quarter of the build's time.
add_compile_options($<$<CONFIG:RelWithDebInfo>:-g1>)
if(TLC_SANITIZE)
  add_compile_options(-fsanitize=${TLC_SANITIZE} -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
  add_link_options(-fsanitize=${TLC_SANITIZE})
endif()

if(TLC_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "TLC_FUZZ needs clang: use the preset fuzz, or tests/fuzz/run")
  endif()
  set(checks address,undefined,float-cast-overflow)
  add_compile_options(-fsanitize=fuzzer-no-link,${checks} -fno-sanitize-recover=all -fno-omit-frame-pointer
                      -U_FORTIFY_SOURCE -D_GLIBCXX_ASSERTIONS)
  add_link_options(-fsanitize=${checks})
endif()

# Not for tools that read compile_commands.json, as clang-tidy does.
option(TLC_PRECOMPILE "Compile the headers that nearly every source includes only once" ON)

# precompile(TARGET OWNER): OWNER has compiled them, with the same options
function(precompile target owner)
  if(TLC_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

if(TLC_PRECOMPILE)
  find_package(fmt REQUIRED)
  find_package(nlohmann_json REQUIRED)
  set(everywhere <algorithm> <array> <chrono> <cstdint> <filesystem> <functional> <map> <memory> <optional> <set> <span>
                 <string> <string_view> <thread> <vector> <fmt/format.h> <nlohmann/json.hpp> <tl/expected.hpp>)
  file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cpp "int main() {}\n")
  add_library(precompiled_library OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_precompile_headers(precompiled_library PRIVATE ${everywhere})
  target_link_libraries(precompiled_library PRIVATE fmt::fmt)
  # Code of libraries and of programs is not compiled the same way.
  if(TLC_TESTS)
    find_package(GTest REQUIRED)
    add_executable(precompiled_test ${PROJECT_BINARY_DIR}/precompiled.cpp)
    target_precompile_headers(precompiled_test PRIVATE ${everywhere} <gmock/gmock.h> <gtest/gtest.h>)
    target_link_libraries(precompiled_test PRIVATE fmt::fmt GTest::gmock)
  endif()
endif()

# tlc_library(NAME base SOURCES a.cpp ... DEPENDS tlc_x ... PACKAGES fmt::fmt ...)
# ALONE makes tlc_NAME_alone too, for what may need no shared library of fmt: the plugin and the static tlc-guest.
function(tlc_library)
  cmake_parse_arguments(L "ALONE" "NAME" "SOURCES;DEPENDS;PACKAGES" ${ARGN})
  add_library(tlc_${L_NAME} STATIC ${L_SOURCES})
  target_include_directories(tlc_${L_NAME} PUBLIC ${PROJECT_SOURCE_DIR}/tlc-engine/src)
  target_link_libraries(tlc_${L_NAME} PUBLIC ${L_DEPENDS} ${L_PACKAGES})
  precompile(tlc_${L_NAME} precompiled_library)
  if(L_ALONE)
    add_library(tlc_${L_NAME}_alone STATIC ${L_SOURCES})
    target_include_directories(tlc_${L_NAME}_alone PUBLIC ${PROJECT_SOURCE_DIR}/tlc-engine/src)
    list(TRANSFORM L_DEPENDS APPEND _alone)
    target_link_libraries(tlc_${L_NAME}_alone PUBLIC ${L_DEPENDS} fmt::fmt-header-only)
  endif()
endfunction()

# tlc_program(NAME tlc-run SOURCES ... DEPENDS ...): installed into bin, part of the package tlc
function(tlc_program)
  cmake_parse_arguments(P "" "NAME" "SOURCES;DEPENDS;PACKAGES" ${ARGN})
  add_executable(${P_NAME} ${P_SOURCES})
  target_link_libraries(${P_NAME} PRIVATE ${P_DEPENDS} ${P_PACKAGES})
  target_compile_definitions(${P_NAME} PRIVATE TLC_VERSION="${PROJECT_VERSION}")
  set_target_properties(${P_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${P_NAME} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tlc)
endfunction()

# tlc_unit_test(NAME channel_messages SOURCES ... DEPENDS ...): one gtest binary, label unit
function(tlc_unit_test)
  cmake_parse_arguments(T "" "NAME;LABEL" "SOURCES;DEPENDS;PACKAGES" ${ARGN})
  if(NOT T_LABEL)
    set(T_LABEL unit)
  endif()
  add_executable(test_${T_NAME} ${T_SOURCES})
  target_link_libraries(test_${T_NAME} PRIVATE ${T_DEPENDS} ${T_PACKAGES} GTest::gmock GTest::gtest_main)
  precompile(test_${T_NAME} precompiled_test)
  set_target_properties(test_${T_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${T_LABEL}.${T_NAME} COMMAND test_${T_NAME})
  set_tests_properties(${T_LABEL}.${T_NAME} PROPERTIES LABELS ${T_LABEL} PROCESSORS 2 TIMEOUT 300)
endfunction()
