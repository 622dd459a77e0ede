#!/bin/bash
# Installs into an empty folder, then builds the program of attend.h's own comment against it: shared and static, with
# pkg-config and with CMake, also after the folder has been moved; and as C++ and strict C.
# usage: test_install.sh PROGRAM (of the build folder that is installed)
attend=$1
. "$(dirname "$0")/../cli/common.sh"
build_dir=${AT_BUILD_DIR:-$(dirname "$attend")}
need_model

checks=$((checks + 1))
if ! cmake --install "$build_dir" --prefix "$work/first" >"$work/out" 2>"$work/err"; then
    complain "cmake --install fails"
    finish
fi
mv "$work/first" "$work/prefix" # a package may be moved

for file in bin/attend include/attend.h; do
    holds [ -f "$work/prefix/$file" ]
done
holds [ "$(find "$work/prefix/include" -type f | wc -l)" = 1 ]
pc=$(dirname "$(find "$work/prefix" -name attend.pc)")
holds [ -f "$pc/attend.pc" ]
libraries=$(dirname "$(find "$work/prefix" -name libattend.a)")
export PKG_CONFIG_PATH="$pc${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"

# The program is what stands in the header's comment, with this model.
sed -n '/#include <attend.h>/,/^ \* Text /p' "$work/prefix/include/attend.h" | sed '/^ \* Text /d; s/^ \* *//' \
    >"$work/embed.c"
holds grep -q 'int main(void)' "$work/embed.c"
sed -i.bak "s#models/tatoeba-en-zh#$model#; s#Tom chases Jerry.#tom sees the cat .#" "$work/embed.c"
want=$("$attend" translate --model "$model" "tom sees the cat .")

# The sanitizers' runtime must be in the program too when it is in the library.
extra=$(sed -n 's/^SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$build_dir/CMakeCache.txt")
cc=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build_dir/CMakeCache.txt")
cc=${cc:-cc}

# says NAME: the program NAME translates.
says() {
    checks=$((checks + 1))
    LD_LIBRARY_PATH="$libraries" DYLD_LIBRARY_PATH="$libraries" "$work/$1" >"$work/out" 2>"$work/err" ||
        complain "$1 fails"
    [ "$(cat "$work/out")" = "$want" ] || complain "$1 does not say '$want'"
}

# shellcheck disable=SC2046,SC2086
holds "$cc" -std=c11 -pedantic-errors -Wall -Wextra -Werror $extra "$work/embed.c" -o "$work/shared" \
    $(pkg-config --cflags --libs attend)
says shared
if command -v ldd >/dev/null 2>&1; then
    holds sh -c "LD_LIBRARY_PATH='$libraries' ldd '$work/shared' | grep -q libattend"
fi
mkdir "$work/only"
cp "$libraries/libattend.a" "$work/only/"
# shellcheck disable=SC2046,SC2086
holds "$cc" -std=c11 $extra "$work/embed.c" -o "$work/static" $(pkg-config --cflags attend) -L"$work/only" \
    $(pkg-config --static --libs attend | tr ' ' '\n' | grep -v "^-L$work")
says static
if command -v ldd >/dev/null 2>&1; then
    holds sh -c "! ldd '$work/static' | grep -q libattend"
fi

# Only what attend.h declares can be seen from outside.
if command -v nm >/dev/null 2>&1 && [ -f "$libraries/libattend.so" ] && [ -z "$extra" ]; then
    nm -D --defined-only "$libraries/libattend.so" | awk '{ print $3 }' | sed 's/@.*//' |
        grep -vE '^(_init|_fini|_edata|_end|__bss_start)$' | sort >"$work/seen"
    grep -oE 'at_[a-z_]+\(' "$work/prefix/include/attend.h" | tr -d '(' | sort -u >"$work/declared"
    checks=$((checks + 1))
    extra_symbols=$(comm -23 "$work/seen" "$work/declared")
    [ -z "$extra_symbols" ] || complain "symbols beyond attend.h: $(echo $extra_symbols | head -c 300)"
    holds [ "$(wc -l <"$work/seen")" -ge 8 ]
fi

# C++ may use it.
if command -v c++ >/dev/null 2>&1; then
    cat >"$work/embed.cc" <<'END'
#include <attend.h>
int main()
{
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    at_open_options open = AT_OPEN_DEFAULTS;
    at_view_options view = AT_VIEW_DEFAULTS;
    at_translator *translator = nullptr;
    return at_translator_open("/nowhere", &open, &translator) == AT_OK || how.beam || view.beam;
}
END
    # shellcheck disable=SC2046,SC2086
    holds c++ -std=c++11 -pedantic-errors -Wall -Werror -Wno-missing-field-initializers $extra "$work/embed.cc" \
        -o "$work/cpp" $(pkg-config --cflags --libs attend)
    checks=$((checks + 1))
    LD_LIBRARY_PATH="$libraries" "$work/cpp" || complain "the C++ program fails"
fi

# CMake finds it.
mkdir "$work/project"
cp "$work/embed.c" "$work/project/"
cat >"$work/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.20)
project(embed C)
find_package(attend REQUIRED)
add_executable(with_shared embed.c)
target_link_libraries(with_shared PRIVATE attend::attend)
add_executable(with_static embed.c)
target_link_libraries(with_static PRIVATE attend::attend_static)
END
checks=$((checks + 1))
if cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_C_FLAGS="$extra" >"$work/out" 2>"$work/err" &&
    cmake --build "$work/project/build" >"$work/out" 2>"$work/err"; then
    cp "$work/project/build/with_shared" "$work/project/build/with_static" "$work/"
    says with_shared
    says with_static
else
    complain "a CMake project cannot use the package"
fi

# The installed program runs.
checks=$((checks + 1))
[ "$("$work/prefix/bin/attend" translate --model "$model" "tom sees the cat .")" = "$want" ] ||
    complain "the installed program does not translate"

finish
