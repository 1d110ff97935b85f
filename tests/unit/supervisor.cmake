# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME supervisor SOURCES supervisor_output_test.cpp supervisor_control_test.cpp supervisor_host_check_test.cpp supervisor_job_test.cpp
                      supervisor_job_status_test.cpp
              DEPENDS tlc_supervisor)
# Needs a QEMU in TLC_TEST_QEMU; integration/vm/merges.bats has one.
tlc_unit_test(NAME supervisor_chain_merge SOURCES supervisor_chain_merge_test.cpp
              DEPENDS tlc_supervisor tlc_checkpoint)
tlc_unit_test(NAME supervisor_checkpoint_timer SOURCES supervisor_checkpoint_timer_test.cpp DEPENDS tlc_supervisor)
tlc_unit_test(NAME supervisor_cost_meter SOURCES supervisor_cost_meter_test.cpp DEPENDS tlc_supervisor)
tlc_unit_test(NAME supervisor_interval_policy SOURCES supervisor_interval_policy_test.cpp DEPENDS tlc_supervisor)
