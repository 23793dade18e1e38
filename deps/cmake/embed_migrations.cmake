# embed_migrations - turns src/store/sqlite/migrations/NNNN_name.sql into one C file.
#
# cmake -DOUTPUT=file.c "-DINPUTS=a.sql;b.sql" -P embed_migrations.cmake
#
# The C file defines migration_list and migration_count as src/store/sqlite/migrate.h declares them.
# Numbers must run 1, 2, 3, … without a gap: a gap is a file that somebody forgot to commit.

list(SORT INPUTS)
set(entries "")
set(expected 1)
foreach(input IN LISTS INPUTS)
  get_filename_component(file "${input}" NAME_WE)
  if(NOT file MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
    message(FATAL_ERROR "${input}: a migration is called NNNN_name.sql")
  endif()
  set(number "${CMAKE_MATCH_1}")
  set(name "${CMAKE_MATCH_2}")
  string(REGEX REPLACE "^0+" "" number "${number}")
  if(NOT number EQUAL expected)
    message(FATAL_ERROR "${input}: expected migration number ${expected}")
  endif()
  math(EXPR expected "${expected} + 1")

  # One C string per line of SQL. The ; of SQL would split a CMake list, so it is never made one.
  file(READ "${input}" sql)
  string(REPLACE "\\" "\\\\" sql "${sql}")
  string(REPLACE "\"" "\\\"" sql "${sql}")
  string(REGEX REPLACE "\n$" "" sql "${sql}")
  string(REPLACE "\n" "\\n\"\n     \"" sql "${sql}")
  string(APPEND entries "    {${number}, \"${name}\",\n     \"${sql}\\n\"},\n")
endforeach()
if(expected EQUAL 1)
  message(FATAL_ERROR "no migration to embed")
endif()
math(EXPR count "${expected} - 1")

file(WRITE "${OUTPUT}.new"
"/* Made by deps/cmake/embed_migrations.cmake from src/store/sqlite/migrations. */
#include \"store/sqlite/migrate.h\"

const struct migration migration_list[] = {
${entries}};

const size_t migration_count = ${count};
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
