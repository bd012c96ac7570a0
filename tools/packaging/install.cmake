# What `cmake --install` and the packages hold: libinlay0 (the runtime), libinlay-dev (headers, the static library, the
# files for CMake and pkg-config) and inlay (the command and the converter's library).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/inlay)

install(TARGETS inlay_runtime EXPORT inlayTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development)
install(TARGETS inlay_runtime_static EXPORT inlayTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY engine/include/inlay DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT inlayTargets NAMESPACE inlay:: DESTINATION ${package_dir} COMPONENT development)
if(TARGET inlay_converter_shared)
  install(TARGETS inlay_converter_shared EXPORT inlayConverterTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT tools NAMELINK_COMPONENT tools)
  install(DIRECTORY converter/include/inlay DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT tools)
  install(EXPORT inlayConverterTargets NAMESPACE inlay:: DESTINATION ${package_dir} COMPONENT tools)
endif()
if(TARGET inlay)
  install(TARGETS inlay RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
endif()

set(packaging ${CMAKE_CURRENT_SOURCE_DIR}/tools/packaging)
configure_package_config_file(${packaging}/inlayConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/inlayConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/inlayConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/inlayConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/inlayConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)
list(JOIN picture_flags " " pictures_of_pc)
file(RELATIVE_PATH prefix_of_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${packaging}/inlay.pc.in ${CMAKE_CURRENT_BINARY_DIR}/inlay.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/inlay.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR Inlay)
set(CPACK_PACKAGE_CONTACT "The Inlay authors <inlay@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Neural network inference engine")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL runtime development)
if(TARGET inlay)
  list(APPEND CPACK_COMPONENTS_ALL tools)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_CURRENT_BINARY_DIR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libinlay${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libinlay-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libinlay${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), libc6-dev")
if(INLAY_IMAGE_DECODER)  # what the static library is linked with
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "libjpeg-dev, libpng-dev, libwebp-dev, libtiff-dev, libopenjp2-7-dev")
endif()
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME inlay)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION science)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "libinlay${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})")
include(CPack)
