# Makes OUT, a C file holding every migrations/NNNN_name.sql of DIR in order, as declared in
# src/store/migrate_files.h. The bytes are written as numbers, so nothing in the SQL needs escaping.
cmake_minimum_required(VERSION 3.25)

file(GLOB files ${DIR}/*.sql)
list(SORT files)
set(arrays "")
set(rows "")
set(count 0)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  if(NOT name MATCHES "^[0-9][0-9][0-9][0-9]_[a-z0-9_]+\\.sql$")
    message(FATAL_ERROR "${name}: a migration is named NNNN_name.sql")
  endif()
  file(READ "${file}" bytes HEX)
  if(bytes MATCHES "^(..)*00")
    message(FATAL_ERROR "${name}: holds a NUL byte")
  endif()
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char sql_${count}[] = {\n${bytes}0x00};\n")
  string(APPEND rows "    {\"${name}\", (const char *)sql_${count}},\n")
  math(EXPR count "${count} + 1")
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "no migrations in ${DIR}")
endif()

file(WRITE "${OUT}" "/* Made by cmake/embed_migrations.cmake. */
#include \"store/migrate_files.h\"

${arrays}
const struct migration migrations[] = {
${rows}};
const size_t n_migrations = sizeof migrations / sizeof *migrations;
")
