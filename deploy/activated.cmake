# activated.cmake - makes the unit behind migchat.socket of the other one: ACTIVATED is the file
# to write. Included by package.cmake, and run by test/deploy with cmake -P.
#
# Later lines win over earlier ones, but dependencies only add up (systemd.unit(5)), so what is for
# the other unit alone is left out.
get_filename_component(units "${CMAKE_CURRENT_LIST_FILE}" DIRECTORY)
file(READ "${units}/migchat.service" service)
file(READ "${units}/migchat-activated.conf" more)
string(REGEX REPLACE "# Not of migchat-activated[.]service, from here\n.*# to here[.]\n" ""
  shared "${service}")
if(shared STREQUAL service)
  message(FATAL_ERROR "migchat.service has no part that is its own")
endif()
file(WRITE "${ACTIVATED}" "${shared}${more}")
