# The Debian package, by CPack: ./run deb.
#
# Everything that has words of the option table in it is printed by the program just built, in an
# empty environment, so that the package cannot disagree with the program. Two builds of one commit
# give the same bytes in whatever folder: times are those of the commit (SOURCE_DATE_EPOCH, set by
# ./run, as is the umask), and paths are cut off below.

include(GNUInstallDirs)

# The linker too: it compiles again when it optimises across files, and even where paths are
# stripped the number of the build was computed from them.
set(path_cuts "-ffile-prefix-map=${PROJECT_BINARY_DIR}=build"
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
target_compile_options(migchat_flags INTERFACE ${path_cuts})
target_link_options(migchat_flags INTERFACE ${path_cuts})

# A release is a commit with its version's tag; others sort before it, and among them by time.
execute_process(COMMAND git -C "${PROJECT_SOURCE_DIR}" tag --points-at HEAD
                        --list "v${PROJECT_VERSION}"
                OUTPUT_VARIABLE release_tag OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
string(TIMESTAMP commit_time "%Y%m%d%H%M%S" UTC)
if(release_tag)
  set(package_version "${PROJECT_VERSION}")
else()
  set(package_version "${PROJECT_VERSION}~git${commit_time}.${MIGCHAT_COMMIT}")
endif()

# --- files ---------------------------------------------------------------------------------------

set(made "${PROJECT_BINARY_DIR}/package")
file(MAKE_DIRECTORY "${made}")

# package_text(file command...): what `migchat-server command...` prints.
function(package_text file)
  add_custom_command(
    OUTPUT "${made}/${file}"
    COMMAND env -i "$<TARGET_FILE:migchat-server>" --config= ${ARGN} > "${made}/${file}"
    DEPENDS migchat-server VERBATIM)
  set_property(GLOBAL APPEND PROPERTY MIGCHAT_PACKAGE_FILES "${made}/${file}")
endfunction()

# package_gzip(file from): without name and time.
function(package_gzip file from)
  add_custom_command(OUTPUT "${made}/${file}" COMMAND gzip -9nc "${from}" > "${made}/${file}"
                     DEPENDS "${from}" VERBATIM)
  set_property(GLOBAL APPEND PROPERTY MIGCHAT_PACKAGE_FILES "${made}/${file}")
endfunction()

package_text(migchat-server.1 docs man)
package_text(bash docs bash)
package_text(zsh docs zsh)
package_text(fish docs fish)
# Two settings are this package's own: the database where the service may write, and no port open to
# the internet before there is a proxy with TLS.
package_text(migchat.conf docs conf --db=/var/lib/migchat/migchat.db --listen=127.0.0.1)
package_gzip(migchat-server.1.gz "${made}/migchat-server.1")

set(CPACK_PACKAGE_CONTACT "MigChat contributors <migchat@users.noreply.github.com>")
string(TIMESTAMP commit_day "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${made}/changelog"
"migchat-server (${package_version}-1) stable; urgency=medium

  * Built from commit ${MIGCHAT_COMMIT}; what changed is told by its history.

 -- ${CPACK_PACKAGE_CONTACT}  ${commit_day}
")
package_gzip(changelog.Debian.gz "${made}/changelog")

# The unit and what its variant has more, as one file.
set(ACTIVATED "${made}/migchat-activated.service")
include("${PROJECT_SOURCE_DIR}/deploy/activated.cmake")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/deploy/migchat.service"
  "${PROJECT_SOURCE_DIR}/deploy/migchat-activated.conf")

get_property(package_files GLOBAL PROPERTY MIGCHAT_PACKAGE_FILES)
add_custom_target(package_files ALL DEPENDS ${package_files})

# package_install(file folder name)
function(package_install file folder name)
  install(FILES "${file}" DESTINATION "${folder}" RENAME "${name}"
          PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endfunction()

set(deploy "${PROJECT_SOURCE_DIR}/deploy")
install(TARGETS migchat-server RUNTIME DESTINATION bin)
package_install("${made}/migchat-server.1.gz" share/man/man1 migchat-server.1.gz)
package_install("${made}/bash" share/bash-completion/completions migchat-server)
package_install("${made}/zsh" share/zsh/vendor-completions _migchat-server)
package_install("${made}/fish" share/fish/vendor_completions.d migchat-server.fish)
package_install("${made}/changelog.Debian.gz" share/doc/migchat-server changelog.Debian.gz)
package_install("${deploy}/debian/copyright" share/doc/migchat-server copyright)
package_install("${deploy}/grafana-dashboard.json" share/doc/migchat-server/examples
  grafana-dashboard.json)
package_install("${deploy}/sysusers.conf" lib/sysusers.d migchat.conf)
package_install("${deploy}/migchat.service" lib/systemd/system migchat.service)
package_install("${deploy}/migchat.socket" lib/systemd/system migchat.socket)
package_install("${deploy}/migchat-server-backup.service" lib/systemd/system
  migchat-server-backup.service)
package_install("${deploy}/migchat-server-backup.timer" lib/systemd/system
  migchat-server-backup.timer)
install(PROGRAMS "${deploy}/backup-keep" DESTINATION libexec/migchat-server)
package_install("${made}/migchat-activated.service" lib/systemd/system migchat-activated.service)
package_install("${made}/migchat.conf" /etc/migchat migchat.conf)

# --- the package ---------------------------------------------------------------------------------

file(WRITE "${made}/conffiles" "/etc/migchat/migchat.conf\n")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON) # for what is not below the prefix: /etc
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME migchat-server)
set(CPACK_PACKAGE_VERSION "${package_version}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "self-hosted server for direct messages")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"MigChat is one program with one database file. Accounts send each other
messages over HTTP and JSON; what was answered is on disk, and nothing is lost
or doubled. It takes the place of the Rust MigChat server: same routes, same
clients, and that server's database file is adopted.

The package starts it on 127.0.0.1, port 3000, as a systemd service that may
write nothing but its database; put a proxy with TLS before it. Settings are
in /etc/migchat/migchat.conf.")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${made}/conffiles"
  "${deploy}/debian/postinst" "${deploy}/debian/prerm" "${deploy}/debian/postrm")
include(CPack)
