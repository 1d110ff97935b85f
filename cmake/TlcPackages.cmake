# SPDX-License-Identifier: GPL-2.0-or-later
# Debian packages by CPack, one a component; examples/packages/build makes them all. TLC_QEMU_PREFIX is a directory
# that qemu-patches/build has printed; without it there is no package of QEMU.
set(TLC_QEMU_PREFIX "" CACHE PATH "What qemu-patches/build printed: QEMU is installed and packaged from there")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tlc)
# The default: then the descriptions below begin with lines of their own.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${CMAKE_PROJECT_NAME} built using CMake")
set(CPACK_PACKAGE_VENDOR tlc)
set(CPACK_PACKAGE_CONTACT "tlc maintainers <tlc@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENTS_ALL tlc tlc-guest tlc-slurm-plugin)

# tlc_package(NAME DESCRIPTION [DEPENDS ...] [RECOMMENDS ...] [CONFFILES ...])
macro(tlc_package name description)
  cmake_parse_arguments(P "" "" "DEPENDS;RECOMMENDS;CONFFILES" ${ARGN})
  string(TOUPPER ${name} key)
  list(JOIN P_DEPENDS ", " depends)
  list(JOIN P_RECOMMENDS ", " recommends)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name})
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${description}")
  set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "${depends}")
  set(CPACK_DEBIAN_${key}_PACKAGE_RECOMMENDS "${recommends}")
  if(P_CONFFILES)
    list(JOIN P_CONFFILES "\n" conffiles)
    file(WRITE ${PROJECT_BINARY_DIR}/debian/${name}/conffiles "${conffiles}\n")
    set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/debian/${name}/conffiles)
  endif()
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${name})
endmacro()

tlc_package(tlc "Live checkpoints of batch jobs in virtual machines
tlc-run runs a job in a QEMU virtual machine and checkpoints it while it
computes; tlc-restart looks at checkpoints and continues jobs from them;
tlc-engine takes and loads them."
  DEPENDS e2fsprogs qemu-utils
  RECOMMENDS "tlc-qemu (>= ${PROJECT_VERSION})" "tlc-guest (= ${PROJECT_VERSION})"
  CONFFILES /etc/tlc/tlc.toml)

tlc_package(tlc-guest "Guest side of tlc: agent and recipe of guest images
tlc-guest-image makes kernel, initramfs and image of the virtual machines in
which tlc runs jobs. The agent tlc-guest becomes the first process in them."
  DEPENDS mmdebstrap binutils cpio e2fsprogs lz4
  RECOMMENDS uidmap)

# SPANK loads a plugin only into the Slurm major.minor version it was built for.
file(STRINGS ${SLURM_INCLUDE_DIR}/slurm/slurm_version.h slurm REGEX "#define SLURM_VERSION_NUMBER 0x")
string(REGEX REPLACE ".*0x([0-9a-f][0-9a-f])([0-9a-f][0-9a-f])[0-9a-f][0-9a-f].*" "0x\\1;0x\\2" slurm "${slurm}")
list(GET slurm 0 major)
list(GET slurm 1 minor)
math(EXPR major "${major}")
math(EXPR next "${minor} + 1")
math(EXPR minor "${minor}")
foreach(number minor next)
  if(${number} LESS 10)
    set(${number} 0${${number}})
  endif()
endforeach()
tlc_package(tlc-slurm-plugin "SPANK plugin of tlc: sbatch --vm-checkpoint (Slurm ${major}.${minor})
Adds options to sbatch and puts tlc-run in the place of the batch script of
jobs that use them. Built for Slurm ${major}.${minor}; another version needs
another build."
  DEPENDS "slurm-wlm-basic-plugins (>= ${major}.${minor})" "slurm-wlm-basic-plugins (<< ${major}.${next}~)"
  RECOMMENDS "tlc (= ${PROJECT_VERSION})"
  CONFFILES /etc/bash_completion.d/tlc-sbatch /etc/slurm/plugstack.conf.d/tlc.conf)

if(TLC_QEMU_PREFIX)
  file(STRINGS ${TLC_QEMU_PREFIX}/version qemu_version LIMIT_COUNT 1)
  string(REGEX REPLACE "^QEMU emulator version ([0-9.]+).*" "\\1" qemu_version "${qemu_version}")
  install(PROGRAMS ${TLC_QEMU_PREFIX}/bin/qemu-system-x86_64 DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/tlc COMPONENT tlc-qemu)
  tlc_documents(tlc-qemu ${TLC_QEMU_PREFIX}/build-info ${PROJECT_SOURCE_DIR}/qemu-patches/README.md)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/qemu-patches/patches DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/tlc-qemu COMPONENT tlc-qemu)
  list(APPEND CPACK_COMPONENTS_ALL tlc-qemu)
  tlc_package(tlc-qemu "QEMU ${qemu_version} with the patches of tlc
qemu-system-x86_64 for tlc alone, in a directory that is not searched for
commands. The series of patches is in its documentation."
    DEPENDS qemu-system-data seabios)
endif()

include(CPack)
