# Debian's packages of CAF 0.17 come without a CMake package.
#   CAF::core CAF::io CAF::openssl, CAF_VERSION
include(FindPackageHandleStandardArgs)
find_package(Threads REQUIRED)

find_path(CAF_INCLUDE_DIR caf/config.hpp)
set(CAF_required CAF_INCLUDE_DIR)
foreach(part core io openssl)
  find_library(CAF_${part}_LIBRARY caf_${part})
  list(APPEND CAF_required CAF_${part}_LIBRARY)
endforeach()

# CAF says 1706 for 0.17.6.
if(CAF_INCLUDE_DIR)
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" CAF_version_line REGEX "^#define CAF_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+$" CAF_number "${CAF_version_line}")
  if(CAF_number)
    math(EXPR CAF_major "${CAF_number} / 10000")
    math(EXPR CAF_minor "${CAF_number} / 100 % 100")
    math(EXPR CAF_patch "${CAF_number} % 100")
    set(CAF_VERSION "${CAF_major}.${CAF_minor}.${CAF_patch}")
  endif()
endif()

find_package_handle_standard_args(CAF REQUIRED_VARS ${CAF_required} VERSION_VAR CAF_VERSION)
mark_as_advanced(CAF_INCLUDE_DIR CAF_core_LIBRARY CAF_io_LIBRARY CAF_openssl_LIBRARY)

if(CAF_FOUND AND NOT TARGET CAF::core)
  foreach(part core io openssl)
    add_library(CAF::${part} SHARED IMPORTED)
    set_target_properties(CAF::${part} PROPERTIES
      IMPORTED_LOCATION "${CAF_${part}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}")
  endforeach()
  target_link_libraries(CAF::core INTERFACE Threads::Threads)
  target_link_libraries(CAF::io INTERFACE CAF::core)
  target_link_libraries(CAF::openssl INTERFACE CAF::io)
endif()
