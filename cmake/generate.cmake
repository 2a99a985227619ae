# Sources made from data: migrations/*.sql, management-tools/<family>/*.json and web/pages/*. The generator is CMake script,
# so that the server builds without node.
set(GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${GENERATED_DIR})

file(GLOB migration_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/migrations/*.sql)
set(GENERATED_MIGRATIONS ${GENERATED_DIR}/migrations.c)
add_custom_command(OUTPUT ${GENERATED_MIGRATIONS}
  COMMAND ${CMAKE_COMMAND} -DOUT=${GENERATED_MIGRATIONS} -DDIR=${CMAKE_SOURCE_DIR}/migrations
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_migrations.cmake
  DEPENDS ${migration_files} ${CMAKE_SOURCE_DIR}/cmake/embed_migrations.cmake VERBATIM)

file(GLOB_RECURSE tool_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/management-tools/*.json)
set(GENERATED_TOOLS ${GENERATED_DIR}/tools.c)
add_custom_command(OUTPUT ${GENERATED_TOOLS}
  COMMAND ${CMAKE_COMMAND} -DOUT=${GENERATED_TOOLS} -DDIR=${CMAKE_SOURCE_DIR}/management-tools
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_tools.cmake
  DEPENDS ${tool_files} ${CMAKE_SOURCE_DIR}/cmake/embed_tools.cmake VERBATIM)

file(GLOB page_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/pages/*)
set(GENERATED_PAGES ${GENERATED_DIR}/pages.c)
add_custom_command(OUTPUT ${GENERATED_PAGES}
  COMMAND ${CMAKE_COMMAND} -DOUT=${GENERATED_PAGES} -DDIR=${CMAKE_SOURCE_DIR}/web/pages
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_pages.cmake
  DEPENDS ${page_files} ${CMAKE_SOURCE_DIR}/cmake/embed_pages.cmake VERBATIM)

add_custom_target(tulle_generated DEPENDS ${GENERATED_MIGRATIONS} ${GENERATED_TOOLS} ${GENERATED_PAGES})
