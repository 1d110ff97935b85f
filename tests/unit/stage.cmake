# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME stage_job_cpio SOURCES stage_job_cpio_test.cpp DEPENDS tlc_stage tlc_guest_parts)
tlc_unit_test(NAME stage_disk SOURCES stage_disk_test.cpp DEPENDS tlc_stage)

# For the tests with a real guest.
add_executable(stage_helper ${CMAKE_CURRENT_LIST_DIR}/../support/stage_helper.cpp)
target_link_libraries(stage_helper PRIVATE tlc_stage)
set_target_properties(stage_helper PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
