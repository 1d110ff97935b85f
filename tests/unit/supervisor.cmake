# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME supervisor SOURCES supervisor_output_test.cpp supervisor_control_test.cpp supervisor_job_test.cpp
              DEPENDS tlc_supervisor)
tlc_unit_test(NAME supervisor_checkpoint_timer SOURCES supervisor_checkpoint_timer_test.cpp DEPENDS tlc_supervisor)
tlc_unit_test(NAME supervisor_interval_policy SOURCES supervisor_interval_policy_test.cpp DEPENDS tlc_supervisor)
