#!/bin/sh
# A folder of src/ includes only headers of the folders that its row here names (docs/design.md, "Layers").
# This table is the rule as a program; change it and the page together.
set -u
cd "$(dirname "$0")/.." || exit 1

allowed() {
    low="base tensor kernel autograd attention layer"
    case $1 in
    base) echo "base" ;;
    tensor) echo "base tensor" ;;
    kernel) echo "base tensor kernel" ;;
    autograd) echo "base tensor kernel autograd" ;;
    attention) echo "base tensor kernel autograd attention" ;;
    layer) echo "$low" ;;
    text) echo "base tensor text" ;;
    image) echo "base tensor image" ;;
    data) echo "base tensor text image data" ;;
    model) echo "$low data model" ;;
    store) echo "base tensor layer text model store" ;;
    decode) echo "base tensor kernel autograd attention model decode" ;;
    task) echo "$low text image data model store decode task" ;;
    eval) echo "base tensor text data model decode task eval" ;;
    train) echo "base tensor kernel autograd attention layer data model store task eval train" ;;
    draw) echo "base tensor attention image draw" ;;
    serve) echo "base tensor kernel text store decode task draw serve" ;;
    cli) echo "$low text image data model store decode task eval train draw serve cli" ;;
    esac
}

bad=0
for folder in src/*/; do
    name=$(basename "$folder")
    list=$(allowed "$name")
    if [ -z "$list" ]; then
        echo "src/$name: not in the table of layers"
        bad=1
        continue
    fi
    found=$(grep -rnE '^ *# *include +"' --include='*.[ch]' "$folder" | awk -v list=" $list " -v own="$name" '
        {
            split($0, q, "\"")
            path = q[2]
            if (path == "attend.h") next
            if (path !~ /\//) { print $0 ": want the path from src/"; next }
            sub(/\/.*/, "", path)
            if (!index(list, " " path " ")) print $0 ": src/" own " may use:" list
            else if (path != own && q[2] ~ /internal\.h$/) print $0 ": private to src/" path
        }')
    if [ -n "$found" ]; then
        echo "$found"
        bad=1
    fi
done
exit $bad
