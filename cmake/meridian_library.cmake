# SPDX-License-Identifier: Apache-2.0
# meridian_library(NAME fhir FLOOR 2 USES base store text [LIBRARIES third-party …])
#
# Makes the static library of one room out of every .cpp below its folder, and its test binary `<room>_test` out of every
# *_test.cpp. A room may use only rooms of a lower floor; the same rule is checked include by include by tools/check_floors.py.
# A sub-folder with its own meridian_library call is left to that call.

add_library(meridian_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_precompile_headers(meridian_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.hpp)
target_link_libraries(meridian_pch PUBLIC fmt::fmt Threads::Threads)

function(meridian_use_pch TARGET)
  target_precompile_headers(${TARGET} REUSE_FROM meridian_pch)
  target_link_libraries(${TARGET} PRIVATE meridian_pch)
endfunction()

# The tests of a program that work on a store, once more with the record in PostgreSQL: in tables that are whole, and for IN_SHARDS also
# in hash partitions, and on a Citus cluster where that extension is installed (else they end with 77, which is "skipped").
function(meridian_tests_on_postgres NAME PROGRAM FILTER)
  set(LAYOUTS "postgres:whole")
  if("IN_SHARDS" IN_LIST ARGN)
    list(APPEND LAYOUTS "partitions:partitions 8" "citus:citus 4")
  endif()
  foreach(LAYOUT IN LISTS LAYOUTS)
    string(REGEX REPLACE ":.*" "" KIND ${LAYOUT})
    string(REGEX REPLACE "^[a-z]*:" "" LAYOUT ${LAYOUT})
    add_test(NAME ${NAME}_${KIND} COMMAND ${PROGRAM} --gtest_brief=1 --gtest_filter=${FILTER})
    set_tests_properties(${NAME}_${KIND} PROPERTIES TIMEOUT ${MERIDIAN_TEST_SECONDS_MAX} SKIP_RETURN_CODE 77
      ENVIRONMENT "MERIDIAN_TEST_STORE=postgres;MERIDIAN_TEST_LAYOUT=${LAYOUT}")
  endforeach()
endfunction()

function(meridian_library)
  cmake_parse_arguments(ROOM "" "NAME;FLOOR;TESTS_ON_POSTGRES;TESTS_IN_SHARDS" "USES;LIBRARIES;TEST_LIBRARIES" ${ARGN})
  set_property(GLOBAL PROPERTY MERIDIAN_FLOOR_${ROOM_NAME} ${ROOM_FLOOR})
  foreach(USED IN LISTS ROOM_USES)
    get_property(USED_FLOOR GLOBAL PROPERTY MERIDIAN_FLOOR_${USED})
    if("${USED_FLOOR}" STREQUAL "")
      message(FATAL_ERROR "room ${ROOM_NAME} uses ${USED}, which is not defined before it: rooms are added in order of their floors")
    endif()
    if(NOT USED_FLOOR LESS ROOM_FLOOR)
      message(FATAL_ERROR "room ${ROOM_NAME} (floor ${ROOM_FLOOR}) may not use ${USED} (floor ${USED_FLOOR}): includes go down only")
    endif()
  endforeach()

  file(GLOB_RECURSE SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(TESTS ${SOURCES})
  list(FILTER TESTS INCLUDE REGEX "_test\\.cpp$")
  list(FILTER SOURCES EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER SOURCES EXCLUDE REGEX "/main\\.cpp$")
  if(NOT SOURCES)
    message(STATUS "room ${ROOM_NAME} holds no source yet")
    set(SOURCES ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
  endif()

  add_library(meridian_${ROOM_NAME} STATIC ${SOURCES})
  target_include_directories(meridian_${ROOM_NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ROOM_USES PREPEND meridian_ OUTPUT_VARIABLE USED_TARGETS)
  target_link_libraries(meridian_${ROOM_NAME} PUBLIC ${USED_TARGETS} fmt::fmt Threads::Threads PRIVATE ${ROOM_LIBRARIES})
  meridian_use_pch(meridian_${ROOM_NAME})

  if(TESTS AND NOT MERIDIAN_FUZZ)
    find_package(GTest REQUIRED)
    add_executable(${ROOM_NAME}_test ${TESTS})
    target_link_libraries(${ROOM_NAME}_test PRIVATE meridian_${ROOM_NAME} GTest::gtest GTest::gtest_main rapidcheck ${ROOM_LIBRARIES} ${ROOM_TEST_LIBRARIES})
    target_compile_definitions(${ROOM_NAME}_test PRIVATE MERIDIAN_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    meridian_use_pch(${ROOM_NAME}_test)
    add_test(NAME ${ROOM_NAME} COMMAND ${ROOM_NAME}_test --gtest_brief=1)
    set_tests_properties(${ROOM_NAME} PROPERTIES TIMEOUT ${MERIDIAN_TEST_SECONDS_MAX})
    if(ROOM_TESTS_ON_POSTGRES)
      meridian_tests_on_postgres(${ROOM_NAME} ${ROOM_NAME}_test ${ROOM_TESTS_ON_POSTGRES} ${ROOM_TESTS_IN_SHARDS})
    endif()
  endif()
endfunction()
