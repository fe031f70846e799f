# What is installed beside the program, and the Debian package: cpack -G DEB (ci/package).
include(GNUInstallDirs)

find_program(SCDOC scdoc)
if(SCDOC)
  set(manual ${CMAKE_BINARY_DIR}/manual)
  file(GLOB manual_texts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*)
  add_custom_command(OUTPUT ${manual}/hsmith.1.gz
    COMMAND ${CMAKE_SOURCE_DIR}/docs/man/make $<TARGET_FILE:hsmith> ${manual}
    DEPENDS hsmith ${manual_texts} ${CMAKE_SOURCE_DIR}/README.md)
  add_custom_target(manual DEPENDS ${manual}/hsmith.1.gz)
  install(DIRECTORY ${manual}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
endif()

set(completions ${CMAKE_BINARY_DIR}/completions)
add_custom_command(OUTPUT ${completions}/hsmith
  COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}
  COMMAND $<TARGET_FILE:hsmith> completion bash > ${completions}/hsmith
  COMMAND $<TARGET_FILE:hsmith> completion zsh > ${completions}/_hsmith
  COMMAND $<TARGET_FILE:hsmith> completion fish > ${completions}/hsmith.fish
  DEPENDS hsmith)
add_custom_target(completions DEPENDS ${completions}/hsmith)
install(FILES ${completions}/hsmith DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions OPTIONAL)
install(FILES ${completions}/_hsmith DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions OPTIONAL)
install(FILES ${completions}/hsmith.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d OPTIONAL)

file(GLOB guides CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
# The pages of docs/ come to stand beside the README: what they and it say of each other's places is set right.
set(pages ${CMAKE_BINARY_DIR}/pages)
file(REMOVE_RECURSE ${pages})
foreach(page README.md ${guides})
  file(READ ${page} text)
  get_filename_component(name ${page} NAME)
  string(REGEX REPLACE "([(`]|-f )docs/" "\\1" text "${text}")
  string(REPLACE "](../README.md" "](README.md" text "${text}")
  file(WRITE ${pages}/${name} "${text}")
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS README.md ${guides})
install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES docs/archive-roles.sql docs/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ci docs/schema DESTINATION ${CMAKE_INSTALL_DOCDIR})
execute_process(COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/docs/debian/changelog OUTPUT_FILE ${CMAKE_BINARY_DIR}/changelog.gz
  COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME hsmith)
set(CPACK_PACKAGE_CONTACT "The authors of hsmith <hsmith@example.invalid>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Libraries that are loaded when they are needed.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libsqlite3-0, libidn2-0")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "p11-kit-modules, libengine-pkcs11-openssl")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "softhsm2, opensc-pkcs11, ykcs11")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "keys that live on PKCS#11 devices and never leave them")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Makes keys on smart cards, HSMs and SoftHSM, asks for their certificates,
installs what the authority issues, signs, decrypts, renews and backs them up,
and keeps people's encryption keys for recovery by agents with smart cards.
A name that matches several things is an error, and nothing succeeds before
its result was read back and checked.")
include(CPack)
