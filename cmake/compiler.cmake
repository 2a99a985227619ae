# Warnings, hardening and sanitizers: one place for every compiler flag.
add_library(tulle_flags INTERFACE)
target_compile_options(tulle_flags INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wundef -Wcast-qual -Wformat=2 -Wno-unused-command-line-argument -Werror
  -include ${CMAKE_SOURCE_DIR}/src/base/banned.h>
  -fno-omit-frame-pointer)
target_compile_definitions(tulle_flags INTERFACE _GNU_SOURCE TULLE_VERSION="${PROJECT_VERSION}"
  $<$<CONFIG:Debug>:TULLE_DEBUG=1>)

if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SANITIZE)
  target_compile_options(tulle_flags INTERFACE -O2 -g1 -fstack-protector-strong -fstack-clash-protection -fPIE
    $<$<COMPILE_LANGUAGE:C>:-D_FORTIFY_SOURCE=3>)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(tulle_flags INTERFACE -fcf-protection)
  endif()
  # Libraries are bound when the program starts (now): a call through the procedure linkage table would be a detour.
  target_compile_options(tulle_flags INTERFACE -fno-plt)
  target_link_options(tulle_flags INTERFACE -pie -Wl,-z,relro,-z,now)
  # A call runs through a hundred small functions in as many files: linked as one text they take a fifteenth fewer instructions.
  include(CheckIPOSupported)
  check_ipo_supported(RESULT HAS_IPO OUTPUT IPO_REFUSED LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${HAS_IPO})
endif()
if(WITH_FUZZ AND CMAKE_C_COMPILER_ID MATCHES "Clang")
  target_compile_options(tulle_flags INTERFACE -fsanitize=fuzzer-no-link) # else libFuzzer sees no coverage
endif()
if(SANITIZE STREQUAL "address")
  target_compile_options(tulle_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(tulle_flags INTERFACE -fsanitize=address,undefined)
elseif(SANITIZE STREQUAL "thread")
  target_compile_options(tulle_flags INTERFACE -fsanitize=thread)
  target_link_options(tulle_flags INTERFACE -fsanitize=thread)
endif()
