# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME vm_host_cpu SOURCES vm_host_cpu_test.cpp DEPENDS tlc_vm)
tlc_unit_test(NAME vm_qmp_answer SOURCES vm_qmp_answer_test.cpp DEPENDS tlc_vm)
tlc_unit_test(NAME vm_domain SOURCES vm_domain_test.cpp DEPENDS tlc_vm)
tlc_unit_test(NAME vm_machine SOURCES vm_machine_test.cpp DEPENDS tlc_vm)
