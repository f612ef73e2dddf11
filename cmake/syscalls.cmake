# Collects what is allowed to whom from the comments beside the code that needs it, and writes it down as C tables:
#
#     cmake -DROOT=... -DOUT=... -DEXTRA=ON|OFF -P syscalls.cmake
#
# A declaration is a comment that stands on one line of its own, anywhere in a source file:
#
#     /* syscalls gateway: connect sendto socket(AF_UNIX,SOCK_STREAM|SOCK_CLOEXEC,_) */
#
# The word after "syscalls" is a role of core/daemon/filter.h, `all` for every role, or `extra` for what only sanitizers
# and coverage need. A call may have conditions in brackets, without blanks: for each argument a constant expression
# that its 32 low bits must equal, or one with `!` before it of whose bits it must have none, or `_`. A call that is named several times is allowed if any of them fits.

cmake_minimum_required(VERSION 3.25)

set(roles gateway supervisor keeper tor)
foreach(role IN LISTS roles)
  set(plain_${role} "")       # calls without conditions
  set(conditional_${role} "") # calls with some
  set(table_${role} "")
  set(seen_${role} "")
endforeach()

# Put one call into one role's table.
macro(allow role entry where)
  if(NOT "${entry}" IN_LIST seen_${role})
    list(APPEND seen_${role} "${entry}")
    set(arguments "")
    if(entry MATCHES "^([a-z0-9_]+)\\((.*)\\)$")
      set(call "${CMAKE_MATCH_1}")
      string(REPLACE "," ";" conditions "${CMAKE_MATCH_2}")
      set(index 0)
      set(count 0)
      foreach(condition IN LISTS conditions)
        if(condition MATCHES "^!(.+)$")
          string(APPEND arguments "{${index}, (uint32_t)(${CMAKE_MATCH_1}), 0}, ")
          math(EXPR count "${count} + 1")
        elseif(NOT condition STREQUAL "_")
          string(APPEND arguments "{${index}, ~0u, (uint32_t)(${condition})}, ")
          math(EXPR count "${count} + 1")
        endif()
        math(EXPR index "${index} + 1")
      endforeach()
      list(APPEND conditional_${role} "${call}")
      string(APPEND table_${role} "    {\"${call}\", ${count}, {${arguments}}}, /* ${where} */\n")
    elseif(entry MATCHES "^[a-z0-9_]+$")
      list(APPEND plain_${role} "${entry}")
      string(APPEND table_${role} "    {\"${entry}\", 0, {{0, 0, 0}}}, /* ${where} */\n")
    else()
      message(FATAL_ERROR "${where}: \"${entry}\" is no system call")
    endif()
  endif()
endmacro()

file(GLOB sources RELATIVE "${ROOT}" "${ROOT}/core/*/*.c" "${ROOT}/tun/*.c" "${ROOT}/socks/*.c" "${ROOT}/dns/*.c")
list(SORT sources)
foreach(source IN LISTS sources)
  file(STRINGS "${ROOT}/${source}" lines REGEX "/\\* syscalls ")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^ */\\* syscalls ([a-z]+): ([^*]*[^* ]) \\*/$")
      message(FATAL_ERROR "${source}: not understood: ${line}")
    endif()
    set(who "${CMAKE_MATCH_1}")
    string(REPLACE " " ";" entries "${CMAKE_MATCH_2}")
    if(who STREQUAL "all")
      set(for ${roles})
    elseif(who STREQUAL "extra")
      set(for "")
      if(EXTRA)
        set(for ${roles})
      endif()
    elseif(who IN_LIST roles)
      set(for ${who})
    else()
      message(FATAL_ERROR "${source}: no such role: ${who}")
    endif()
    foreach(entry IN LISTS entries)
      foreach(role IN LISTS for)
        allow(${role} "${entry}" "${source}")
      endforeach()
    endforeach()
  endforeach()
endforeach()

set(text "/* Written by cmake/syscalls.cmake from the declarations in the sources. */\n#include \"daemon/filter_rules.h\"\n\n")
foreach(role IN LISTS roles)
  # What is allowed without conditions makes a condition elsewhere void, and whoever wrote it should know. For
  # sanitizers everything is allowed with less care.
  foreach(call IN LISTS conditional_${role})
    if(call IN_LIST plain_${role} AND NOT EXTRA)
      message(FATAL_ERROR "${call} is allowed to ${role} with conditions in one place and without in another")
    endif()
  endforeach()
  string(APPEND text "const struct filter_rule filter_rules_${role}[] = {\n${table_${role}}    {NULL, 0, {{0, 0, 0}}},\n};\n\n")
endforeach()
file(CONFIGURE OUTPUT "${OUT}" CONTENT "${text}" @ONLY)
