# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME request_options SOURCES request_options_test.cpp DEPENDS tlc_request)
tlc_unit_test(NAME request_text SOURCES request_text_test.cpp DEPENDS tlc_request)
tlc_unit_test(NAME request_validate SOURCES request_validate_test.cpp DEPENDS tlc_request)
