# FindWSLAY - WebSocket frames, as target wslay::wslay. Debian's package has no file for pkg-config.

find_path(WSLAY_INCLUDE_DIR wslay/wslay.h)
find_library(WSLAY_LIBRARY wslay)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(WSLAY REQUIRED_VARS WSLAY_LIBRARY WSLAY_INCLUDE_DIR)

if(WSLAY_FOUND AND NOT TARGET wslay::wslay)
  add_library(wslay::wslay UNKNOWN IMPORTED)
  set_target_properties(wslay::wslay PROPERTIES
    IMPORTED_LOCATION "${WSLAY_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${WSLAY_INCLUDE_DIR}")
endif()
