# Reads the C++ of the house and tells what breaks its rules. Called by `check`, which sets `allow`.

BEGIN {
  may["base"] = "base"
  may["config"] = "base config"
  may["storage"] = "base config storage"
  may["llm"] = "base config llm"
  may["actors"] = "base config storage llm actors"
  may["net"] = "base config actors net"
  may["app"] = "base config storage llm actors net app"
  may["tests"] = may["app"] " tests"
  while ((getline line < allow) > 0) {
    if (line ~ /^#/ || line ~ /^[ \t]*$/) continue
    split(line, word, " ")
    excused[word[1], word[2]] = 1
  }
}

function has(list, name) { return index(" " list " ", " " name " ") > 0 }

# A file, or the folder it stands in, is on the list for this rule.
function is_excused(rule,   path) {
  path = FILENAME
  while (path != "") {
    if ((rule, path) in excused) return 1
    if (path !~ /\/./) return 0
    sub(/[^\/]+\/?$/, "", path)
  }
  return 0
}

function tell(rule, message) {
  if (is_excused(rule)) return
  printf "%s:%d: %s [%s]\n", FILENAME, FNR, message, rule
  bad = 1
}

# The line without comments and without what stands in quotes.
function code_of(line,   out, i, c, two, rest, close_at) {
  out = ""
  i = 1
  while (i <= length(line)) {
    rest = substr(line, i)
    if (raw_end != "") {
      close_at = index(rest, raw_end)
      if (close_at == 0) return out
      i += close_at - 1 + length(raw_end)
      raw_end = ""
      continue
    }
    if (in_comment) {
      close_at = index(rest, "*/")
      if (close_at == 0) return out
      i += close_at + 1
      in_comment = 0
      continue
    }
    c = substr(rest, 1, 1)
    two = substr(rest, 1, 2)
    if (two == "//") return out
    if (two == "/*") { in_comment = 1; i += 2; continue }
    if (two == "R\"" && out !~ /[A-Za-z0-9_]$/) {
      close_at = index(rest, "(")
      raw_end = ")" substr(rest, 3, close_at - 3) "\""
      out = out "\"\""
      i += close_at
      continue
    }
    if (c == "\"" || (c == "'" && out !~ /[A-Za-z0-9_]$/)) {
      out = out c c
      for (i++; i <= length(line) && substr(line, i, 1) != c; i++)
        if (substr(line, i, 1) == "\\") i++
      i++
      continue
    }
    out = out c
    i++
  }
  return out
}

function check_include(line,   to, text) {
  if (line !~ /^[ \t]*#[ \t]*include/) return
  if (line ~ /caf\/all\.hpp/) tell("include", "caf/all.hpp costs seconds in every file; include what is used")
  if (line ~ /boost\/(beast|asio)/ && !has("net llm tests", folder))
    tell("include", "Beast and Asio live in net/ and llm/")
  if (line ~ /[<"]sqlite3\.h[>"]/ && !has("storage tests", folder)) tell("include", "SQLite lives in storage/")
  if (!match(line, /"[a-z_]+\//)) return
  to = substr(line, RSTART + 1, RLENGTH - 2)
  if (to in may && !has(may[folder], to)) tell("include", folder "/ may not include " to "/; it may use: " may[folder])
}

function check_clock(code) {
  if (folder != "actors" && folder != "tests") return
  if (code ~ /(system_clock|steady_clock::now|high_resolution_clock|sleep_for|sleep_until|usleep|nanosleep|gettimeofday|clock_gettime|std::time[^a-z_]|_clock::now)/)
    tell("clock", "no wall clock and no sleeping here: take a maru::clock, or wait for what is to happen")
}

# 1000 and 1'000'000 as a step between units are no bounds.
function check_number(code,   rest, number, before) {
  if (folder != "actors" && folder != "net") return
  rest = code
  before = ""
  while (match(rest, /[0-9][0-9']*/)) {
    number = substr(rest, RSTART, RLENGTH)
    before = substr(rest, 1, RSTART - 1)
    rest = substr(rest, RSTART + RLENGTH)
    if (before ~ /[A-Za-z0-9_.]$/ || rest ~ /^[xXbB.]/) { sub(/^[xXbB.'A-Fa-f0-9]+/, "", rest); continue }
    gsub(/'/, "", number)
    if (number + 0 < 1000) continue
    if ((number == "1000" || number == "1000000") && before ~ /[*\/%] *$/) continue
    tell("number", number " is a bound without a name; give it one in config/limits.hpp")
  }
}

FNR == 1 {
  folder = FILENAME
  sub(/\/.*/, "", folder)
  in_comment = 0
  raw_end = ""
  guarded = FILENAME !~ /\.hpp$/
  if (!guarded && $0 == "#pragma once") guarded = 1
}

{
  if (/\t/) tell("tab", "a tab; indent with spaces")
  was_raw = raw_end != ""
  code = code_of($0)
  if (!was_raw) check_include($0)
  check_clock(code)
  check_number(code)
  if (FNR == 601) tell("length", "more than 600 lines; divide it")
  if (!guarded && /^#pragma once/) guarded = 1
  if (!guarded && code ~ /^(namespace|#include|template|class|struct)/) {
    tell("guard", "a header begins with #pragma once")
    guarded = 1
  }
}

END { exit bad }
