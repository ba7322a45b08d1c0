# SPDX-License-Identifier: Apache-2.0
# The allocator of programs that serve, load or are measured. Index rows are made by one thread and freed by another, which glibc's malloc
# pays for with locks and scattered memory: an import takes a sixth less time with jemalloc. Sanitizers bring their own.
add_library(meridian_allocator INTERFACE)
if(NOT MERIDIAN_SANITIZE)
  pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
  target_link_libraries(meridian_allocator INTERFACE PkgConfig::JEMALLOC)
endif()
