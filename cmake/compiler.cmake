# SPDX-License-Identifier: Apache-2.0
# One set of flags for every target, so that one precompiled header serves them all.

set(CMAKE_CXX_FLAGS_DEV "-O1 -g1 -fno-omit-frame-pointer" CACHE STRING "flags of the Dev build type" FORCE)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG" CACHE STRING "flags of the Release build type" FORCE)

# Some packages ask for -pthread; everywhere the same, or the precompiled header does not fit.
add_compile_options(-pthread)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Werror=unused-result -Wno-gnu-statement-expression)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # TRY is a GNU statement expression; g++ has no flag that allows just that one extension.
  add_compile_options(-Wno-pedantic)
  # Known false alarms of g++ 12 at -O1 and above (GCC PR 105329, 105651, 80635).
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized)
  add_compile_options(-fpch-preprocess)
else()
  add_compile_options(-Wno-gnu-statement-expression-from-macro-expansion)
  # std::stable_sort of libstdc++ 12 calls what is deprecated, under a pragma that clang forgets in a precompiled header.
  add_compile_options(-Wno-deprecated-declarations)
endif()

# How long the tests of one room may take; a sanitizer makes them five to fifteen times slower.
set(MERIDIAN_TEST_SECONDS_MAX 1200)
if(MERIDIAN_SANITIZE)
  set(MERIDIAN_TEST_SECONDS_MAX 7200)
  add_compile_options(-fsanitize=${MERIDIAN_SANITIZE} -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${MERIDIAN_SANITIZE})
  if(MERIDIAN_FUZZ)
    set(MERIDIAN_FUZZ_LINK -fsanitize=fuzzer)
  endif()
endif()

find_program(MOLD mold)
if(MOLD)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_link_options(-fuse-ld=mold)
  else()
    add_link_options(--ld-path=${MOLD})
  endif()
endif()
set_property(GLOBAL PROPERTY JOB_POOLS link=1)
set(CMAKE_JOB_POOL_LINK link)

# Debian has Boost 1.74 as its default; only 1.81 is supported here.
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
