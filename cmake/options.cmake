# Compiler options, as a target that every library and program of ours links to.

add_library(cloister_options INTERFACE)
target_compile_definitions(cloister_options INTERFACE _GNU_SOURCE)
target_compile_options(cloister_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
  -fstack-protector-strong -fno-strict-overflow -fno-common)
target_include_directories(cloister_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/core)
if(CLOISTER_WERROR)
  target_compile_options(cloister_options INTERFACE -Werror)
endif()
if(CLOISTER_SANITIZE)
  target_compile_options(cloister_options INTERFACE
    -fsanitize=${CLOISTER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(cloister_options INTERFACE -fsanitize=${CLOISTER_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(cloister_options INTERFACE _FORTIFY_SOURCE=2)
endif()
if(CLOISTER_FUZZ)
  target_compile_options(cloister_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CLOISTER_COVERAGE)
  target_compile_options(cloister_options INTERFACE --coverage -O0)
  target_link_options(cloister_options INTERFACE --coverage)
endif()
# Sanitizers and coverage make system calls of their own; a build that is not for them must not allow them.
set(_extra OFF)
if(CLOISTER_SANITIZE OR CLOISTER_COVERAGE)
  set(_extra ON)
endif()
option(CLOISTER_FILTER_EXTRA "Allow the processes the system calls that only sanitizers and coverage need" ${_extra})
target_link_options(cloister_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

# cloister_library(name SOURCES ... USES ...): a static library of one layer, named cloister_<name>.
function(cloister_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_library(cloister_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(cloister_${name} PUBLIC cloister_options ${ARG_USES})
endfunction()
