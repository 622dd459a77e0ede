# Turns text files, one after the other, into a C array, without any tool but CMake:
#   cmake "-DINPUT=a.js;b.js" -DOUTPUT=page_js.c -DSYMBOL=at_draw_page_js -P embed.cmake
# The array ends in a NUL that is not part of the text. Sources are plain ASCII, so that char can hold them.
set(bytes "")
foreach(file IN LISTS INPUT)
    file(READ "${file}" part HEX)
    string(REGEX REPLACE "(..)" "0x\\1," part "${part}")
    if(part MATCHES "0x[89a-f]")
        message(FATAL_ERROR "${file}: not plain ASCII; write other characters as escapes")
    endif()
    string(APPEND bytes "${part}\n")
endforeach()
file(WRITE "${OUTPUT}" "/* Made by cmake/embed.cmake. */
extern const char ${SYMBOL}[];
const char ${SYMBOL}[] = {
${bytes}0};
")
