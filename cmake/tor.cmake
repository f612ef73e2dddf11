# SPDX-License-Identifier: BSD-3-Clause
#
# The embedded Tor: builds libtor.a from upstream source and offers it as tor::tor.
#
# Where the source comes from, first match wins:
#   1. -DTOR_SOURCE=PATH     a release tarball or an unpacked release
#   2. apt                   the source package of the distribution, its signature checked by apt
#   3. TOR_URL               upstream's tarball, checked against TOR_SHA256
#
# Why at configure time and not in the build: every preset (release, asan, ...) links the same
# library, none of our flags apply to it, and it takes a minute. So it is built once into
# TOR_CACHE_DIR, a directory all binary directories share, under a name that holds the version and a
# hash of everything that shapes the result. A later configure finds it there and does nothing. A
# lock makes two configures at once wait for each other instead of building it twice.
#
# To take a newer source from apt or to start over: remove TOR_CACHE_DIR.
#
# Only the client is built: no relay, no directory authority. What is switched off below would
# otherwise be picked up from whatever happens to be installed, and then be missing at link time.

include_guard(GLOBAL)

set(TOR_SOURCE "$ENV{TOR_SOURCE}" CACHE PATH "Tor's source: a release tarball or directory")
set(TOR_CACHE_DIR "${PROJECT_SOURCE_DIR}/build/tor" CACHE PATH "Where libtor is built and kept")
set(TOR_PINNED_VERSION 0.4.9.11 CACHE STRING "Version of the tarball behind TOR_URL")
set(TOR_SHA256 2e6c1720118c812acf0079fd47cf91b6bfaba5d766c321c4d3d2a28d6a11a8ed
    CACHE STRING "SHA-256 of the tarball behind TOR_URL")
set(TOR_URL "https://dist.torproject.org/tor-${TOR_PINNED_VERSION}.tar.gz"
    CACHE STRING "Upstream's tarball, used where apt has none")
mark_as_advanced(TOR_CACHE_DIR TOR_PINNED_VERSION TOR_SHA256 TOR_URL)

set(TOR_MINIMUM_VERSION 0.4.9)
set(_tor_here "${CMAKE_CURRENT_LIST_DIR}")

set(TOR_CONFIGURE_FLAGS
    --disable-module-relay --disable-module-dirauth --disable-unittests
    --disable-asciidoc --disable-manpage --disable-html-manual
    --disable-system-torrc --enable-pic --disable-dependency-tracking
    --disable-lzma --disable-zstd --disable-libscrypt --disable-systemd)
# Sections, so that our link can drop what a client never calls.
set(TOR_CFLAGS "-O2 -g1 -ffunction-sections -fdata-sections")

set(_tor_advice
    "Give a Tor release yourself with -DTOR_SOURCE=/path/to/tor-X.Y.Z.tar.gz (or the unpacked "
    "directory), version ${TOR_MINIMUM_VERSION} or newer, from https://dist.torproject.org/")

function(tor_fail)
  string(CONCAT text ${ARGN})
  string(CONCAT advice ${_tor_advice})
  message(FATAL_ERROR "${text}${advice}")
endfunction()

# The last lines of a log, for a message.
function(tor_log_tail file out)
  set(text "")
  if(EXISTS "${file}")
    file(STRINGS "${file}" lines)
    list(LENGTH lines count)
    if(count GREATER 25)
      math(EXPR from "${count} - 25")
      list(SUBLIST lines ${from} 25 lines)
    endif()
    list(JOIN lines "\n  " text)
  endif()
  set(${out} "  ${text}\n  (all of it: ${file})" PARENT_SCOPE)
endfunction()

# Version of an unpacked release, or an empty string if it is none.
function(tor_source_version dir out)
  set(${out} "" PARENT_SCOPE)
  if(NOT EXISTS "${dir}/src/feature/api/tor_api.h" OR NOT EXISTS "${dir}/configure.ac")
    return()
  endif()
  file(STRINGS "${dir}/configure.ac" line REGEX "^AC_INIT\\(" LIMIT_COUNT 1)
  if(line MATCHES "\\[tor\\],[ ]*\\[([0-9][^]]*)\\]")
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
  endif()
endfunction()

# Version in a tarball's file name: tor-0.4.9.11.tar.gz, tor_0.4.9.11.orig.tar.gz.
function(tor_tarball_version file out)
  get_filename_component(name "${file}" NAME)
  set(${out} "" PARENT_SCOPE)
  if(name MATCHES "^tor[-_]([0-9]+\\.[0-9]+\\.[0-9]+(\\.[0-9]+)?(-[a-z]+[-a-z0-9]*)?)(\\.orig)?\\.tar")
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
  endif()
endfunction()

# A tarball from apt, kept in TOR_CACHE_DIR/source; empty if there is none to be had.
function(tor_source_from_apt out)
  set(${out} "" PARENT_SCOPE)
  find_program(TOR_APT_GET apt-get)
  mark_as_advanced(TOR_APT_GET)
  if(NOT TOR_APT_GET)
    return()
  endif()
  message(STATUS "Tor: asking apt for the source package")
  set(log "${TOR_CACHE_DIR}/apt.log")
  execute_process(
    COMMAND sh "${_tor_here}/tor-source-apt.sh" "${TOR_CACHE_DIR}/source"
    RESULT_VARIABLE status OUTPUT_VARIABLE tarball ERROR_FILE "${log}"
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    tor_log_tail("${log}" tail)
    message(WARNING "Tor: apt has no source package for it:\n${tail}")
    return()
  endif()
  tor_tarball_version("${tarball}" version)
  if(version VERSION_LESS TOR_MINIMUM_VERSION)
    message(WARNING "Tor: apt's source is ${version}, older than ${TOR_MINIMUM_VERSION}")
    file(REMOVE "${tarball}")
    return()
  endif()
  set(${out} "${tarball}" PARENT_SCOPE)
endfunction()

# Upstream's tarball by its checksum. The name is not published before the checksum was seen.
function(tor_source_from_url out)
  if(NOT TOR_SHA256 MATCHES "^[0-9a-f]+$")
    tor_fail("TOR_SHA256 is empty or no checksum, so ${TOR_URL} cannot be trusted.\n")
  endif()
  message(STATUS "Tor: fetching ${TOR_URL}")
  set(tarball "${TOR_CACHE_DIR}/source/tor-${TOR_PINNED_VERSION}.tar.gz")
  file(DOWNLOAD "${TOR_URL}" "${tarball}.part" TLS_VERIFY ON INACTIVITY_TIMEOUT 30 TIMEOUT 600
       STATUS status)
  list(GET status 0 code)
  if(NOT code EQUAL 0)
    file(REMOVE "${tarball}.part")
    list(GET status 1 reason)
    tor_fail("Tor's source is missing: ${TOR_URL} cannot be fetched (${reason}).\n")
  endif()
  file(SHA256 "${tarball}.part" got)
  if(NOT got STREQUAL TOR_SHA256)
    file(REMOVE "${tarball}.part")
    tor_fail("Tor's source is wrong: ${TOR_URL} has SHA-256\n  ${got}\nbut should have\n"
             "  ${TOR_SHA256}\n")
  endif()
  file(RENAME "${tarball}.part" "${tarball}")
  set(${out} "${tarball}" PARENT_SCOPE)
endfunction()

# Sets `out` to the tarball or directory to build from.
function(tor_find_source out)
  if(TOR_SOURCE)
    if(NOT EXISTS "${TOR_SOURCE}")
      tor_fail("TOR_SOURCE=${TOR_SOURCE} does not exist.\n")
    endif()
    file(REAL_PATH "${TOR_SOURCE}" path)
    set(${out} "${path}" PARENT_SCOPE)
    return()
  endif()
  file(GLOB kept "${TOR_CACHE_DIR}/source/tor[-_]*.tar.*")
  list(FILTER kept EXCLUDE REGEX "\\.part$")
  if(kept)
    list(SORT kept COMPARE NATURAL ORDER DESCENDING)
    list(GET kept 0 tarball)
  else()
    file(MAKE_DIRECTORY "${TOR_CACHE_DIR}/source")
    tor_source_from_apt(tarball)
    if(NOT tarball)
      tor_source_from_url(tarball)
    endif()
  endif()
  set(${out} "${tarball}" PARENT_SCOPE)
endfunction()

# Builds `source` and puts libtor.a, tor_api.h and LICENSE into `prefix`, which appears whole or not
# at all.
function(tor_build source prefix)
  set(work "${prefix}.work")
  file(REMOVE_RECURSE "${work}")
  file(MAKE_DIRECTORY "${work}/build" "${work}/out/lib" "${work}/out/include")
  if(IS_DIRECTORY "${source}")
    set(dir "${source}")
  else()
    # Keeps the time stamps of the tarball: without them make would ask for automake.
    file(MAKE_DIRECTORY "${work}/source")
    execute_process(COMMAND ${CMAKE_COMMAND} -E tar xf "${source}" WORKING_DIRECTORY "${work}/source"
                    RESULT_VARIABLE status ERROR_VARIABLE errors)
    if(NOT status EQUAL 0)
      tor_fail("${source} cannot be unpacked:\n  ${errors}")
    endif()
    file(GLOB dir LIST_DIRECTORIES true "${work}/source/*")
  endif()

  tor_source_version("${dir}" version)
  if(NOT version)
    tor_fail("${source} is no Tor release: it has no src/feature/api/tor_api.h.\n")
  elseif(version VERSION_LESS TOR_MINIMUM_VERSION)
    tor_fail("${source} is Tor ${version}, but Cloister needs ${TOR_MINIMUM_VERSION} or newer.\n")
  elseif(NOT EXISTS "${dir}/configure")
    tor_fail("${source} has no configure script: run its ./autogen.sh first.\n")
  elseif(EXISTS "${dir}/config.status")
    tor_fail("${source} was configured in place, which would spoil a build beside it: "
             "run make distclean there first.\n")
  endif()

  find_program(TOR_MAKE NAMES gmake make)
  mark_as_advanced(TOR_MAKE)
  if(NOT TOR_MAKE)
    message(FATAL_ERROR "Building Tor needs make: install it, or run ./run deps")
  endif()
  cmake_host_system_information(RESULT jobs QUERY NUMBER_OF_LOGICAL_CORES)
  # Neither the user's flags nor those of a make that runs us are meant for this build.
  set(clean ${CMAKE_COMMAND} -E env --unset=CFLAGS --unset=CPPFLAGS --unset=LDFLAGS
      --unset=MAKEFLAGS --unset=MFLAGS --unset=MAKELEVEL)
  message(STATUS "Tor: building libtor ${version}, once for all presets (about a minute)")

  set(log "${TOR_CACHE_DIR}/configure.log")
  execute_process(
    COMMAND ${clean} "${dir}/configure" ${TOR_CONFIGURE_FLAGS} ${_tor_host}
            "CC=${_tor_cc}" "CFLAGS=${TOR_CFLAGS}"
    WORKING_DIRECTORY "${work}/build"
    RESULT_VARIABLE status OUTPUT_FILE "${log}" ERROR_FILE "${log}")
  if(NOT status EQUAL 0)
    tor_log_tail("${log}" tail)
    message(FATAL_ERROR "Tor's configure failed:\n${tail}")
  endif()

  set(log "${TOR_CACHE_DIR}/make.log")
  execute_process(
    COMMAND ${clean} "${TOR_MAKE}" -j${jobs} libtor.a
    WORKING_DIRECTORY "${work}/build"
    RESULT_VARIABLE status OUTPUT_FILE "${log}" ERROR_FILE "${log}")
  if(NOT status EQUAL 0)
    tor_log_tail("${log}" tail)
    message(FATAL_ERROR "Tor's make libtor.a failed:\n${tail}")
  endif()

  tor_hide_symbols("${work}" "${work}/out/lib/libtor.a")
  file(COPY_FILE "${dir}/src/feature/api/tor_api.h" "${work}/out/include/tor_api.h")
  file(COPY_FILE "${dir}/LICENSE" "${work}/out/LICENSE")
  tor_check("${work}/out" "${version}")
  file(REMOVE_RECURSE "${prefix}")
  file(RENAME "${work}/out" "${prefix}")
  file(REMOVE_RECURSE "${work}")
endfunction()

# Tor has 4900 global names, some of them ours too (siphash24, sha3_256): the linker would refuse them, or bind
# a call of Tor's to a function of ours. So all of it is linked into one object that shows its API only.
function(tor_hide_symbols work library)
  find_program(TOR_OBJCOPY NAMES "${CMAKE_OBJCOPY}" objcopy)
  find_program(TOR_AR NAMES "${CMAKE_AR}" ar)
  mark_as_advanced(TOR_OBJCOPY TOR_AR)
  set(api tor_api_get_provider_version tor_main_configuration_new tor_main_configuration_set_command_line
      tor_main_configuration_setup_control_socket tor_main_configuration_free tor_run_main)
  list(TRANSFORM api PREPEND "-Wl,-u," OUTPUT_VARIABLE wanted)
  list(TRANSFORM api PREPEND "--keep-global-symbol=" OUTPUT_VARIABLE kept)
  execute_process(COMMAND ${_tor_cc} -r -nostdlib ${wanted} "${work}/build/libtor.a" -o "${work}/all.o"
                  COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND "${TOR_OBJCOPY}" ${kept} "${work}/all.o" "${work}/tor.o" COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND "${TOR_AR}" rcs "${library}" "${work}/tor.o" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# A program of a few lines links against it and says the version we think it is.
function(tor_check out version)
  set(libs "")
  foreach(module IN ITEMS TOR_EVENT TOR_SSL TOR_ZLIB TOR_SECCOMP TOR_CAP)
    list(APPEND libs ${${module}_LDFLAGS})
  endforeach()
  set(program "${out}/../check")
  execute_process(
    COMMAND ${_tor_cc} -o "${program}" "${_tor_here}/tor-check.c" "-I${out}/include"
            "${out}/lib/libtor.a" ${libs} -lm -pthread
    RESULT_VARIABLE status ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "libtor does not link:\n${errors}")
  endif()
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  execute_process(COMMAND "${program}" RESULT_VARIABLE status OUTPUT_VARIABLE says)
  if(NOT status EQUAL 0 OR NOT says MATCHES "Tor version ${version}")
    message(FATAL_ERROR "libtor should say it is Tor ${version}; it ended with ${status}:\n${says}")
  endif()
endfunction()

# What Tor is linked with. Asked for first: nobody should wait a minute to learn of a missing header.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(pair IN ITEMS EVENT:libevent SSL:libssl>=1.1.1,libcrypto ZLIB:zlib SECCOMP:libseccomp CAP:libcap)
  string(REPLACE ":" ";" pair "${pair}")
  list(GET pair 0 name)
  list(GET pair 1 modules)
  string(REPLACE "," ";" modules "${modules}")
  pkg_check_modules(TOR_${name} QUIET IMPORTED_TARGET ${modules})
  if(NOT TOR_${name}_FOUND)
    message(FATAL_ERROR "Tor needs the development files of ${modules}; ./run deps installs them "
                        "(Debian: libevent-dev libssl-dev zlib1g-dev libseccomp-dev libcap-dev)")
  endif()
endforeach()

# The presets differ in compiler and flags; the library must not, or it would be built again for
# each. Only a cross build has a compiler of its own.
set(_tor_cc cc)
set(_tor_host "")
if(CMAKE_CROSSCOMPILING)
  set(_tor_cc "${CMAKE_C_COMPILER}")
  execute_process(COMMAND "${CMAKE_C_COMPILER}" -dumpmachine OUTPUT_VARIABLE _tor_machine
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(_tor_host "--host=${_tor_machine}")
endif()

function(tor_provide)
  file(MAKE_DIRECTORY "${TOR_CACHE_DIR}")
  file(LOCK "${TOR_CACHE_DIR}/lock" GUARD FUNCTION TIMEOUT 900 RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "Another configure holds ${TOR_CACHE_DIR}/lock (${status})")
  endif()
  tor_find_source(source)

  # A tarball is known by its content, a directory by where it is and what release it holds.
  if(IS_DIRECTORY "${source}")
    tor_source_version("${source}" version)
    set(identity "${source}")
  else()
    tor_tarball_version("${source}" version)
    file(SHA256 "${source}" identity)
  endif()
  if(NOT version)
    set(version unknown)
  endif()
  set(flags api-only ${identity} ${TOR_CONFIGURE_FLAGS} ${_tor_host} ${TOR_CFLAGS} ${CMAKE_HOST_SYSTEM_PROCESSOR})
  string(SHA256 key "${flags}")
  string(SUBSTRING "${key}" 0 12 key)
  set(prefix "${TOR_CACHE_DIR}/${version}-${key}")
  if(NOT EXISTS "${prefix}/lib/libtor.a")
    tor_build("${source}" "${prefix}")
  endif()

  add_library(tor::tor STATIC IMPORTED GLOBAL)
  set_target_properties(tor::tor PROPERTIES
    IMPORTED_LOCATION "${prefix}/lib/libtor.a"
    INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include"
    INTERFACE_LINK_OPTIONS "-Wl,--gc-sections")
  target_link_libraries(tor::tor INTERFACE
    PkgConfig::TOR_EVENT PkgConfig::TOR_SSL PkgConfig::TOR_ZLIB PkgConfig::TOR_SECCOMP
    PkgConfig::TOR_CAP Threads::Threads m)
  set(TOR_VERSION "${version}" PARENT_SCOPE)
  set(TOR_LICENSE_FILE "${prefix}/LICENSE" PARENT_SCOPE)
  message(STATUS "Tor: ${version} from ${prefix}")
endfunction()

# Sets TOR_VERSION and TOR_LICENSE_FILE (to be installed with the binary that contains Tor).
tor_provide()
