# SPDX-License-Identifier: GPL-2.0-or-later
# What is installed beside the programs: man pages, completions, configuration, documents. Each install names its
# component, which is the Debian package it goes into (TlcPackages.cmake).

set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# Files below /etc. Elsewhere than in packages, which ask before they replace one, that would undo what was changed.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(TLC_INSTALL_CONFIGURATION ON)
endif()

# tlc_man_pages(COMPONENT FILE...): compressed, into the section that the file's name ends with
function(tlc_man_pages component)
  foreach(page ${ARGN})
    get_filename_component(name ${page} NAME)
    string(REGEX REPLACE ".*\\." "" section ${name})
    set(packed ${PROJECT_BINARY_DIR}/man/${name}.gz)
    add_custom_command(OUTPUT ${packed} DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${page}
                       COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
                       COMMAND gzip -9nc ${CMAKE_CURRENT_SOURCE_DIR}/${page} > ${packed} VERBATIM)
    add_custom_target(man-${name} ALL DEPENDS ${packed})
    install(FILES ${packed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
  endforeach()
endfunction()

# tlc_completion(COMPONENT FILE...): for bash; a file has its command's name
function(tlc_completion component)
  install(FILES ${ARGN} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT ${component})
endfunction()

# tlc_documents(COMPONENT FILE...): into the package's directory below share/doc
function(tlc_documents component)
  install(FILES ${ARGN} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${component} COMPONENT ${component})
endfunction()

file(GLOB documents ${PROJECT_SOURCE_DIR}/tlc-engine/docs/*.md)
tlc_documents(tlc CHANGELOG.md ${documents})
# The example names the built-in paths, which depend on the prefix.
file(READ examples/tlc.toml example)
string(REPLACE "/usr/local/" "${CMAKE_INSTALL_PREFIX}/" example "${example}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/examples/tlc.toml CONTENT "${example}" @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/examples/tlc.toml examples/udev/70-tlc.rules
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/tlc/examples COMPONENT tlc)
if(TLC_INSTALL_CONFIGURATION)
  install(FILES ${PROJECT_BINARY_DIR}/examples/tlc.toml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/tlc COMPONENT tlc)
endif()
