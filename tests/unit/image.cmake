# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME image_round_trip SOURCES image_round_trip_test.cpp DEPENDS tlc_image)
tlc_unit_test(NAME image_compression SOURCES image_compression_test.cpp DEPENDS tlc_image)
tlc_unit_test(NAME image_file_output SOURCES image_file_output_test.cpp DEPENDS tlc_image)
tlc_unit_test(NAME image_chain SOURCES image_chain_test.cpp DEPENDS tlc_image)
tlc_unit_test(NAME image_damage SOURCES image_damage_test.cpp DEPENDS tlc_image)
tlc_unit_test(NAME image_difference SOURCES image_difference_test.cpp DEPENDS tlc_image)
tlc_unit_test(NAME image_golden SOURCES image_golden_test.cpp DEPENDS tlc_image)
target_compile_definitions(test_image_golden PRIVATE TLC_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")

# Writes an image with known content, for integration/storage/image.bats.
add_executable(sample_image ../support/sample_image.cpp)
target_link_libraries(sample_image PRIVATE tlc_image)
set_target_properties(sample_image PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
