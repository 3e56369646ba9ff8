set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POLICY_DEFAULT_CMP0167 NEW) # newer CMakes take Boost's own package

option(MARU_TESTS "Build the tests" ON)
option(MARU_FUZZ "Build the fuzz targets; needs clang" OFF)
option(MARU_WERROR "Warnings are errors" OFF)
set(MARU_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

# Programs stand at the top of the build folder: build/release/maru.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths within the checkout are made relative, so that all checkouts share what was compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${CCACHE}")
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wnon-virtual-dtor)
if(MARU_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

if(MARU_SANITIZE)
  add_compile_options(-fsanitize=${MARU_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # CAF binds a reference to null on each spawn of a function without arguments.
  add_compile_options(-fno-sanitize=null)
  add_link_options(-fsanitize=${MARU_SANITIZE})
endif()

# A folder of the house: one static library, one alias, includes from the root.
function(maru_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;PRIVATE" ${ARGN})
  add_library(maru_${name} STATIC ${arg_SOURCES})
  add_library(maru::${name} ALIAS maru_${name})
  target_include_directories(maru_${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  target_link_libraries(maru_${name} PUBLIC ${arg_USES} PRIVATE ${arg_PRIVATE})
endfunction()
