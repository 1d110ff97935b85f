# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME checkpoint_capture_choice SOURCES checkpoint_capture_choice_test.cpp DEPENDS tlc_checkpoint)
