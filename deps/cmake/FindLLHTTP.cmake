# FindLLHTTP - the HTTP tokenizer, static, as target llhttp::llhttp.
#
# Debian 13: libllhttp-dev, through pkg-config. Debian 12: deps/fetch-llhttp puts it into
# build/llhttp, which every build folder shares. Static in both cases: the binary is copied to
# servers, and Debian 12 has no package that one could depend on there.

set(LLHTTP_FETCHED "${PROJECT_SOURCE_DIR}/build/llhttp")

pkg_check_modules(LLHTTP_SYSTEM QUIET "libllhttp>=9.2.1")
if(LLHTTP_SYSTEM_FOUND)
  set(LLHTTP_VERSION "${LLHTTP_SYSTEM_VERSION}")
  pkg_get_variable(LLHTTP_HEADER_FOLDER libllhttp includedir)
  pkg_get_variable(LLHTTP_LIBRARY_FOLDER libllhttp libdir)
else()
  if(NOT EXISTS "${LLHTTP_FETCHED}/version")
    message(STATUS "Fetching llhttp into build/llhttp")
    execute_process(COMMAND "${PROJECT_SOURCE_DIR}/deps/fetch-llhttp" "${LLHTTP_FETCHED}"
                    COMMAND_ERROR_IS_FATAL ANY)
  endif()
  file(STRINGS "${LLHTTP_FETCHED}/version" LLHTTP_VERSION)
  set(LLHTTP_HEADER_FOLDER "${LLHTTP_FETCHED}/include")
  set(LLHTTP_LIBRARY_FOLDER "${LLHTTP_FETCHED}/lib")
endif()

find_path(LLHTTP_INCLUDE_DIR llhttp.h HINTS "${LLHTTP_HEADER_FOLDER}")
find_library(LLHTTP_LIBRARY libllhttp.a HINTS "${LLHTTP_LIBRARY_FOLDER}")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LLHTTP REQUIRED_VARS LLHTTP_LIBRARY LLHTTP_INCLUDE_DIR
                                  VERSION_VAR LLHTTP_VERSION)

if(LLHTTP_FOUND AND NOT TARGET llhttp::llhttp)
  add_library(llhttp::llhttp STATIC IMPORTED)
  set_target_properties(llhttp::llhttp PROPERTIES
    IMPORTED_LOCATION "${LLHTTP_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LLHTTP_INCLUDE_DIR}")
endif()
mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_LIBRARY)
