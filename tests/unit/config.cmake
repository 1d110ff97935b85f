# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME config_load SOURCES config_load_test.cpp DEPENDS tlc_config)
target_compile_definitions(test_config_load PRIVATE TLC_EXAMPLES="${PROJECT_SOURCE_DIR}/examples")
