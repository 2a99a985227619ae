# Makes OUT, a C file with the templates and assets of DIR (declared in auth/page_files.h). A template begins with
#   <!-- title: Sign in -->
#   <!-- values: error email csrf_token -->
# and may use the listed names only, each section closed by its own end. @access.part@ is replaced by that file, a piece of several
# templates. @style.css@ becomes the address of that asset, which has
# the digest of its content in its name. The bytes are written as numbers, so nothing in the text needs escaping.
cmake_minimum_required(VERSION 3.25)

function(c_bytes file_or_text is_text out)
  if(is_text)
    string(HEX "${file_or_text}" bytes)
  else()
    file(READ "${file_or_text}" bytes HEX)
  endif()
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  set(${out} "${bytes}" PARENT_SCOPE)
endfunction()

# Fails unless the tags of a template are of its own list and its sections are nested properly.
function(check_tags name text values)
  string(REGEX MATCHALL "{{[^}]*}}" tags "${text}")
  set(open "")
  foreach(tag IN LISTS tags)
    if(NOT tag MATCHES "^{{([#^/]?)([a-z_]+)}}$")
      message(FATAL_ERROR "${name}: ${tag} is no tag")
    endif()
    set(kind "${CMAKE_MATCH_1}")
    set(value "${CMAKE_MATCH_2}")
    if(NOT value IN_LIST values)
      message(FATAL_ERROR "${name}: ${tag} is not in its list of values")
    endif()
    if(kind STREQUAL "#" OR kind STREQUAL "^")
      list(APPEND open ${value})
    elseif(kind STREQUAL "/")
      list(POP_BACK open last)
      if(NOT last STREQUAL value)
        message(FATAL_ERROR "${name}: ${tag} ends ${last}")
      endif()
    endif()
  endforeach()
  if(open)
    message(FATAL_ERROR "${name}: never ended: ${open}")
  endif()
endfunction()

set(arrays "")
set(assets "")
set(pages "")
set(count 0)
file(GLOB asset_files ${DIR}/*.css ${DIR}/*.js ${DIR}/*.svg)
list(SORT asset_files)
foreach(file IN LISTS asset_files)
  get_filename_component(name "${file}" NAME)
  get_filename_component(stem "${file}" NAME_WE)
  get_filename_component(extension "${file}" EXT)
  file(SHA256 "${file}" digest)
  string(SUBSTRING "${digest}" 0 16 digest)
  set(hashed "${stem}.${digest}${extension}")
  set("address_${name}" "/assets/${hashed}")
  if(extension STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  else()
    set(type "image/svg+xml")
  endif()
  c_bytes("${file}" FALSE bytes)
  string(APPEND arrays "static const unsigned char bytes_${count}[] = {\n${bytes}0x00};\n")
  string(APPEND assets "    {\"${hashed}\", \"${type}\", {(const char *)bytes_${count}, sizeof bytes_${count} - 1}},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(GLOB part_files ${DIR}/*.part)
file(GLOB page_files ${DIR}/*.html)
list(SORT page_files)
foreach(file IN LISTS page_files)
  get_filename_component(name "${file}" NAME_WE)
  file(READ "${file}" text)
  foreach(part IN LISTS part_files)
    get_filename_component(part_name "${part}" NAME)
    file(READ "${part}" part_text)
    string(REPLACE "@${part_name}@\n" "${part_text}" text "${text}")
  endforeach()
  # Characters that CMake's lists would take for their own.
  string(REPLACE "[" "&#91;" text "${text}")
  string(REPLACE "]" "&#93;" text "${text}")
  if(NOT text MATCHES "^<!-- title: ([^\n\"\\]*) -->\n<!-- values: ([a-z_ ]*) -->\n")
    message(FATAL_ERROR "${name}.html: expected a title and a list of values on its first two lines")
  endif()
  set(title "${CMAKE_MATCH_1}")
  set(values "${CMAKE_MATCH_2}")
  string(LENGTH "${CMAKE_MATCH_0}" head)
  string(SUBSTRING "${text}" ${head} -1 text)
  string(REPLACE " " ";" value_list "${values}")
  check_tags("${name}.html" "${text}" "${value_list}")
  foreach(asset IN LISTS asset_files)
    get_filename_component(asset "${asset}" NAME)
    string(REPLACE "@${asset}@" "${address_${asset}}" text "${text}")
  endforeach()
  c_bytes("${text}" TRUE bytes)
  string(APPEND arrays "static const unsigned char bytes_${count}[] = {\n${bytes}0x00};\n")
  string(APPEND pages "    {\"${name}\", \"${title}\", \"${values}\", {(const char *)bytes_${count}, sizeof bytes_${count} - 1}},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(WRITE ${OUT}.new "/* Made by cmake/embed_pages.cmake from web/pages. */
#include \"auth/page_files.h\"

${arrays}
const struct page_file page_files[] = {
${pages}};
const size_t n_page_files = sizeof page_files / sizeof *page_files;

const struct page_asset page_assets[] = {
${assets}};
const size_t n_page_assets = sizeof page_assets / sizeof *page_assets;
")
file(RENAME ${OUT}.new ${OUT})
