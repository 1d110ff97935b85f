#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Man pages name exactly what the programs know: options, commands, configuration keys, exit codes.
# Needs TLC_BUILD, the CMake build directory.

setup() {
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  bin=${TLC_BUILD:?set TLC_BUILD to the CMake build directory}/bin
  for name in tlc-restart tlc-run tlc-engine; do "$bin/$name" --version; done
  pages=("$root"/restart-tools/man/* "$root"/tlc-engine/man/* "$root"/spank-plugin/man/*)
  restart=$root/restart-tools/man/tlc-restart.1
  engine=$root/tlc-engine/man/tlc-engine.1
  run_page=$root/tlc-engine/man/tlc-run.1
  plugin=$root/spank-plugin/man/spank_tlc.8
  config_page=$root/tlc-engine/man/tlc.toml.5
}

same() { # same NAME-A A NAME-B B: two lists of words, in any order
  diff --label "$1" --label "$3" -U 1 <(sort -u <<<"$2") <(sort -u <<<"$4")
}

# Long options, as a program's help and as a page names them.
helped() { "$@" --help | sed -nE 's/^  +(-[^ {]*).*/\1/p' | tr , '\n' | grep '^--'; }
described() { grep '^\.It Fl' "$1" | grep -oE 'Fl -[a-z-]+' | sed 's/Fl -/--/' | sort -u; }
commands() { "$1" --help | sed -n '/^Subcommands:/,$s/^  \([a-z]*\) .*/\1/p'; }
described_commands() { grep -oE '^\.It Cm [a-z]+' "$1" | cut -d' ' -f3; }

@test "tlc-restart: commands and options" {
  local all command
  all=$(helped "$bin/tlc-restart")
  for command in $(commands "$bin/tlc-restart"); do all+=$'\n'$(helped "$bin/tlc-restart" "$command"); done
  same program "$all" page "$(described "$restart")"
  same program "$(commands "$bin/tlc-restart")" page "$(described_commands "$restart")"
}

@test "tlc-engine: commands and options" {
  local all command
  all=$(helped "$bin/tlc-engine")
  for command in $(commands "$bin/tlc-engine"); do all+=$'\n'$(helped "$bin/tlc-engine" "$command"); done
  same program "$all" page "$(described "$engine")"
  same program "$(commands "$bin/tlc-engine")" page "$(described_commands "$engine")"
}

@test "each option's description says which commands have it" {
  local page program command option said
  for page in "$restart" "$engine"; do
    program=$bin/$(basename "$page" .1)
    for command in $(commands "$program"); do
      for option in $(helped "$program" "$command" | grep -v -- --help); do
        # --json and --sequence of tlc-restart mean the same in each.
        [ "$program $option" != "$bin/tlc-restart --json" ] && [ "$program $option" != "$bin/tlc-restart --sequence" ] || continue
        said=$(grep -A 1 -E "^\.It Fl ${option#-}( |\$)" "$page" | tail -n 1)
        grep -qE "^\.Cm ([a-z]+ , )*$command( |\$)" <<<"$said" || { echo "$(basename "$page"): $option: $command is not in \"$said\""; return 1; }
      done
    done
  done
}

@test "tlc-run: options" {
  same program "$(helped "$bin/tlc-run")" page "$(described "$run_page")"
}

@test "tlc-guest-image: options" {
  same program "$(helped "$bin/tlc-guest-image")" page "$(described "$root/tlc-engine/man/tlc-guest-image.1")"
}

@test "the plugin: options, environment, arguments in plugstack.conf" {
  local table variables page arguments
  table=$("$bin/tlc-run" --help | grep -oE '^  --vm-[a-z-]+' | tr -d ' ')
  same program "$table" page "$(described "$plugin")"
  variables=$("$bin/tlc-run" --help | grep -oE 'TLC_VM_[A-Z_]+')
  for page in "$plugin" "$run_page"; do
    same program "$variables" "$page" "$(grep -oE 'Ev TLC_VM_[A-Z_]+' "$page" | cut -d' ' -f2)"
  done
  arguments=$(sed -nE '/key == |argument == /s/"([a-z]+=?[a-z]*)"/\n\1\n/gp' "$root/spank-plugin/arguments.cpp" | grep -E '^[a-z]+(=[a-z]+)?$')
  same program "$arguments" page "$(grep -oE '^\.It Cm [a-z]+=[a-z]*' "$plugin" | cut -d' ' -f3 | sed 's/=$//')"
}

@test "tlc.toml: keys, in page, example and program" {
  local known page example printed
  known=$(grep -oE '"[a-z]+\.[a-z_]+"' "$root/tlc-engine/src/tlc/config/load.cpp" | tr -d '"')
  page=$(awk '/^\.Ss \[/ { table = substr($2, 2, length($2) - 2) } /^\.It Ic/ { print table "." $3 }' "$config_page")
  same program "$known" page "$page"
  sed -E 's/^#([a-z_]+ = )/\1/' "$root/examples/tlc.toml" >"$BATS_TEST_TMPDIR/all.toml"
  example=$(awk '/^\[/ { table = substr($1, 2, length($1) - 2) } /^[a-z_]+ = / { print table "." $1 }' "$BATS_TEST_TMPDIR/all.toml")
  same program "$known" example "$example"
  run "$bin/tlc-run" --check-config --config "$BATS_TEST_TMPDIR/all.toml"
  printed=$(awk '/^\[/ { table = substr($1, 2, length($1) - 2) } /^[a-z_]+ = / { print table "." $1 }' <<<"$output")
  same program "$known" --check-config "$printed"
}

@test "exit codes" {
  local codes page
  codes=$(sed -n '/^enum class ErrorKind/,/^}/s/.* = \([0-9]*\),/\1/p' "$root/tlc-engine/src/tlc/base/result.hpp")
  for page in "$restart" "$engine"; do
    same program "$codes"$'\n'0 "$page" "$(grep -oE '^\.It [0-9]+' "$page" | cut -d' ' -f2)"
  done
  for code in $codes; do sed -n '/^\.Sh EXIT/,$p' "$run_page" | grep -q "\b$code [a-z]"; done
}

@test "no page makes mandoc, groff or man complain" {
  local page
  for page in "${pages[@]}"; do
    run mandoc -T lint -W warning "$page"
    echo "$output"
    [ -z "$output" ]
    run groff -ww -mdoc -Tutf8 -z "$page"
    echo "$output"
    [ -z "$output" ]
    [ "$(head -n 1 "$page")" = '.\" SPDX-License-Identifier: GPL-2.0-or-later' ]
    command -v man >/dev/null || continue
    run env MANPAGER=cat MANWIDTH=80 man --warnings -l "$page"
    [ "$status" = 0 ]
    ! grep -iE 'warning|error: ' <<<"$output" | grep "$(basename "$page"):"
  done
}

@test "pages refer to pages there are" {
  local page name section
  for page in "${pages[@]}"; do
    while read -r _ name section _; do
      [[ $name == tlc* || $name == spank_tlc ]] || continue
      compgen -G "$root/*/man/$name.$section" >/dev/null || { echo "$(basename "$page"): $name($section)"; return 1; }
    done < <(grep '^\.Xr' "$page")
  done
}
