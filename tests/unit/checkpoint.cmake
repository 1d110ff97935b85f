# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME checkpoint_capture_choice SOURCES checkpoint_capture_choice_test.cpp DEPENDS tlc_checkpoint)

add_executable(random_damages ../support/random_damages.cpp)
target_link_libraries(random_damages PRIVATE tlc_checkpoint)
set_target_properties(random_damages PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
